"""Processors in virtual time: each simulated node has an event loop that takes as long as it takes.

``MeteredLoop`` runs the production code of many nodes in one process. What a callback of a node
costs is read from this thread's CPU clock, or charged by a model, and that node's loop is busy for
as long in virtual time: its other callbacks wait, in order; those of other nodes do not. Work
outside any node (the network, beacon nodes, enclaves) takes the time that its model says.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextvars import Context, ContextVar, copy_context
from functools import partial
from random import Random
from time import thread_time
from typing import Any, TypeVar, TypeVarTuple

from tetrarch.sim.loop import VirtualClockLoop

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Processor:
    """One node's event loop thread, its compute thread and its enclave's process."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.busy_until_s = 0.0
        self.waiting: deque[tuple[asyncio.Handle, Context, Callable[..., object], Any]] = deque()
        self.loop_s = 0.0
        self.compute_s = 0.0
        self.enclave_s = 0.0
        self.sent_bytes = 0
        self.sent_messages = 0
        self._free_s: dict[str, float] = {}

    @property
    def cpu_s(self) -> float:
        """All that it has worked."""
        return self.loop_s + self.compute_s + self.enclave_s

    async def elsewhere(self, unit: str, cost_s: float) -> None:
        """Wait for another unit of the node (compute, enclave), which serves one after another."""
        loop = asyncio.get_running_loop()
        start_s = max(loop.time(), self._free_s.get(unit, 0.0))
        self._free_s[unit] = start_s + cost_s
        if unit == "compute":
            self.compute_s += cost_s
        else:
            self.enclave_s += cost_s
        await asyncio.sleep(start_s + cost_s - loop.time())


PROCESSOR: ContextVar[Processor | None] = ContextVar("PROCESSOR", default=None)
NOBODY = Context()  # work that no node's processor does


class MeteredLoop(VirtualClockLoop):
    """See the module's text."""

    def __init__(self, rng: Random) -> None:
        super().__init__(rng)
        self._running: Processor | None = None
        self._begun_s = 0.0
        self._extra_s = 0.0

    def time(self) -> float:
        """Virtual seconds; within a node's callback, what it took so far included."""
        return super().time() + self.elapsed_s()

    def elapsed_s(self) -> float:
        """What the running callback cost so far."""
        if self._running is None:
            return 0.0
        return thread_time() - self._begun_s + self._extra_s

    def charge(self, cost_s: float) -> None:
        """The running callback costs that much more than it takes here, or less."""
        self._extra_s += cost_s

    @contextlib.contextmanager
    def free(self) -> Iterator[None]:
        """What runs inside costs the node nothing: it is modelled, or another process's."""
        before_s = self.elapsed_s()
        yield
        self._extra_s -= self.elapsed_s() - before_s

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """As asyncio's; a busy node's callbacks wait."""
        handle: asyncio.Handle = self._metered(super().call_soon, callback, args, context)
        return handle

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """As asyncio's; a busy node's callbacks wait."""
        schedule = partial(super().call_at, when)
        handle: asyncio.TimerHandle = self._metered(schedule, callback, args, context)
        return handle

    def _metered(
        self,
        schedule: Callable[..., Any],
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: Context | None,
    ) -> Any:
        context = copy_context() if context is None else context
        processor = context.get(PROCESSOR)
        if processor is None:
            return schedule(callback, *args, context=context)
        cell: list[asyncio.Handle] = []
        handle = schedule(self._enter, processor, cell, context, callback, args, context=NOBODY)
        cell.append(handle)
        return handle

    def _enter(
        self,
        processor: Processor,
        cell: list[asyncio.Handle],
        context: Context,
        callback: Callable[..., object],
        args: tuple[Any, ...],
    ) -> None:
        if processor.waiting or processor.busy_until_s > super().time():
            if not processor.waiting:
                super().call_at(processor.busy_until_s, self._drain, processor, context=NOBODY)
            processor.waiting.append((cell[0], context, callback, args))
            return
        self._execute(processor, context, callback, args)

    def _drain(self, processor: Processor) -> None:
        """The node's loop is free again: its next callback."""
        while processor.waiting:
            if processor.busy_until_s > super().time():
                super().call_at(processor.busy_until_s, self._drain, processor, context=NOBODY)
                return
            handle, context, callback, args = processor.waiting[0]
            if not handle.cancelled():
                self._execute(processor, context, callback, args)
            processor.waiting.popleft()

    def _execute(
        self,
        processor: Processor,
        context: Context,
        callback: Callable[..., object],
        args: tuple[Any, ...],
    ) -> None:
        self._running, self._extra_s, self._begun_s = processor, 0.0, thread_time()
        try:
            context.run(callback, *args)
        finally:
            cost_s = max(self.elapsed_s(), 0.0)
            self._running = None
            processor.loop_s += cost_s
            processor.busy_until_s = super().time() + cost_s


def metered_loop() -> MeteredLoop:
    """The running loop."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, MeteredLoop):
        raise TypeError("this runs on a metered loop alone")
    return loop


async def outside(work: Coroutine[Any, Any, T]) -> T:
    """Await ``work``, done by nobody's processor."""
    loop = asyncio.get_running_loop()
    return await loop.create_task(work, context=NOBODY.copy())


def run_metered(scenario: Callable[[], Coroutine[Any, Any, T]], *, seed: int) -> T:
    """Run ``scenario`` in metered virtual time."""
    rng = Random(f"{seed}/loop")
    with asyncio.Runner(loop_factory=lambda: MeteredLoop(rng)) as runner:
        return runner.run(scenario())
