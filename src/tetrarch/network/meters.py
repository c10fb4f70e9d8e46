"""The mesh's metrics of one peer, with every label resolved once: they are on the hot path."""

from prometheus_client import Counter

from tetrarch.network.frames import Hello
from tetrarch.network.ports import Topic
from tetrarch.observability.metrics import Metrics


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

    def count_received_frame(self, size_bytes: int) -> None:
        """One frame came."""
        self._received_frames.inc()
        self._received_bytes.inc(size_bytes)

    def count_dropped(self, topic: int, reason: str) -> None:
        """One message was given up."""
        counter = self._metrics.counter("mesh_dropped_messages_total")
        counter.labels(self._peer, topic_label(topic), reason).inc()

    def count_fault(self, code: str) -> None:
        """The peer broke the protocol."""
        self._metrics.counter("mesh_faults_total").labels(self._peer, code).inc()

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

    def show_away(self) -> None:
        """The peer's stream has ended."""
        self._connected.set(0)
        self._outbox.set(0)

    def show_outbox(self, messages: int) -> None:
        """How many messages wait."""
        self._outbox.set(messages)

    def show_pong(self, *, rtt_s: float, offset_s: float | None) -> None:
        """A ping was answered."""
        self._rtt.observe(rtt_s)
        if offset_s is not None:
            self._offset.set(offset_s)
