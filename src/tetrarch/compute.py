"""Runs CPU-heavy pure functions in threads, so that the event loop keeps its times.

The heavy functions are native (BLS, hashing) and release the interpreter lock.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

R = TypeVar("R")

THREADS = 2


class ThreadCompute:
    """Satisfies ``duties.ports.Compute``. ``close`` it at the end."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="compute")

    async def run(self, function: Callable[[], R], /) -> R:
        """Await ``function()``, run in a worker thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function)

    def close(self) -> None:
        """Let running work end; refuse more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
