"""All through which an operator sees a running node: log, metrics, readiness, health, views.

``launch`` builds one per node, gives its parts to whoever writes them, and starts its workers.
"""

import asyncio
from collections.abc import Callable
from typing import TextIO

from tetrarch import __version__
from tetrarch.api.attested import Attested
from tetrarch.api.consensus_watch import ConsensusWatch
from tetrarch.api.duty_metrics import (
    count_duty,
    count_duty_by_reference,
    count_lasting,
    count_peer_fault,
)
from tetrarch.api.duty_traces import DutyTraces
from tetrarch.api.duty_views import duties_view, explain_view, list_view
from tetrarch.api.election_views import election_streams, election_views, watch_election
from tetrarch.api.overlay_face import OverlayFace
from tetrarch.api.peer_watch import PeerWatch, refused_versions
from tetrarch.api.readiness import TEXTS, Readiness
from tetrarch.api.readiness_watch import ReadinessWatch, Sources
from tetrarch.api.request_watch import RequestWatch
from tetrarch.api.views import dump_view, peers_view
from tetrarch.api.workflow_watch import WorkflowWatch
from tetrarch.clock import Clock
from tetrarch.cluster.networks import network_for
from tetrarch.cluster.types import Cluster
from tetrarch.config import NodeConfig, SigningSource
from tetrarch.consensus.dump import MessageDump, RecordingBus
from tetrarch.duties.report import DutyReport
from tetrarch.duties.types import DutyType
from tetrarch.election.of_cluster import ClusterMembership
from tetrarch.entropy import Entropy
from tetrarch.ethereum.beacon_node.ports import BeaconNode
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.network.mesh import Mesh
from tetrarch.network.ports import MessageBus
from tetrarch.network.versions import CURRENT
from tetrarch.node import Node
from tetrarch.observability.health_watch import HealthWatch
from tetrarch.observability.logs import LogFormat, LogLevel, build_log
from tetrarch.observability.loop_lag import LoopLag
from tetrarch.observability.metrics import Metrics
from tetrarch.observability.monitoring import Monitoring, Stream, View
from tetrarch.observability.otlp import SpanExporter
from tetrarch.observability.reference_metrics import peer_name
from tetrarch.supervision import Supervisor


class Instruments:
    """One node's. ``metrics`` and ``log`` are there at once, the rest needs the chain or the node."""

    def __init__(
        self,
        cluster: Cluster,
        config: NodeConfig,
        *,
        clock: Clock,
        entropy: Entropy,
        stream: TextIO,
    ) -> None:
        self._cluster = cluster
        self._config = config
        self._clock = clock
        self.metrics = Metrics(constant_labels=_constant_labels(cluster, config.nickname))
        self.metrics.watch_process()
        log = build_log(
            stream,
            clock=clock,
            log_format=LogFormat(config.log.format),
            level=LogLevel[config.log.level.upper()],
            on_line=self.metrics.count_log_line,
        )
        self.log = log.bind(node=cluster.peer_index)
        self._exporter: SpanExporter | None = None
        self._traces: DutyTraces | None = None
        if config.tracing.endpoint:
            self._trace_to(config.tracing.endpoint, entropy)
        self.consensus = ConsensusWatch(self.metrics, self.log, traces=self._traces)
        self._dump: MessageDump | None = None
        self.requests = RequestWatch(self.metrics, self.log, clock)
        self.peers = PeerWatch(self.metrics, CURRENT)

    def bus(self, mesh: Mesh) -> MessageBus:
        """The mesh as the workflow sees it; with ``monitoring.debug`` its consensus is kept."""
        if not self._config.monitoring.debug:
            return mesh
        self._dump = MessageDump(
            cluster_hash=self._cluster.lock_hash.hex()[:7],
            node_count=self._cluster.node_count,
            own_index=self._cluster.peer_index,
        )
        return RecordingBus(mesh, self._dump, self._clock)

    def workflow(self, chain: ChainSpec) -> WorkflowWatch:
        """What times the workflow's edges; let it listen to the node, too."""
        return WorkflowWatch(self.metrics, chain=chain, clock=self._clock, traces=self._traces)

    def count_report(self, report: DutyReport) -> None:
        """A duty has ended."""
        count_duty(self.metrics, report)
        count_duty_by_reference(self.metrics, self._cluster.node_count, report)
        if self._traces is not None:
            self._traces.ended(report)

    def count_lasting(self, kind: DutyType, outcome: str, count: int) -> None:
        """Something became of exits or registrations."""
        count_lasting(self.metrics, kind, outcome, count)

    def count_fault(self, peer: int, kind: str) -> None:
        """A peer broke the protocol of a duty."""
        count_peer_fault(self.metrics, peer, kind)

    def count_unattested(self, peer: int) -> None:
        """A peer that has not shown what evidence is required of it was not heard."""
        self.metrics.counter("peer_unattested_messages_total").labels(str(peer)).inc()

    def start(
        self,
        tasks: Supervisor,
        *,
        node: Node,
        mesh: Mesh,
        beacon_node: BeaconNode,
        signing_trouble: Callable[[], str | None] = lambda: None,
        membership: ClusterMembership | None = None,
        overlay: OverlayFace | None = None,
    ) -> None:
        """Describe the node, open the monitoring listener and start all that samples.

        ``signing_trouble``: why the node cannot sign with all its shares, or None.
        ``membership``: its part in the cluster's attestation and election, if there is any.
        ``overlay``: what is served of its part in the overlay.
        """
        self._describe_node()
        self.metrics.gauge("node_runs_twice").set_function(
            lambda: float(node.safe_start.runs_twice)
        )
        self.metrics.gauge("signing_held").set_function(lambda: float(node.safe_start.held))
        self.metrics.gauge("folder_old").set_function(lambda: float(node.safe_start.found_old))
        readiness = Readiness(peers_needed=self._cluster.threshold - 1)
        by_client = self._config.signing is SigningSource.VALIDATOR_CLIENT
        watch = ReadinessWatch(
            readiness,
            Sources(
                beacon_node=beacon_node,
                connected_count=mesh.connected_count,
                last_request_s=(lambda: self.requests.last_request_s) if by_client else None,
            ),
            chain=node.shape.chain,
            clock=self._clock,
            metrics=self.metrics,
            log=self.log,
        )
        health = HealthWatch(
            self.metrics,
            validators=len(self._cluster.validators),
            peers_needed=self._cluster.threshold - 1,
            log=self.log,
        )
        views: dict[str, View] = {
            "duties": duties_view(node),
            "peers": peers_view(mesh, node, membership),
            "duty/explain": explain_view(node),
            "duty/list": list_view(node),
            "health": health.view,
        }
        if self._dump is not None:
            views["debug/consensus"] = dump_view(self._dump)
        streams: dict[str, Stream] = {}
        attested = Attested(membership, needed=self._cluster.threshold - 1)
        attested.watch(self.metrics)
        if membership is not None and (campaign := membership.campaign) is not None:
            views |= election_views(campaign)
            streams |= election_streams(campaign)
            watch_election(campaign, self.metrics)
        if overlay is not None:
            views |= overlay.views
        monitoring = Monitoring(
            host=self._config.monitoring.listen_host,
            port=self._config.monitoring.listen_port,
            metrics=self.metrics,
            reasons=lambda: (
                *(f"{cause.name.lower()}: {TEXTS[cause]}" for cause in readiness.causes()),
                *refused_versions(mesh.status(), needed=self._cluster.threshold - 1),
                *(f"signing: {trouble}" for trouble in (signing_trouble(),) if trouble),
                *attested.reasons(),
                *(f"safe_start: {reason}" for reason in node.safe_start.reasons()),
            ),
            views=views,
            streams=streams,
            controls=None if overlay is None else overlay.controls,
            pages=None if overlay is None else overlay.pages,
            log=self.log,
        )
        tasks.spawn(monitoring.run(), name="monitoring")
        tasks.spawn(watch.run(), name="readiness")
        tasks.spawn(health.run(), name="health")
        if self._exporter is not None:
            tasks.spawn(self._exporter.run(), name="traces")
        LoopLag(self.metrics, self.log).watch(asyncio.get_running_loop())

    def _trace_to(self, endpoint: str, entropy: Entropy) -> None:
        labels = _constant_labels(self._cluster, self._config.nickname)
        resource: dict[str, str] = {
            "service.name": "tetrarch",
            "service.version": __version__,
            "service.instance.id": f"{labels['cluster_hash']}/{labels['cluster_peer']}",
            **labels,
        }
        self._exporter = SpanExporter(endpoint, resource, metrics=self.metrics, log=self.log)
        self._traces = DutyTraces(
            self._cluster.lock_hash, clock=self._clock, entropy=entropy, export=self._exporter.add
        )
        self._exporter.on_last(self._traces.leave_all)

    def _describe_node(self) -> None:
        cluster, gauge, now_s = self._cluster, self.metrics.gauge, self._clock.wall_s()
        gauge("node_info").labels(
            __version__, cluster.lock_hash.hex()[:7], str(cluster.peer_index)
        ).set(1)
        gauge("node_start_time_seconds").set(now_s)
        gauge("app_start_time_secs").set(now_s)
        gauge("app_version").labels(__version__).set(1)
        gauge("app_peer_name").labels(peer_name(int(cluster.peer_index))).set(1)
        gauge("cluster_network").labels(network_for(cluster.fork_version).name).set(1)
        gauge("cluster_operators").set(cluster.node_count)
        gauge("cluster_threshold").set(cluster.threshold)
        gauge("cluster_validators").set(len(cluster.validators))


def _constant_labels(cluster: Cluster, nickname: str) -> dict[str, str]:
    """Who the node is, on every metric. The peer's name is the one that other nodes know it by."""
    return {
        "cluster_hash": cluster.lock_hash.hex()[:7],
        "cluster_name": cluster.name,
        "cluster_network": network_for(cluster.fork_version).name,
        "cluster_peer": peer_name(int(cluster.peer_index)),
        "nickname": nickname,
    }
