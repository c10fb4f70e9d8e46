"""Submissions: to all nodes of a tier, successful as soon as one took it.

Each goes out in a task of its own that the caller's fate does not touch: a group signature that
one node has must reach the others too.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from tetrarch.ethereum.beacon_node.errors import BeaconNodeUnreachable
from tetrarch.ethereum.beacon_node.ports import BeaconNode
from tetrarch.ethereum.beacon_nodes.member import Call, Member, Reply
from tetrarch.ethereum.beacon_nodes.pool import Pool, blames_request, most_telling, successes
from tetrarch.ethereum.beacon_nodes.ports import Spawner


class Submitter:
    """Hands submissions out."""

    def __init__(self, pool: Pool, spawner: Spawner) -> None:
        self._pool = pool
        self._spawner = spawner

    async def submit(self, what: str, send: Callable[[BeaconNode], Awaitable[None]]) -> None:
        """Return when the first node took it.

        Raises:
            BeaconNodeRefused: all that answered blame the request.
            BeaconNodeUnreachable, BeaconNodeRefused, BeaconNodeAnswerInvalid: no node took it,
                but another, or the same one later, may.
        """
        call = Call(what, send)
        failed: list[Reply[None]] = []
        for tier in self._pool.walk():
            replies = await self._send_to(tier, call)
            if successes(replies):
                return
            failed += replies
            if any(blames_request(reply) for reply in replies):
                break
        raise most_telling([each for each in failed if is_doubtful(each)] or failed, what)

    async def _send_to(self, tier: Sequence[Member], call: Call[None]) -> list[Reply[None]]:
        """Replies up to the first success, or all."""
        arrived: asyncio.Queue[Reply[None]] = asyncio.Queue()

        async def send(member: Member) -> None:
            arrived.put_nowait(await member.ask(call))

        for member in tier:
            self._spawner.spawn(send(member), name=f"{call.what} {member.name}")
        replies: list[Reply[None]] = []
        while len(replies) < len(tier):
            replies.append(await arrived.get())
            if replies[-1].error is None:
                break
        return replies


def is_doubtful(reply: Reply[None]) -> bool:
    """Whether a node answered, but neither took the request nor blamed it."""
    unreachable = isinstance(reply.error, BeaconNodeUnreachable)
    return reply.error is not None and not unreachable and not blames_request(reply)
