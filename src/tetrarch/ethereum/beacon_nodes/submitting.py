"""Submissions: to all nodes of a tier, successful as soon as one took it.

Each goes out in a task of its own that the caller's fate does not touch: a group signature that
one node has must reach the others too.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from tetrarch.ethereum.beacon_node.errors import BeaconNodeUnreachable
from tetrarch.ethereum.beacon_node.ports import BeaconNode
from tetrarch.ethereum.beacon_nodes.member import Call, Member, Reply
from tetrarch.ethereum.beacon_nodes.pool import (
    Pool,
    blames_request,
    most_telling,
    worth_going_on,
)
from tetrarch.ethereum.beacon_nodes.ports import Spawner


class Submitter:
    """Hands submissions out."""

    def __init__(self, pool: Pool, spawner: Spawner, *, patience_s: Callable[[], float]) -> None:
        self._pool = pool
        self._spawner = spawner
        self._patience_s = patience_s

    async def submit(self, what: str, send: Callable[[BeaconNode], Awaitable[None]]) -> None:
        """Return when the first node took it.

        Raises:
            BeaconNodeRefused: all that answered blame the request.
            BeaconNodeUnreachable, BeaconNodeRefused, BeaconNodeAnswerInvalid: no node took it,
                but another, or the same one later, may.
        """
        call = Call(what, send)
        arrived: asyncio.Queue[Reply[None]] = asyncio.Queue()
        failed: list[Reply[None]] = []
        sent = 0
        tiers = self._pool.walk()
        for tier in tiers:
            self._send(tier, call, arrived)
            sent += len(tier)
            patience_s = None if tier is tiers[-1] else self._patience_s()
            with suppress(TimeoutError):  # the next tier then gets it, too
                async with asyncio.timeout(patience_s):
                    while len(failed) < sent:
                        reply = await arrived.get()
                        if reply.error is None:
                            return
                        failed.append(reply)
            if not worth_going_on(failed):
                break
        raise most_telling([each for each in failed if is_doubtful(each)] or failed, what)

    def _send(
        self, tier: Sequence[Member], call: Call[None], arrived: asyncio.Queue[Reply[None]]
    ) -> None:
        async def send(member: Member) -> None:
            arrived.put_nowait(await member.ask(call))

        for member in tier:
            self._spawner.spawn(send(member), name=f"{call.what} {member.name}")


def is_doubtful(reply: Reply[None]) -> bool:
    """Whether a node answered, but neither took the request nor blamed it."""
    unreachable = isinstance(reply.error, BeaconNodeUnreachable)
    return reply.error is not None and not unreachable and not blames_request(reply)
