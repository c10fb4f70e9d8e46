"""A bus in front of another: what a wrapper does not change, it hands on."""

from tetrarch.network.ports import MessageBus, MessageHandler, Topic


class WrappedBus:
    """Satisfies ``MessageBus``; subclasses override what they watch or change."""

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus

    @property
    def own_index(self) -> int:
        """See ``MessageBus``."""
        return self._bus.own_index

    @property
    def peers(self) -> tuple[int, ...]:
        """See ``MessageBus``."""
        return self._bus.peers

    def send(self, peer: int, topic: Topic, payload: bytes) -> bool:
        """See ``MessageBus``."""
        return self._bus.send(peer, topic, payload)

    def broadcast(self, topic: Topic, payload: bytes) -> None:
        """See ``MessageBus``."""
        self._bus.broadcast(topic, payload)

    def subscribe(self, topic: Topic, handler: MessageHandler) -> None:
        """See ``MessageBus``."""
        self._bus.subscribe(topic, handler)
