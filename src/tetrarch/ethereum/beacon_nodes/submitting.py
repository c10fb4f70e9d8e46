"""Submissions: to all nodes of a tier, successful as soon as one took it.

Each goes out in a task of its own that the caller's fate does not touch: a group signature that
one node has must reach the others too. One node's word is not all, it may have lost what it took:
who failed meanwhile, and every primary node that was in trouble and so was not asked, gets it in
the background for a while. What nodes refuse in part counts for the items that any of them took.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeGuard

from tetrarch.ethereum.beacon_node.errors import BeaconNodeRefused, BeaconNodeUnreachable
from tetrarch.ethereum.beacon_node.ports import BeaconNode
from tetrarch.ethereum.beacon_nodes.health import Condition
from tetrarch.ethereum.beacon_nodes.member import Call, Member, Reply
from tetrarch.ethereum.beacon_nodes.pool import (
    Pool,
    blames_request,
    most_telling,
    worth_going_on,
)
from tetrarch.ethereum.beacon_nodes.ports import Spawner

AGAIN_AFTER_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)  # pauses; a signature is of little use later


class Submitter:
    """Hands submissions out."""

    def __init__(self, pool: Pool, spawner: Spawner, *, patience_s: Callable[[], float]) -> None:
        self._pool = pool
        self._spawner = spawner
        self._patience_s = patience_s

    async def submit(self, what: str, send: Callable[[BeaconNode], Awaitable[None]]) -> None:
        """Return when the first node took it.

        Raises:
            BeaconNodeRefused: all that answered blame the request, or single items of it: then
                these are named, and the others were taken.
            BeaconNodeUnreachable, BeaconNodeRefused, BeaconNodeAnswerInvalid: no node took it,
                but another, or the same one later, may.
        """
        going = _Going(Call(what, send))
        try:
            failed = await self._send_until_taken(going)
            going.is_taken = failed is None
        finally:
            going.ended.set()
        if failed is None:
            return
        partly = [error for error in (reply.error for reply in failed) if in_part(error)]
        left = untaken(partly)
        if partly and not left:
            return
        if partly:
            raise BeaconNodeRefused(
                partly[0].action,
                status=partly[0].status,
                message=partly[0].message,
                failed_indices=left,
            )
        raise most_telling([each for each in failed if is_doubtful(each)] or failed, what)

    async def _send_until_taken(self, going: "_Going") -> list[Reply[None]] | None:
        """Send it, tier by tier; None when a node took all of it, else what each said."""
        failed: list[Reply[None]] = []
        sent = 0
        tiers = self._pool.walk()
        for tier in tiers:
            for member in tier:
                name = f"{going.call.what} {member.name}"
                self._spawner.spawn(self._send(member, going), name=name)
            sent += len(tier)
            patience_s = None if tier is tiers[-1] else self._patience_s()
            with suppress(TimeoutError):  # the next tier then gets it, too
                async with asyncio.timeout(patience_s):
                    while len(failed) < sent:
                        reply = await going.arrived.get()
                        if reply.error is None:
                            self._tell_others(tiers[: tiers.index(tier) + 1], going)
                            return None
                        failed.append(reply)
            if not worth_going_on(failed):
                break
        return failed

    async def _send(self, member: Member, going: "_Going") -> None:
        reply = await member.ask(going.call)
        going.arrived.put_nowait(reply)
        if reply.error is None or blames_request(reply):
            return
        await going.ended.wait()
        if going.is_taken:  # else whoever submits it tries again, with all nodes
            await _send_again(member, going.call)

    def _tell_others(self, told: Sequence[Sequence[Member]], going: "_Going") -> None:
        for member in self._pool.members:
            if member.fallback or member.foreign or any(member in tier for tier in told):
                continue
            name = f"{going.call.what} {member.name} again"
            self._spawner.spawn(_send_again(member, going.call), name=name)


async def _send_again(member: Member, call: Call[None]) -> None:
    for pause_s in AGAIN_AFTER_S:
        await asyncio.sleep(pause_s)
        if member.condition is Condition.DOWN:
            continue
        reply = await member.ask(call)
        if reply.error is None or blames_request(reply):
            return


class _Going:
    """One submission on its way."""

    def __init__(self, call: Call[None]) -> None:
        self.call = call
        self.arrived: asyncio.Queue[Reply[None]] = asyncio.Queue()
        self.ended = asyncio.Event()  # the caller knows how it ended
        self.is_taken = False


def in_part(error: BaseException | None) -> TypeGuard[BeaconNodeRefused]:
    """Whether a node took all items but those that it names."""
    return isinstance(error, BeaconNodeRefused) and bool(error.failed_indices)


def untaken(refusals: Sequence[BeaconNodeRefused]) -> tuple[int, ...]:
    """Items that every one of these refused, ascending."""
    named = [frozenset(refusal.failed_indices) for refusal in refusals]
    return tuple(sorted(frozenset.intersection(*named))) if named else ()


def is_doubtful(reply: Reply[None]) -> bool:
    """Whether a node answered, but neither took the request nor blamed it."""
    unreachable = isinstance(reply.error, BeaconNodeUnreachable)
    return reply.error is not None and not unreachable and not blames_request(reply)
