"""How long the event loop was held up, and how much of that was the node's own work.

What held it is told by the loop itself (``metered_loop``). Of that time the loop's thread was *busy*
for as long as it used the processor; the rest it waited, for the interpreter or for a host with
too many neighbours.

A duty shares the loop with everything, so the node's own work is never to hold it for more than
``BUSY_MAX_S``: what takes longer belongs into a thread.
"""

import asyncio

from tetrarch.observability.logs import Log
from tetrarch.observability.metered_loop import Block, MeteredLoop
from tetrarch.observability.metrics import Metrics

BUSY_MAX_S = 0.020
LOG_INTERVAL_S = 10.0
MEND_HOST = "give the node more processor time, or fewer neighbours on its host"
MEND_NODE = "give the node a faster processor, or the cluster fewer validators"


class LoopLag:
    """Listens to the running loop. ``worst_busy_s`` is the node's own longest block so far."""

    def __init__(self, metrics: Metrics, log: Log, *, limit_s: float = BUSY_MAX_S) -> None:
        self.worst_busy_s = 0.0
        self.over_limit = 0  # blocks that were our own work
        self._limit_s = limit_s
        self._log = log
        self._blocked_seconds = metrics.histogram("event_loop_blocked_seconds")
        self._busy_seconds = metrics.histogram("event_loop_busy_seconds")
        self._since_scrape_s = 0.0
        metrics.gauge("event_loop_blocked_max_seconds").set_function(self._take_worst)
        self._told_s = float("-inf")
        self._untold: list[Block] = []

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hear of ``loop``'s turns; says so in the log where it does not measure them."""
        if isinstance(loop, MeteredLoop):
            loop.listen(self.note)
        else:
            self._log.info("event_loop_not_measured", kind=type(loop).__name__)

    def note(self, block: Block, now_s: float) -> None:
        """One block that ended at ``now_s`` of the loop's clock."""
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
