"""Time as a port: the system's in production, a virtual one in the simulator.

Two clocks, never mixed: ``wall_s`` answers "which slot is it" and may jump when the host's
clock is set; the running loop's own ``time()`` measures durations and never goes back.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall-clock time for code that must know the slot."""

    def wall_s(self) -> float:
        """Seconds since the Unix epoch, UTC."""
        ...


class SystemClock:
    """The host's clock."""

    def wall_s(self) -> float:
        """Seconds since the Unix epoch, UTC."""
        return time.time()  # noqa: TID251 - this is the one place


def steady_ms() -> int:
    """Milliseconds of a clock that never goes back and goes on while the host sleeps.

    For leases: whoever slept through the end of one must know it. Where the system has no such
    clock (not Linux), one that stands still meanwhile.
    """
    which = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(which) // 1_000_000


def thread_cpu_s() -> float:
    """Seconds of processor time that the calling thread has used: how busy it was itself."""
    return time.thread_time()
