"""A crash may come before or after a vote is durable, and never between."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from functools import partial
from random import Random

from tests.consensus.building import DUTY, PREPARE, A

from tetrarch.consensus.votes import Vote
from tetrarch.sim.disk import SlowVoteLog
from tetrarch.sim.loop import simulate

VOTE = Vote(duty=DUTY, round=1, type=PREPARE, value_hash=A, content=b"c")


def test_crash_leaves_all_or_nothing() -> None:
    async def crashed(after_s: float) -> int:
        log = SlowVoteLog(rng=Random(1), delay_max_s=1.0)
        with suppress(TimeoutError):
            async with asyncio.timeout(after_s):
                await log.record([VOTE, replace(VOTE, round=2)])
        return len(await log.votes(DUTY))

    counts = [simulate(partial(crashed, step / 10), seed=1) for step in range(1, 25)]
    assert set(counts) == {0, 2}
    assert counts == sorted(counts)
