"""The mesh's metrics of one peer, with every label resolved once: they are on the hot path."""

from prometheus_client import Counter

from tetrarch.network.faults import PeerSilent
from tetrarch.network.frames import Hello
from tetrarch.network.ports import Topic
from tetrarch.observability.metrics import Metrics
from tetrarch.observability.reference_metrics import REFERENCE_METRICS, peer_name


def topic_label(topic: int) -> str:
    """A bounded set of labels, whatever numbers a peer sends."""
    try:
        return Topic(topic).name.lower()
    except ValueError:
        return "unknown"


class PeerMeters:
    """Counts what goes to and comes from one peer; ``peer`` is its index or "unknown"."""

    def __init__(self, metrics: Metrics, peer: str) -> None:
        self._metrics = metrics
        self._peer = peer
        self._sent = self._by_topic("mesh_sent_messages_total")
        self._received = self._by_topic("mesh_received_messages_total")
        self._sent_frames = metrics.counter("mesh_sent_frames_total").labels(peer)
        self._sent_bytes = metrics.counter("mesh_sent_bytes_total").labels(peer)
        self._received_frames = metrics.counter("mesh_received_frames_total").labels(peer)
        self._received_bytes = metrics.counter("mesh_received_bytes_total").labels(peer)
        self._connected = metrics.gauge("mesh_peer_connected").labels(peer)
        self._connections = metrics.counter("mesh_connections_total").labels(peer)
        self._outbox = metrics.gauge("mesh_outbox_messages").labels(peer)
        self._rtt = metrics.histogram("mesh_ping_rtt_seconds").labels(peer)
        self._offset = metrics.gauge("mesh_clock_offset_seconds").labels(peer)
        self._builder_api_differs = metrics.gauge("mesh_builder_api_differs").labels(peer)
        self._info: tuple[str, str, str] | None = None
        known = metrics if peer.isdigit() else Metrics(REFERENCE_METRICS)  # no dashboard asks
        self._by_reference = _ReferenceMeters(known, peer)

    def _by_topic(self, name: str) -> dict[int, Counter]:
        counter = self._metrics.counter(name)
        return {topic: counter.labels(self._peer, topic_label(topic)) for topic in (0, *Topic)}

    def count_sent(self, topic: int) -> None:
        """One message left."""
        self._sent.get(topic, self._sent[0]).inc()

    def count_received(self, topic: int) -> None:
        """One message came."""
        self._received.get(topic, self._received[0]).inc()

    def count_sent_frame(self, size_bytes: int) -> None:
        """One frame left."""
        self._sent_frames.inc()
        self._sent_bytes.inc(size_bytes)
        self._by_reference.sent_bytes.inc(size_bytes)

    def count_received_frame(self, size_bytes: int) -> None:
        """One frame came."""
        self._received_frames.inc()
        self._received_bytes.inc(size_bytes)
        self._by_reference.received_bytes.inc(size_bytes)

    def count_dropped(self, topic: int, reason: str) -> None:
        """One message was given up."""
        counter = self._metrics.counter("mesh_dropped_messages_total")
        counter.labels(self._peer, topic_label(topic), reason).inc()

    def count_fault(self, code: str) -> None:
        """The peer broke the protocol."""
        self._metrics.counter("mesh_faults_total").labels(self._peer, code).inc()
        if code == PeerSilent.code:
            self._by_reference.ping_errors.inc()

    def count_dial_failure(self, reason: str) -> None:
        """The peer could not be reached, or would not have us."""
        self._metrics.counter("mesh_dial_failures_total").labels(self._peer, reason).inc()

    def show_connected(self, hello: Hello, *, builder_api_differs: bool) -> None:
        """The peer has introduced itself."""
        self._connected.set(1)
        self._connections.inc()
        self._builder_api_differs.set(builder_api_differs)
        gauge = self._metrics.gauge("mesh_peer_info")
        if self._info is not None:
            gauge.remove(*self._info)  # else each rename would stay as a series of its own
        self._info = (self._peer, hello.version, hello.nickname)
        gauge.labels(*self._info).set(1)
        self._by_reference.show_connected(hello)

    def show_version_supported(self, *, supported: bool) -> None:
        """Whether the peer speaks a version of the protocol that we do."""
        self._metrics.gauge("mesh_peer_version_supported").labels(self._peer).set(supported)

    def show_runs_twice(self, *, twice: bool) -> None:
        """Whether two processes with the peer's certificate run."""
        self._metrics.gauge("mesh_peer_runs_twice").labels(self._peer).set(twice)

    def show_away(self) -> None:
        """The peer's stream has ended."""
        self._connected.set(0)
        self._outbox.set(0)
        self._by_reference.show_away()

    def show_outbox(self, messages: int) -> None:
        """How many messages wait."""
        self._outbox.set(messages)

    def show_pong(self, *, rtt_s: float, offset_s: float | None) -> None:
        """A ping was answered."""
        self._rtt.observe(rtt_s)
        self._by_reference.rtt.observe(rtt_s)
        if offset_s is not None:
            self._offset.set(offset_s)
            self._by_reference.offset.set(offset_s)


class _ReferenceMeters:
    """The same under the reference's names: peers by display name, frames as one protocol."""

    def __init__(self, metrics: Metrics, peer: str) -> None:
        self._metrics = metrics
        self._peer = peer_name(int(peer)) if peer.isdigit() else peer
        counter, gauge, way = metrics.counter, metrics.gauge, (self._peer, "mesh", "tcp")
        self.sent_bytes = counter("p2p_peer_network_sent_bytes_total").labels(*way)
        self.received_bytes = counter("p2p_peer_network_receive_bytes_total").labels(*way)
        self.ping_errors = counter("p2p_ping_error_total").labels(self._peer)
        self.rtt = metrics.histogram("p2p_ping_latency_secs").labels(self._peer)
        self.offset = gauge("app_peerinfo_clock_offset_seconds").labels(self._peer)
        self._success = gauge("p2p_ping_success").labels(self._peer)
        self._connections = counter("p2p_peer_connection_total").labels(self._peer)
        self._types = gauge("p2p_peer_connection_types").labels(self._peer, "direct", "grpc")
        self._facts: dict[str, str] = {}
        if peer.isdigit():
            gauge("app_peerinfo_index").labels(self._peer).set(int(peer))

    def show_connected(self, hello: Hello) -> None:
        self._success.set(1)
        self._connections.inc()
        self._types.set(1)
        builder_api = self._metrics.gauge("app_peerinfo_builder_api_enabled")
        builder_api.labels(self._peer).set(hello.builder_api)
        self._show_fact("app_peerinfo_version", hello.version)
        self._show_fact("app_peerinfo_nickname", hello.nickname)
        self._show_fact("app_peerinfo_dv_client", hello.version.partition("/")[0])

    def show_away(self) -> None:
        self._success.set(0)
        self._types.set(0)

    def _show_fact(self, name: str, fact: str) -> None:
        gauge, known = self._metrics.gauge(name), self._facts.get(name)
        if known is not None:
            gauge.remove(self._peer, known)
        self._facts[name] = fact
        gauge.labels(self._peer, fact).set(1)
