"""Every metric of a node in one table, and the per-node registry that holds them.

``docs/reference/metrics.md`` lists exactly this table; a test compares the two. The rows under
the reference's names stand in ``reference_metrics``.
"""

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tetrarch.errors import invariant
from tetrarch.observability.declarations import NAME_PREFIX, MetricDeclaration, MetricKind
from tetrarch.observability.reference_metrics import REFERENCE_METRICS

__all__ = ["METRICS", "NAME_PREFIX", "MetricDeclaration", "MetricKind", "Metrics"]

_C, _G, _H = MetricKind.COUNTER, MetricKind.GAUGE, MetricKind.HISTOGRAM

METRICS: tuple[MetricDeclaration, ...] = (
    MetricDeclaration("node_info", _G, "1; who this node is.", ("version", "cluster", "index")),
    MetricDeclaration("node_start_time_seconds", _G, "When the node started, Unix time."),
    MetricDeclaration("node_ready", _G, "1 when /readyz answers 200."),
    MetricDeclaration(
        "signing_held", _G, "1 while no vote, block or sync message is signed: see slashing safety."
    ),
    MetricDeclaration(
        "folder_old", _G, "1 when this start found the folder older than what the peers saw."
    ),
    MetricDeclaration("log_lines_total", _C, "Log lines written.", ("level",)),
    MetricDeclaration("mesh_peer_connected", _G, "1 while the peer's stream is open.", ("peer",)),
    MetricDeclaration(
        "mesh_peer_version_supported",
        _G,
        "1 when the peer speaks a version of the protocol that we do, 0 while it is refused.",
        ("peer",),
    ),
    MetricDeclaration("peers_attested", _G, "Peers whose evidence of their enclave is accepted."),
    MetricDeclaration(
        "peer_unattested_messages_total",
        _C,
        "Messages that were not heard, as the peer has not shown the evidence that is required.",
        ("peer",),
    ),
    MetricDeclaration(
        "peer_info",
        _G,
        "1; what the peer says of itself each minute.",
        ("peer", "version", "git_commit", "signing", "nickname"),
    ),
    MetricDeclaration(
        "peer_version_supported",
        _G,
        "1 when the peer says that it speaks a version of the protocol that we do.",
        ("peer",),
    ),
    MetricDeclaration(
        "peer_start_time_seconds", _G, "When the peer started, Unix time.", ("peer",)
    ),
    MetricDeclaration(
        "agreed_feature", _G, "1 while the cluster uses the feature, as agreed.", ("feature",)
    ),
    MetricDeclaration("agreed_builder_api", _G, "1 while the cluster asks builders, as agreed."),
    MetricDeclaration("agreed_slot", _G, "The slot of the newest agreement, -1 without one."),
    MetricDeclaration(
        "mesh_peer_runs_twice",
        _G,
        "1 while two processes run with the peer's certificate.",
        ("peer",),
    ),
    MetricDeclaration(
        "node_runs_twice", _G, "1 while the peers see two processes with this node's certificate."
    ),
    MetricDeclaration(
        "election_term", _G, "The term of the newest certified leader, 0 without one."
    ),
    MetricDeclaration("election_leads", _G, "1 while this node is the newest certified leader."),
    MetricDeclaration("election_members_heard", _G, "Members that are heard, this node included."),
    MetricDeclaration(
        "election_may_vote", _G, "1 once this node's enclave knows what it had promised before."
    ),
    MetricDeclaration("mesh_connections_total", _C, "Streams opened.", ("peer",)),
    MetricDeclaration("mesh_dial_failures_total", _C, "Failed dials.", ("peer", "reason")),
    MetricDeclaration(
        "mesh_faults_total",
        _C,
        "Streams refused or closed because the other side broke the protocol.",
        ("peer", "code"),
    ),
    MetricDeclaration("overlay_sent_messages_total", _C, "Messages sent.", ("kind",)),
    MetricDeclaration("overlay_received_messages_total", _C, "Messages received.", ("kind",)),
    MetricDeclaration(
        "overlay_dropped_messages_total",
        _C,
        "Messages given up before they were sent, by why.",
        ("kind", "reason"),
    ),
    MetricDeclaration("overlay_sent_bytes_total", _C, "Bytes of frames sent."),
    MetricDeclaration("overlay_received_bytes_total", _C, "Bytes of frames received."),
    MetricDeclaration("overlay_ping_rtt_seconds", _H, "Round trip times of pings."),
    MetricDeclaration("ledger_height", _G, "Blocks before the end of the branch that counts."),
    MetricDeclaration(
        "ledger_justified_height", _G, "The same of the highest that a quorum voted for."
    ),
    MetricDeclaration("ledger_final_height", _G, "The same of the last final block."),
    MetricDeclaration(
        "ledger_block_seconds", _H, "From a slot's beginning until its block came to count here."
    ),
    MetricDeclaration(
        "ledger_final_seconds", _H, "From a slot's beginning until its block was final here."
    ),
    MetricDeclaration("ledger_open_blocks", _G, "Blocks of all branches that are not final."),
    MetricDeclaration("ledger_mempool_fragments", _G, "Fragments that wait for a block."),
    MetricDeclaration("ledger_mempool_bytes", _G, "Bytes of fragments that wait for a block."),
    MetricDeclaration(
        "ledger_reorganisations_total", _C, "How often blocks that counted did so no more."
    ),
    MetricDeclaration(
        "leadership_wake_late_seconds",
        _H,
        "How long after its slot's beginning the making of a block began.",
        (),
        (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1),
    ),
    MetricDeclaration(
        "leadership_slots_total", _C, "Slots in which the node was to make a block.", ("outcome",)
    ),
    MetricDeclaration("mesh_sent_messages_total", _C, "Messages sent.", ("peer", "topic")),
    MetricDeclaration("mesh_received_messages_total", _C, "Messages received.", ("peer", "topic")),
    MetricDeclaration("mesh_sent_frames_total", _C, "Frames sent, pings included.", ("peer",)),
    MetricDeclaration("mesh_received_frames_total", _C, "Frames received.", ("peer",)),
    MetricDeclaration("mesh_sent_bytes_total", _C, "Bytes of frames sent.", ("peer",)),
    MetricDeclaration("mesh_received_bytes_total", _C, "Bytes of frames received.", ("peer",)),
    MetricDeclaration(
        "mesh_dropped_messages_total",
        _C,
        "Messages dropped: away, outbox_full, oversize, link_lost; inbox_full, no_handler.",
        ("peer", "topic", "reason"),
    ),
    MetricDeclaration("mesh_outbox_messages", _G, "Messages that wait to be sent.", ("peer",)),
    MetricDeclaration("mesh_ping_rtt_seconds", _H, "Round trip times of pings.", ("peer",)),
    MetricDeclaration(
        "mesh_clock_offset_seconds", _G, "The peer's clock minus ours, median.", ("peer",)
    ),
    MetricDeclaration(
        "mesh_own_clock_offset_seconds",
        _G,
        "Our clock minus the cluster's median; 0 while within the limit.",
    ),
    MetricDeclaration(
        "mesh_builder_api_differs",
        _G,
        "1 when the peer's builder flag differs from ours.",
        ("peer",),
    ),
    MetricDeclaration(
        "duties_total",
        _C,
        "Duties that ended, by outcome and reason code.",
        ("type", "outcome", "reason"),
    ),
    MetricDeclaration(
        "lasting_duties_total",
        _C,
        "Exits and builder registrations, by what became of them.",
        ("type", "outcome"),
    ),
    MetricDeclaration(
        "duty_step_seconds",
        _H,
        "From a duty's start to each of its steps.",
        ("type", "step"),
        (0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.2, 0.4, 0.7, 1, 1.5, 2, 3, 5, 8, 12),
    ),
    MetricDeclaration(
        "duty_participation_total",
        _C,
        "Ended duties, by what a node's share did: on_time, late, missing, bad.",
        ("type", "peer", "standing"),
    ),
    MetricDeclaration(
        "duty_inclusion_total",
        _C,
        "Validators' votes, blocks and sync messages, by what the chain says of them.",
        ("type", "verdict"),
    ),
    MetricDeclaration(
        "duty_inclusion_distance_slots",
        _H,
        "From a duty's slot to the block that took up the last of its messages.",
        ("type",),
        (0, 1, 2, 3, 4, 6, 8, 16, 32),
    ),
    MetricDeclaration(
        "peer_faults_total",
        _C,
        "Times a peer broke the protocol of a duty: lied, contradicted itself, flooded.",
        ("peer", "kind"),
    ),
    MetricDeclaration(
        "consensus_rounds_total", _C, "Duties decided, by the round it took.", ("type", "round")
    ),
    MetricDeclaration(
        "consensus_round_changes_total",
        _C,
        "Rounds after a first one, by what the round before lacked.",
        ("type", "reason"),
    ),
    MetricDeclaration(
        "consensus_faults_total",
        _C,
        "Times a peer broke the consensus protocol.",
        ("peer", "kind"),
    ),
    MetricDeclaration(
        "consensus_dropped_messages_total",
        _C,
        "Consensus messages not looked at: too many, too late, or of no duty.",
        ("peer", "reason"),
    ),
    MetricDeclaration(
        "partials_total", _C, "Partial signatures accepted, by share.", ("type", "share")
    ),
    MetricDeclaration(
        "validator_api_requests_total",
        _C,
        "Answers of the validator API, by status class.",
        ("route", "status"),
    ),
    MetricDeclaration(
        "validator_api_request_seconds",
        _H,
        "From a request to the end of its answer.",
        ("route",),
        (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 4, 8, 12),
    ),
    MetricDeclaration("remote_signer_up", _G, "1 while the remote signer answers.", ("signer",)),
    MetricDeclaration(
        "remote_signer_requests_total",
        _C,
        "Answers of remote signers: signature, refused, unfit.",
        ("signer", "type", "result"),
    ),
    MetricDeclaration(
        "remote_signer_false_signatures_total",
        _C,
        "Signatures of the remote signer that were not our share's.",
        ("signer",),
    ),
    MetricDeclaration(
        "remote_signer_request_seconds",
        _H,
        "From a request to a remote signer to its answer.",
        ("signer",),
    ),
    MetricDeclaration(
        "signer_api_requests_total",
        _C,
        "Answers of the signer API, by type of request and status.",
        ("type", "status"),
    ),
    MetricDeclaration(
        "signer_api_request_seconds", _H, "From a signing request to its answer.", ("type",)
    ),
    MetricDeclaration(
        "beacon_node_condition",
        _G,
        "1 for the condition that the beacon node is in.",
        ("beacon_node", "condition"),
    ),
    MetricDeclaration(
        "beacon_node_score", _G, "How good the beacon node is, 0 to 1.", ("beacon_node",)
    ),
    MetricDeclaration(
        "beacon_node_sync_distance_slots",
        _G,
        "How far the beacon node says that it is behind.",
        ("beacon_node",),
    ),
    MetricDeclaration(
        "beacon_node_using_fallback", _G, "1 while fallback beacon nodes stand in for the others."
    ),
    MetricDeclaration(
        "beacon_node_requests_total",
        _C,
        "Requests to the beacon node that ended.",
        ("beacon_node", "request", "outcome"),
    ),
    MetricDeclaration(
        "beacon_node_request_seconds",
        _H,
        "From a request to the beacon node to its end.",
        ("beacon_node", "request"),
        (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8),
    ),
    MetricDeclaration(
        "beacon_node_votes_total",
        _C,
        "Votes on attestation data, by what settled them.",
        ("basis",),
    ),
    MetricDeclaration(
        "beacon_node_outvoted_total",
        _C,
        "Answers of the beacon node that others contradicted, or that cannot be right.",
        ("beacon_node", "request", "reason"),
    ),
    MetricDeclaration(
        "mesh_peer_info", _G, "1; what the peer says of itself.", ("peer", "version", "nickname")
    ),
    MetricDeclaration(
        "event_loop_blocked_seconds",
        _H,
        "Turns of the event loop, and late wake-ups, of 1 ms or more.",
        (),
        (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
    ),
    MetricDeclaration(
        "event_loop_busy_seconds",
        _H,
        "How long of these the loop's thread used the processor: our own work.",
        (),
        (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
    ),
    MetricDeclaration("event_loop_blocked_max_seconds", _G, "The longest since the last scrape."),
    MetricDeclaration("trace_spans_total", _C, "Spans of traces: sent, or dropped.", ("outcome",)),
    *REFERENCE_METRICS,
)


class Metrics:
    """The metrics of one node, in its own registry.

    Every sample that a scraper gets carries ``constant_labels``: who the node is, so that one
    Prometheus can hold many clusters.
    """

    def __init__(
        self,
        declarations: tuple[MetricDeclaration, ...] = METRICS,
        *,
        constant_labels: Mapping[str, str] | None = None,
    ) -> None:
        self.registry = CollectorRegistry()
        self._constant_labels = dict(constant_labels or {})
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        for row in declarations:
            metric: Counter | Gauge | Histogram
            match row.kind:
                case MetricKind.COUNTER:
                    metric = Counter(row.full_name, row.help, row.labels, registry=None)
                    self._counters[row.name] = metric
                case MetricKind.GAUGE:
                    metric = Gauge(row.full_name, row.help, row.labels, registry=None)
                    self._gauges[row.name] = metric
                case MetricKind.HISTOGRAM:
                    metric = Histogram(
                        row.full_name, row.help, row.labels, registry=None, buckets=row.buckets
                    )
                    self._histograms[row.name] = metric
            self.registry.register(_Unnamed(metric))

    def counter(self, name: str) -> Counter:
        """The counter declared as ``name``, without prefix. Keep its ``labels(...)`` child."""
        invariant(name in self._counters, f"counter {name} is declared")
        return self._counters[name]

    def gauge(self, name: str) -> Gauge:
        """The gauge declared as ``name``, without prefix."""
        invariant(name in self._gauges, f"gauge {name} is declared")
        return self._gauges[name]

    def histogram(self, name: str) -> Histogram:
        """The histogram declared as ``name``, without prefix."""
        invariant(name in self._histograms, f"histogram {name} is declared")
        return self._histograms[name]

    def set_only(self, name: str, *labels: str) -> None:
        """Make ``labels`` the only series of the gauge ``name``, with value 1: for facts."""
        gauge = self.gauge(name)
        gauge.clear()
        gauge.labels(*labels).set(1)

    def count_log_line(self, level: str, topic: str) -> None:
        """For ``build_log(on_line=...)``."""
        self._counters["log_lines_total"].labels(level).inc()
        if level == "warning":
            self._counters["app_log_warn_total"].labels(topic).inc()
        elif level in {"error", "critical"}:
            self._counters["app_log_error_total"].labels(topic).inc()

    def watch_process(self) -> None:
        """Show this process's memory, processor time and open files, too. Once per process."""
        ProcessCollector(registry=self.registry)

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format. Some 10 ms of Python: call it in a thread."""
        return generate_latest(_Labelled(self.registry, self._constant_labels))


class _Unnamed(Collector):
    """Keeps the registry from comparing names: it takes x and x_total for the same, which the
    text format tells apart. That names differ is tested on the table.
    """

    def __init__(self, metric: Collector) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        return self._metric.collect()


class _Labelled(CollectorRegistry):
    """A registry as a scraper sees it: constant labels everywhere, no times of creation."""

    def __init__(self, registry: CollectorRegistry, constant_labels: dict[str, str]) -> None:
        super().__init__()
        self._registry = registry
        self._constant_labels = constant_labels

    def collect(self) -> Iterator[Metric]:
        for family in self._registry.collect():
            family.samples = [
                sample._replace(labels={**self._constant_labels, **sample.labels})
                for sample in family.samples
                if not sample.name.endswith("_created")
            ]
            yield family
