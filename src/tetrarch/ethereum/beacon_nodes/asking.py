"""Asks several members at once or one after the other, within the awaited call.

Every task ends before the call returns; they are started, and cancelled, in the order of the
members, so that equal seeds give equal runs.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from tetrarch.ethereum.beacon_nodes.member import Call, Member, Reply

T = TypeVar("T")


async def ask_all(
    members: Sequence[Member],
    call: Call[T],
    *,
    stop_at: Callable[[Sequence[Reply[T]]], float | None] = lambda _replies: None,
    stagger_s: float = 0.0,
) -> list[Reply[T]]:
    """Ask ``members`` and return the replies in the order of their arrival.

    Args:
        members: whom to ask, best first.
        call: what.
        stop_at: after each reply, the loop's time at which to stop waiting; None: all must reply.
        stagger_s: 0 asks all at once; else the next one is asked only after so long without a
            reply, or at once after an error.
    """
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[Reply[T]] = asyncio.Queue()
    replies: list[Reply[T]] = []
    waiting = list(members)
    asked: list[asyncio.Task[None]] = []

    async def ask(member: Member) -> None:
        arrived.put_nowait(await member.ask(call))

    async with asyncio.TaskGroup() as tasks:

        def ask_next() -> None:
            member = waiting.pop(0)
            asked.append(tasks.create_task(ask(member), name=f"{call.what} {member.name}"))

        while waiting or len(replies) < len(asked):
            if waiting and (not stagger_s or len(replies) == len(asked)):
                ask_next()
                continue
            limit_s = stop_at(replies)
            if limit_s is not None and limit_s <= loop.time():
                break
            hedge_at_s = loop.time() + stagger_s if waiting else None
            try:
                async with asyncio.timeout_at(_earlier(limit_s, hedge_at_s)):
                    replies.append(await arrived.get())
            except TimeoutError:
                if limit_s is not None and limit_s <= loop.time():
                    break
                if waiting:
                    ask_next()
        for task in asked:
            task.cancel()
    return replies


async def ask_until_answered(
    members: Sequence[Member], call: Call[T], *, stagger_s: float
) -> list[Reply[T]]:
    """Ask one after the other, hedged, until one answers."""

    def stop_at(replies: Sequence[Reply[T]]) -> float | None:
        return 0.0 if replies and replies[-1].error is None else None

    return await ask_all(members, call, stop_at=stop_at, stagger_s=stagger_s)


def _earlier(one_s: float | None, other_s: float | None) -> float | None:
    if one_s is None or other_s is None:
        return one_s if other_s is None else other_s
    return min(one_s, other_s)
