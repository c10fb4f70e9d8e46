"""Deadline: says when a duty has ended, so that every component can let go of it."""

import asyncio
import contextlib
import heapq

from tetrarch.clock import Clock
from tetrarch.duties.timing import deadline_s, may_speak_of
from tetrarch.duties.types import Duty
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.output import Output

OPEN_MAX = 100_000  # duties watched at once; a year of slots would not fill it
ENDED_MAX = 4096  # ended duties remembered, so that none ends twice


class Deadlines:
    """Input: ``watch``. Output: ``expired``, each watched duty once, in order of deadline."""

    def __init__(self, *, chain: ChainSpec, clock: Clock) -> None:
        self.expired = Output[Duty]("expired")
        self._chain = chain
        self._clock = clock
        self._heap: list[tuple[float, Duty]] = []
        self._watched: set[Duty] = set()
        self._ended: dict[Duty, None] = {}
        self._changed = asyncio.Event()

    def watch(self, duty: Duty) -> None:
        """Emit ``duty`` when its deadline passes. Duties without one are not watched."""
        ends_s = deadline_s(duty, self._chain)
        if ends_s is None or duty in self._watched or duty in self._ended:
            return
        if len(self._watched) >= OPEN_MAX:
            return
        self._watched.add(duty)
        heapq.heappush(self._heap, (ends_s, duty))
        self._changed.set()

    def is_open(self, duty: Duty) -> bool:
        """Whether work on ``duty`` still makes sense; starts to watch it when it does."""
        if not may_speak_of(duty, self._chain, now_s=self._clock.wall_s()):
            return False
        self.watch(duty)
        return True

    def has_ended(self, duty: Duty) -> bool:
        """Whether ``duty`` was emitted, as far as that is remembered."""
        return duty in self._ended

    async def run(self) -> None:
        """Emit ended duties until cancelled."""
        while True:
            await self._until_next()
            now_s = self._clock.wall_s()
            while self._heap and self._heap[0][0] <= now_s:
                _, duty = heapq.heappop(self._heap)
                self._watched.discard(duty)
                self._remember_ended(duty)
                await self.expired.emit(duty)

    def _remember_ended(self, duty: Duty) -> None:
        self._ended[duty] = None
        while len(self._ended) > ENDED_MAX:
            del self._ended[next(iter(self._ended))]

    async def _until_next(self) -> None:
        self._changed.clear()
        wait_s = self._heap[0][0] - self._clock.wall_s() if self._heap else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if wait_s is None else max(wait_s, 0)):
                await self._changed.wait()
