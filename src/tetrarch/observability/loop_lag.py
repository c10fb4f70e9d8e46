"""Measures how long the event loop was held up, and how much of that was the node's own work.

A timer is set every ``INTERVAL_S``; how late it comes is how long something held the loop, but for
at most one interval. Of that time the loop's thread was *busy* for as long as it used the
processor; the rest it waited, for the interpreter or for a host with too many neighbours.

A duty shares the loop with everything, so the node's own work is never to hold it for more than
``BUSY_MAX_S``: what takes longer belongs into a thread.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from tetrarch.clock import thread_cpu_s
from tetrarch.observability.logs import Log
from tetrarch.observability.metrics import Metrics

INTERVAL_S = 0.005
BUSY_MAX_S = 0.020
LOG_INTERVAL_S = 10.0
MEND_HOST = "give the node more processor time, or fewer neighbours on its host"
MEND_NODE = "give the node a faster processor, or the cluster fewer validators"


@dataclass(frozen=True, slots=True)
class Block:
    """One time the loop was held up. ``busy_s`` is at most about ``blocked_s`` + one interval."""

    blocked_s: float
    busy_s: float


class LoopLag:
    """Samples the running loop. ``worst_busy_s`` is the node's own longest block so far."""

    def __init__(
        self,
        metrics: Metrics,
        log: Log,
        *,
        cpu_s: Callable[[], float] = thread_cpu_s,
        limit_s: float = BUSY_MAX_S,
    ) -> None:
        self.worst_busy_s = 0.0
        self.over_limit = 0  # blocks that were our own work
        self._limit_s = limit_s
        self._cpu_s = cpu_s
        self._log = log
        self._blocked_seconds = metrics.histogram("event_loop_blocked_seconds")
        self._busy_seconds = metrics.histogram("event_loop_busy_seconds")
        self._since_scrape_s = 0.0
        metrics.gauge("event_loop_blocked_max_seconds").set_function(self._take_worst)
        self._told_s = float("-inf")
        self._untold: list[Block] = []

    async def run(self) -> None:
        """Sample until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due_s, cpu_s = loop.time() + INTERVAL_S, self._cpu_s()
            await asyncio.sleep(INTERVAL_S)
            now_s = loop.time()
            blocked_s = max(now_s - due_s, 0.0)
            busy_s = min(self._cpu_s() - cpu_s, blocked_s)
            self.note(Block(blocked_s, busy_s), now_s=now_s)

    def note(self, block: Block, *, now_s: float) -> None:
        """One sample, taken at ``now_s`` of the loop's clock."""
        self._blocked_seconds.observe(block.blocked_s)
        self._busy_seconds.observe(block.busy_s)
        self._since_scrape_s = max(self._since_scrape_s, block.blocked_s)
        self.worst_busy_s = max(self.worst_busy_s, block.busy_s)
        if block.blocked_s <= self._limit_s:
            return
        self.over_limit += block.busy_s > self._limit_s
        self._untold = [*self._untold[-99:], block]
        if now_s - self._told_s >= LOG_INTERVAL_S:
            self._tell()
            self._told_s, self._untold = now_s, []

    def _tell(self) -> None:
        """One line for all that came since the last one."""
        worst = max(self._untold, key=lambda block: block.blocked_s)
        busy_s = max(block.busy_s for block in self._untold)
        own = busy_s > self._limit_s
        self._log.warning(
            "event_loop_blocked",
            reason="own_work" if own else "host_busy",
            blocked_ms=round(worst.blocked_s * 1000, 1),
            busy_ms=round(busy_s * 1000, 1),
            times=len(self._untold),
            limit_ms=round(self._limit_s * 1000),
            mend=MEND_NODE if own else MEND_HOST,
        )

    def _take_worst(self) -> float:
        worst_s, self._since_scrape_s = self._since_scrape_s, 0.0
        return worst_s
