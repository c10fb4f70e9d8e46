"""An asyncio loop with virtual time. Equal seed and equal code give an equal run.

No private asyncio API. A stuck program raises at once instead of hanging. Threads are refused:
CPU work runs inline in the simulator.
"""

import asyncio
import gc
import selectors
from collections.abc import Callable, Coroutine
from contextvars import Context
from random import Random
from typing import Any, NoReturn, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
EPOCH_S = 1_700_000_000.0  # the wall clock of a simulated world at loop time zero
JITTER_S = 1e-6
RARE_COLLECTIONS = (
    50_000,
    20,
    50,
)  # a run makes millions of objects, few in cycles: a tenth of its time


class SimDeadlock(BaseException):
    """Every task waits and no timer is set: nothing can ever happen again."""


class _VirtualSelector(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise SimDeadlock
        self.now_s += max(timeout, 0.0)  # instead of sleeping
        return []  # no real file descriptor is ever ready


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """Jumps to the next timer instead of sleeping."""

    def __init__(self, rng: Random) -> None:
        self._virtual = _VirtualSelector()
        self._rng = rng
        super().__init__(self._virtual)

    def time(self) -> float:
        """Virtual seconds since the run began."""
        return self._virtual.now_s

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Timers due together have no promised order, so the seed picks one."""
        when += self._rng.random() * JITTER_S
        return super().call_at(when, callback, *args, context=context)

    def run_in_executor(self, *_: object) -> NoReturn:
        """Threads would make runs differ."""
        raise RuntimeError("threads are not simulated: inject the port")


class SimClock:
    """One node's wall clock: virtual time plus the node's own error."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, offset_s: float = 0.0) -> None:
        self._loop = loop
        self.offset_s = offset_s

    def wall_s(self) -> float:
        """Seconds since the Unix epoch, as this node believes."""
        return EPOCH_S + self._loop.time() + self.offset_s


def simulate(scenario: Callable[[], Coroutine[Any, Any, T]], *, seed: int | str) -> T:
    """Run ``scenario`` in virtual time, with timers that are due together ordered by ``seed``."""
    # One stream per consumer: a new draw in the network must not reshuffle the loop.
    rng = Random(f"{seed}/loop")
    thresholds = gc.get_threshold()
    gc.set_threshold(*RARE_COLLECTIONS)
    try:
        with asyncio.Runner(loop_factory=lambda: VirtualClockLoop(rng)) as runner:
            return runner.run(scenario())
    finally:
        gc.set_threshold(*thresholds)
