"""A bus that hears only peers which may speak. Pure."""

from collections.abc import Callable

from tetrarch.network.ports import MessageBus, MessageHandler, Topic


class GatedBus:
    """``bus``, where messages of a peer are dropped while ``may_speak`` says no. Sends to all.

    ``on_unheard``: called with whose message was dropped. Its sender resends what is needed, as after
    any loss.
    """

    def __init__(
        self,
        bus: MessageBus,
        may_speak: Callable[[int], bool],
        on_unheard: Callable[[int], None],
    ) -> None:
        self._bus = bus
        self._may_speak = may_speak
        self._on_unheard = on_unheard

    @property
    def own_index(self) -> int:
        """As ``MessageBus``."""
        return self._bus.own_index

    @property
    def peers(self) -> tuple[int, ...]:
        """As ``MessageBus``."""
        return self._bus.peers

    def send(self, peer: int, topic: Topic, payload: bytes) -> bool:
        """As ``MessageBus``."""
        return self._bus.send(peer, topic, payload)

    def broadcast(self, topic: Topic, payload: bytes) -> None:
        """As ``MessageBus``."""
        self._bus.broadcast(topic, payload)

    def subscribe(self, topic: Topic, handler: MessageHandler) -> None:
        """As ``MessageBus``."""

        async def hear(source: int, payload: bytes) -> None:
            if self._may_speak(source):
                await handler(source, payload)
            else:
                self._on_unheard(source)

        self._bus.subscribe(topic, hear)
