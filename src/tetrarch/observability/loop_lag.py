"""Measures how long the event loop was held up: by computation, garbage collection or the host.

A timer is set every ``INTERVAL_S``; how late it comes is how long something else held the loop,
but for at most one interval. A duty shares the loop with everything, so it is never to be held
for more than ``BLOCKED_MAX_S``; work that takes longer belongs into a thread.
"""

import asyncio

from tetrarch.observability.logs import Log
from tetrarch.observability.metrics import Metrics

INTERVAL_S = 0.005
BLOCKED_MAX_S = 0.020
LOG_INTERVAL_S = 10.0
MEND = "give the node more processor time, or fewer neighbours on its host"


class LoopLag:
    """Samples the running loop. ``worst_s`` is the longest block since the start."""

    def __init__(self, metrics: Metrics, log: Log, *, limit_s: float = BLOCKED_MAX_S) -> None:
        self.worst_s = 0.0
        self.over_limit = 0  # samples
        self._limit_s = limit_s
        self._log = log
        self._seconds = metrics.histogram("event_loop_blocked_seconds")
        self._since_scrape_s = 0.0
        metrics.gauge("event_loop_blocked_max_seconds").set_function(self._take_worst)
        self._told_s = float("-inf")
        self._untold_s = 0.0
        self._untold = 0

    async def run(self) -> None:
        """Sample until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + INTERVAL_S
            await asyncio.sleep(INTERVAL_S)
            now_s = loop.time()
            self.note(max(now_s - due_s, 0.0), now_s=now_s)

    def note(self, blocked_s: float, *, now_s: float) -> None:
        """One sample, taken at ``now_s`` of the loop's clock."""
        self._seconds.observe(blocked_s)
        self._since_scrape_s = max(self._since_scrape_s, blocked_s)
        self.worst_s = max(self.worst_s, blocked_s)
        if blocked_s <= self._limit_s:
            return
        self.over_limit += 1
        self._untold += 1
        self._untold_s = max(self._untold_s, blocked_s)
        if now_s - self._told_s >= LOG_INTERVAL_S:
            self._log.warning(
                "event_loop_blocked",
                reason="event_loop_blocked",
                blocked_ms=round(self._untold_s * 1000, 1),
                times=self._untold,
                limit_ms=round(self._limit_s * 1000),
                mend=MEND,
            )
            self._told_s, self._untold_s, self._untold = now_s, 0.0, 0

    def _take_worst(self) -> float:
        worst_s, self._since_scrape_s = self._since_scrape_s, 0.0
        return worst_s
