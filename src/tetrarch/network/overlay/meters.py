"""The overlay's metrics. Nodes come and go, so no label names one."""

from tetrarch.network.overlay.messages import Kind
from tetrarch.observability.metrics import Metrics


def kind_label(kind: int) -> str:
    """A bounded set of labels, whatever numbers a node sends."""
    try:
        return Kind(kind).name.lower()
    except ValueError:
        return "unknown"


class OverlayMeters:
    """Counts what goes along all links together. Implements ``LinkMeters``."""

    def __init__(self, metrics: Metrics) -> None:
        self._sent = metrics.counter("overlay_sent_messages_total")
        self._received = metrics.counter("overlay_received_messages_total")
        self._dropped = metrics.counter("overlay_dropped_messages_total")
        self._sent_bytes = metrics.counter("overlay_sent_bytes_total")
        self._received_bytes = metrics.counter("overlay_received_bytes_total")
        self._rtt = metrics.histogram("overlay_ping_rtt_seconds")

    def count_received_frame(self, size_bytes: int) -> None:
        """One frame came."""
        self._received_bytes.inc(size_bytes)

    def count_sent_frame(self, size_bytes: int) -> None:
        """One frame left."""
        self._sent_bytes.inc(size_bytes)

    def count_received(self, topic: int) -> None:
        """One message came."""
        self._received.labels(kind_label(topic)).inc()

    def count_sent(self, topic: int) -> None:
        """One message left."""
        self._sent.labels(kind_label(topic)).inc()

    def count_dropped(self, topic: int, reason: str) -> None:
        """One message was given up."""
        self._dropped.labels(kind_label(topic), reason).inc()

    def show_outbox(self, messages: int) -> None:
        """How many wait on one link: of thousands nobody could read it."""

    def show_pong(self, *, rtt_s: float, offset_s: float | None) -> None:
        """A ping was answered."""
        del offset_s
        self._rtt.observe(rtt_s)
