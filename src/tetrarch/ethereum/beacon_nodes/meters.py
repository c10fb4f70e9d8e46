"""The metrics of several beacon nodes: an ``Observer`` that counts. Labels are names and fixed words."""

from tetrarch.ethereum.beacon_nodes.health import Condition
from tetrarch.observability.metrics import MetricDeclaration, MetricKind, Metrics

_C, _G, _H = MetricKind.COUNTER, MetricKind.GAUGE, MetricKind.HISTOGRAM

DECLARATIONS: tuple[MetricDeclaration, ...] = (
    MetricDeclaration(
        "beacon_node_using_fallback", _G, "1 while fallback beacon nodes stand in for primaries."
    ),
    MetricDeclaration(
        "beacon_node_condition",
        _G,
        "1 for the condition that the beacon node is in: healthy, degraded, down.",
        ("beacon_node", "condition"),
    ),
    MetricDeclaration(
        "beacon_node_score", _G, "How good the beacon node is, 0 to 1.", ("beacon_node",)
    ),
    MetricDeclaration(
        "beacon_node_request_seconds",
        _H,
        "From a request to the beacon node's answer, by port method and outcome.",
        ("beacon_node", "request", "outcome"),
        (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8),
    ),
    MetricDeclaration(
        "beacon_node_votes_total",
        _C,
        "Votes on attestation data, by what settled them: majority, branch_majority, justified_branch, alone.",
        ("basis",),
    ),
    MetricDeclaration(
        "beacon_node_outvoted_total",
        _C,
        "Answers of a beacon node that others contradicted or that cannot be right.",
        ("beacon_node", "request", "reason"),
    ),
)


class BeaconNodesMeters:
    """``Observer`` over a node's metrics, which must declare ``DECLARATIONS``."""

    def __init__(self, metrics: Metrics) -> None:
        self._fallback = metrics.gauge("beacon_node_using_fallback")
        self._condition = metrics.gauge("beacon_node_condition")
        self._score = metrics.gauge("beacon_node_score")
        self._seconds = metrics.histogram("beacon_node_request_seconds")
        self._votes = metrics.counter("beacon_node_votes_total")
        self._outvoted = metrics.counter("beacon_node_outvoted_total")

    def answered(self, node: str, what: str, outcome: str, duration_s: float) -> None:
        """See ``Observer``."""
        self._seconds.labels(node, what, outcome).observe(duration_s)

    def condition_changed(self, node: str, condition: str) -> None:
        """See ``Observer``."""
        for each in Condition:
            self._condition.labels(node, each.value).set(each.value == condition)

    def scored(self, node: str, score: float) -> None:
        """See ``Observer``."""
        self._score.labels(node).set(score)

    def fallback_used(self, used: bool) -> None:  # noqa: FBT001 - a gauge's value
        """See ``Observer``."""
        self._fallback.set(used)

    def voted(self, basis: str, supporters: tuple[str, ...]) -> None:
        """See ``Observer``."""
        del supporters
        self._votes.labels(basis).inc()

    def outvoted(self, node: str, what: str, reason: str) -> None:
        """See ``Observer``."""
        self._outvoted.labels(node, what, reason).inc()
