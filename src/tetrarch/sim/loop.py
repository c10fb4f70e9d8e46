"""An asyncio loop with virtual time. Equal seed and equal code give an equal run.

No private asyncio API. A stuck program raises at once instead of hanging. Threads are refused:
CPU work runs inline in the simulator.
"""

import asyncio
import gc
import selectors
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from heapq import heappop, heappush
from random import Random
from typing import Any, NoReturn, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
EPOCH_S = 1_700_000_000.0  # the wall clock of a simulated world at loop time zero
JITTER_S = 1e-6
CLOCK_STEP_S = 1e-9  # timers that are due within one are due together
RARE_COLLECTIONS = (
    50_000,
    20,
    50,
)  # a run makes millions of objects, few in cycles: a tenth of its time


class SimDeadlock(BaseException):
    """Every task waits and no timer is set: nothing can ever happen again."""


class _Call(asyncio.TimerHandle):
    """A callback that waits for its turn or its time: what asyncio's own does, with less around it."""

    __slots__ = ("args", "callback", "context", "due_s", "off")

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: Context | None,
        due_s: float,
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = copy_context() if context is None else context
        self.due_s = due_s
        self.off = False

    def cancel(self) -> None:
        """It is not run any more, and holds nothing any more."""
        self.off = True
        self.callback, self.args = _nothing, ()

    def cancelled(self) -> bool:
        """Whether it is off."""
        return self.off

    def when(self) -> float:
        """The loop's time at which it is due."""
        return self.due_s

    def __repr__(self) -> str:
        return f"<call of {self.callback!r} at {self.due_s}>"


def _nothing() -> None:
    return


class _Waiting(selectors.SelectSelector):
    """Where asyncio waits for files. There are none: whoever waits here runs the loop instead."""

    def __init__(self, run: Callable[[], None]) -> None:
        super().__init__()
        self._run = run

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        del timeout
        self._run()
        return []  # no real file descriptor is ever ready


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """Jumps to the next timer instead of sleeping.

    It runs all callbacks by itself, in asyncio's order: those that are ready go first, in turn,
    then what became due. A seed of whole nodes makes some hundred thousand, and asyncio's own queues
    and handles took a sixth of its time.
    """

    def __init__(self, rng: Random) -> None:
        self._now_s = 0.0
        self._rng = rng
        self._calls: deque[_Call] = deque()
        self._timers: list[tuple[float, int, _Call]] = []
        self._timers_count = 0
        self._ends = False
        super().__init__(_Waiting(self._run))

    def time(self) -> float:
        """Virtual seconds since the run began."""
        return self._now_s

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """As asyncio's."""
        self._check_open()
        call = _Call(callback, args, context, self._now_s)
        self._calls.append(call)
        return call

    call_soon_threadsafe = call_soon  # there are no threads, but generators end by it

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """As asyncio's."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Timers due together have no promised order, so the seed picks one."""
        self._check_open()
        when += self._rng.random() * JITTER_S
        call = _Call(callback, args, context, when)
        self._timers_count += 1
        heappush(self._timers, (when, self._timers_count, call))
        return call

    def stop(self) -> None:
        """As asyncio's: what is ready now still runs."""
        self._ends = True
        super().stop()

    def run_in_executor(self, *_: object) -> NoReturn:
        """Threads would make runs differ."""
        raise RuntimeError("threads are not simulated: inject the port")

    def _check_open(self) -> None:
        if self.is_closed():
            raise RuntimeError("the loop is closed: this would never be called")

    def _run(self) -> None:
        try:
            while True:
                if not self._calls:
                    self._jump()
                self._turn()
                if self._ends:
                    return
        finally:
            self._ends = False

    def _jump(self) -> None:
        """To when the next timer is due; none if the loop ends before."""
        timers = self._timers
        while timers and timers[0][2].off:
            heappop(timers)
        if not self._ends:
            if not timers:
                raise SimDeadlock
            self._now_s += max(timers[0][0] - self._now_s, 0.0)

    def _turn(self) -> None:
        calls, timers, until_s = self._calls, self._timers, self._now_s + CLOCK_STEP_S
        while timers and timers[0][0] < until_s:
            calls.append(heappop(timers)[2])
        for _ in range(len(calls)):
            call = calls.popleft()
            if call.off:
                continue
            try:
                call.context.run(call.callback, *call.args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001 - as asyncio: it stops nobody else
                text = f"Exception in callback {call.callback!r}"
                self.call_exception_handler({"message": text, "exception": error})


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
