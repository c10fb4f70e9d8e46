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


@dataclass(frozen=True, slots=True)
class Block:
    """One time the loop was held up; ``busy_s`` of it its thread used the processor."""

    blocked_s: float
    busy_s: float


Listener: TypeAlias = Callable[[Block, float], None]  # with the loop's time at its end


class _Selector(selectors.DefaultSelector):
    """Cost: two readings of two clocks a turn, about 1 us."""

    def __init__(self, now_s: Callable[[], float], cpu_s: Callable[[], float]) -> None:
        super().__init__()
        self.listeners: list[Listener] = []
        self._now_s = now_s
        self._cpu_s = cpu_s
        self._woke_s = now_s()
        self._woke_cpu_s = cpu_s()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        begun_s = self._now_s()
        turn_s = begun_s - self._woke_s
        if turn_s >= TOLD_S:
            self._tell(Block(turn_s, min(self._cpu_s() - self._woke_cpu_s, turn_s)), begun_s)
        ready = super().select(timeout)
        self._woke_s = self._now_s()
        if timeout is not None and not ready:  # with something ready nobody knows since when
            late_s = self._woke_s - begun_s - max(timeout, 0.0)
            if late_s >= TOLD_S:
                self._tell(Block(late_s, 0.0), self._woke_s)
        self._woke_cpu_s = self._cpu_s()
        return ready

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
