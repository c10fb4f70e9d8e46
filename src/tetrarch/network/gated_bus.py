"""A bus that hears only peers which may speak. Pure."""

from collections.abc import Callable

from tetrarch.network.ports import MessageBus, MessageHandler, Topic
from tetrarch.network.wrapped_bus import WrappedBus


class GatedBus(WrappedBus):
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
        super().__init__(bus)
        self._may_speak = may_speak
        self._on_unheard = on_unheard

    def subscribe(self, topic: Topic, handler: MessageHandler) -> None:
        """As ``MessageBus``."""

        async def hear(source: int, payload: bytes) -> None:
            if self._may_speak(source):
                await handler(source, payload)
            else:
                self._on_unheard(source)

        super().subscribe(topic, hear)
