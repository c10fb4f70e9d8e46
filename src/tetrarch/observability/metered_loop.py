"""An event loop that tells how long each of its turns took.

A turn is all that the loop does between two waits: until it ends, nothing else gets its time. A
wait that ends late is told too: something outside kept the loop from waking. Both are measured
where the loop waits, so an idle node pays nothing for it; a timer that watches the loop would
wake it all the time.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from tetrarch.clock import thread_cpu_s

T = TypeVar("T")
TOLD_S = 0.001  # shorter turns are nobody's concern
CPU_READ_INTERVAL_S = 1.0


@dataclass(frozen=True, slots=True)
class Block:
    """One time the loop was held up; ``busy_s`` of it its thread used the processor."""

    blocked_s: float
    busy_s: float


Listener: TypeAlias = Callable[[Block, float], None]  # with the loop's time at its end


class _Selector(selectors.DefaultSelector):
    """Cost: two readings of the clock a turn, 0.1 us.

    Processor time is read after long turns and once a second, as reading it is a system call:
    short turns in between are taken to have used it all the time.
    """

    def __init__(self, now_s: Callable[[], float], cpu_s: Callable[[], float]) -> None:
        super().__init__()
        self.listeners: list[Listener] = []
        self._now_s = now_s
        self._cpu_s = cpu_s
        self._woke_s = now_s()
        self._read_s = self._woke_s  # when processor time was read
        self._read_cpu_s = cpu_s()
        self._short_s = 0.0  # in short turns since then

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        begun_s = self._now_s()
        turn_s = begun_s - self._woke_s
        if turn_s >= TOLD_S:
            used_s = self._take_cpu_s(begun_s)
            self._tell(Block(turn_s, min(used_s, turn_s)), begun_s)
        else:
            self._short_s += turn_s
        ready = super().select(timeout)
        self._woke_s = self._now_s()
        if timeout is not None and not ready:  # with something ready nobody knows since when
            late_s = self._woke_s - begun_s - max(timeout, 0.0)
            if late_s >= TOLD_S:
                self._tell(Block(late_s, 0.0), self._woke_s)
        if self._woke_s - self._read_s >= CPU_READ_INTERVAL_S:
            self._take_cpu_s(self._woke_s)
        return ready

    def _take_cpu_s(self, now_s: float) -> float:
        """What was used since the last reading, without that of short turns."""
        cpu_s = self._cpu_s()
        used_s = max(cpu_s - self._read_cpu_s - self._short_s, 0.0)
        self._read_s, self._read_cpu_s, self._short_s = now_s, cpu_s, 0.0
        return used_s

    def _tell(self, block: Block, now_s: float) -> None:
        for listener in self.listeners:
            listener(block, now_s)


class MeteredLoop(asyncio.SelectorEventLoop):
    """Satisfies asyncio; ``listen`` hears of every turn and wake-up of a millisecond or more."""

    def __init__(self, *, cpu_s: Callable[[], float] = thread_cpu_s) -> None:
        self._meter = _Selector(self.time, cpu_s)
        super().__init__(self._meter)

    def listen(self, listener: Listener) -> None:
        """Call ``listener`` from now on. It must be quick, and not raise."""
        self._meter.listeners.append(listener)


def run_metered(main: Coroutine[Any, Any, T]) -> T:
    """As ``asyncio.run``, on a ``MeteredLoop``."""
    with asyncio.Runner(loop_factory=MeteredLoop) as runner:
        return runner.run(main)
