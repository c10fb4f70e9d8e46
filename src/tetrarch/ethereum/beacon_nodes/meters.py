"""The metrics of several beacon nodes: an ``Observer`` that counts. Labels are names and fixed words."""

from tetrarch.ethereum.beacon_nodes.health import Condition
from tetrarch.observability.metrics import Metrics


class BeaconNodesMeters:
    """``Observer`` over a node's metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._fallback = metrics.gauge("beacon_node_using_fallback")
        self._condition = metrics.gauge("beacon_node_condition")
        self._score = metrics.gauge("beacon_node_score")
        self._distance = metrics.gauge("beacon_node_sync_distance_slots")
        self._requests = metrics.counter("beacon_node_requests_total")
        self._seconds = metrics.histogram("beacon_node_request_seconds")
        self._votes = metrics.counter("beacon_node_votes_total")
        self._outvoted = metrics.counter("beacon_node_outvoted_total")
        self._head_slot = metrics.gauge("app_beacon_node_sse_head_slot")
        self._head_delay = metrics.histogram("app_beacon_node_sse_head_delay")
        self._reorg_depth = metrics.histogram("app_beacon_node_sse_chain_reorg_depth")

    def answered(self, node: str, what: str, outcome: str, duration_s: float) -> None:
        """See ``Observer``."""
        self._requests.labels(node, what, outcome).inc()
        self._seconds.labels(node, what).observe(duration_s)
        counter = self._metrics.counter
        counter("app_eth2_requests_total").labels(what).inc()
        if outcome != "ok":
            counter("app_eth2_errors_total").labels(what).inc()
        self._metrics.histogram("app_eth2_latency_seconds").labels(what).observe(duration_s)

    def condition_changed(self, node: str, condition: str) -> None:
        """See ``Observer``."""
        for each in Condition:
            self._condition.labels(node, each.value).set(each.value == condition)

    def scored(self, node: str, score: float) -> None:
        """See ``Observer``."""
        self._score.labels(node).set(score)

    def synced(self, node: str, distance: int) -> None:
        """See ``Observer``."""
        self._distance.labels(node).set(distance)

    def fallback_used(self, used: bool) -> None:  # noqa: FBT001 - a gauge's value
        """See ``Observer``."""
        self._fallback.set(used)
        self._metrics.gauge("app_eth2_using_fallback").set(used)

    def voted(self, basis: str, supporters: tuple[str, ...]) -> None:
        """See ``Observer``."""
        del supporters
        self._votes.labels(basis).inc()

    def outvoted(self, node: str, what: str, reason: str) -> None:
        """See ``Observer``."""
        self._outvoted.labels(node, what, reason).inc()

    def head_told(self, node: str, slot: int, delay_s: float) -> None:
        """See ``Observer``."""
        self._head_slot.labels(node).set(slot)
        self._head_delay.labels(node).observe(delay_s)

    def reorg_told(self, node: str, depth: int) -> None:
        """See ``Observer``."""
        self._reorg_depth.labels(node).observe(depth)
