"""Durable things of a simulated node: they survive its crashes, and they take time."""

import asyncio
from collections.abc import Sequence
from random import Random

from tetrarch.consensus.votes import MemoryVoteLog, Vote


class SlowVoteLog(MemoryVoteLog):
    """Writes take up to ``delay_max_s``; a crash may hit before or after they are durable."""

    def __init__(self, *, rng: Random, delay_max_s: float) -> None:
        super().__init__()
        self._rng = rng
        self._delay_max_s = delay_max_s

    async def record(self, votes: Sequence[Vote]) -> tuple[Vote, ...]:
        """See ``VoteLog``."""
        await asyncio.sleep(self._rng.random() * self._delay_max_s)
        allowed = await super().record(votes)
        await asyncio.sleep(self._rng.random() * self._delay_max_s)
        return allowed
