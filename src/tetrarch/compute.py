"""Runs CPU-heavy pure functions without holding up the event loop for long.

Heavy work is native (BLS, hashing) and releases the interpreter lock, so it goes to a thread.
Light work runs at once: a thread that wants the lock back from a busy loop waits for a whole
switch interval each time, which costs more than it saves below a few milliseconds.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

R = TypeVar("R")

THREADS = 2
INLINE_MS_MAX = 8.0
COST_MS_UNKNOWN = 100.0


class ThreadCompute:
    """Satisfies ``duties.ports.Compute``. ``close`` it at the end."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="compute")

    async def run(self, function: Callable[[], R], /, *, cost_ms: float = COST_MS_UNKNOWN) -> R:
        """Await ``function()``, run at once if it is said to be light, else in a thread."""
        if cost_ms <= INLINE_MS_MAX:
            return function()
        return await asyncio.get_running_loop().run_in_executor(self._pool, function)

    def close(self) -> None:
        """Let running work end; refuse more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
