"""Asks several members at once or in waves, within the awaited call.

Every task ends before the call returns; they are started, and cancelled, in the order of the
members, so that equal seeds give equal runs.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeAlias, TypeVar

from tetrarch.ethereum.beacon_nodes.member import Call, Member, Reply

T = TypeVar("T")
# The successful replies so far and whose they could be; gives a time of the loop, or None.
StopAt: TypeAlias = Callable[[Sequence[Reply[T]], Sequence[Member]], float | None]


def successes(replies: Sequence[Reply[T]]) -> list[Reply[T]]:
    """Those with a value."""
    return [reply for reply in replies if reply.error is None]


class Inquiry(Generic[T]):
    """One question to several members, wave after wave; use it once.

    A wave is asked at once when everybody of the waves before has failed, and after
    ``wave_after_s`` when nobody has answered. Who was asked before may still answer then.

    Args:
        call: what is asked.
        stop_at: says, once there is a success and after each one, until when to wait for more; None
            is for all.
        wave_after_s: how long a wave has for itself; None: as long as it takes.
        go_on: whether another wave makes sense after these failures.
    """

    def __init__(
        self,
        call: Call[T],
        *,
        stop_at: StopAt[T],
        wave_after_s: float | None = None,
        go_on: Callable[[Sequence[Reply[T]]], bool] = lambda _failures: True,
    ) -> None:
        self.replies: list[Reply[T]] = []  # in the order of their arrival
        self._call = call
        self._stop_at = stop_at
        self._wave_after_s = wave_after_s
        self._go_on = go_on
        self._arrived: asyncio.Queue[Reply[T]] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._wave: Sequence[Member] = ()  # the latest
        self._wave_at_s: float | None = None  # when the next is due

    @property
    def electorate(self) -> list[Member]:
        """The latest wave, and whoever else answered: others are not reckoned with any more."""
        early = [reply.member for reply in successes(self.replies)]
        return [*self._wave, *(member for member in early if member not in self._wave)]

    async def ask(self, waves: Sequence[Sequence[Member]]) -> list[Reply[T]]:
        """The successful replies; the failures stand in ``replies``, too."""
        loop = asyncio.get_running_loop()
        waiting = list(waves)
        async with asyncio.TaskGroup() as tasks:
            while True:
                good = successes(self.replies)
                idle = len(self.replies) == len(self._tasks)
                stop_s = self._stop_at(good, self.electorate) if good else None
                if (good and self._is_complete()) or (stop_s is not None and stop_s <= loop.time()):
                    break
                due = self._wave_at_s is not None and self._wave_at_s <= loop.time()
                if waiting and not good and (idle or due) and self._go_on(self.replies):
                    self._start(tasks, waiting.pop(0), more=bool(waiting))
                    continue
                if idle:
                    break
                try:
                    async with asyncio.timeout_at(stop_s if good else self._wave_at_s):
                        self.replies.append(await self._arrived.get())
                except TimeoutError:
                    if not good and not self._go_on(self.replies):
                        self._wave_at_s = None
            for task in self._tasks:
                task.cancel()
        return successes(self.replies)

    def _is_complete(self) -> bool:
        """Whether all that are reckoned with have replied."""
        replied = [reply.member for reply in self.replies]
        return all(member in replied for member in self._wave)

    def _start(self, tasks: asyncio.TaskGroup, wave: Sequence[Member], *, more: bool) -> None:
        self._wave, self._wave_at_s = wave, None
        if more and self._wave_after_s is not None:
            self._wave_at_s = asyncio.get_running_loop().time() + self._wave_after_s
        for member in wave:
            name = f"{self._call.what} {member.name}"
            self._tasks.append(tasks.create_task(self._ask(member), name=name))

    async def _ask(self, member: Member) -> None:
        self._arrived.put_nowait(await member.ask(self._call))


async def ask_within(members: Sequence[Member], call: Call[T], *, limit_s: float) -> list[Reply[T]]:
    """All replies of ``members``, failures included, that come within ``limit_s``."""
    arrived: asyncio.Queue[Reply[T]] = asyncio.Queue()
    replies: list[Reply[T]] = []

    async def ask(member: Member) -> None:
        arrived.put_nowait(await member.ask(call))

    async with asyncio.TaskGroup() as tasks:
        asked = [
            tasks.create_task(ask(member), name=f"{call.what} {member.name}") for member in members
        ]
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while len(replies) < len(asked):
                    replies.append(await arrived.get())
        for task in asked:  # in this order; a group's own is not the same on every run
            task.cancel()
    return replies
