"""Names a peer that floods: a bus that counts what arrives, and hands all of it on.

Every queue and every handler has bounds of its own, so a flood costs its sender's messages only.
What is harmless must still be told, for who floods is broken or means harm.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from tetrarch.network.ports import MessageBus, MessageHandler, Topic
from tetrarch.network.wrapped_bus import WrappedBus

WINDOW_S = 10.0
# In a window. An honest peer says at most what its outbox holds, when it comes back after an
# outage; else a few dozen messages a slot.
MESSAGES_MAX = 4096


@dataclass(slots=True)
class _Window:
    began_s: float
    messages: int = 0


class FloodWatch(WrappedBus):
    """Satisfies ``MessageBus``. Calls ``on_flood`` with the peer, at most once a window."""

    def __init__(self, bus: MessageBus, *, on_flood: Callable[[int], None]) -> None:
        super().__init__(bus)
        self._on_flood = on_flood
        self._windows: dict[int, _Window] = {}

    def subscribe(self, topic: Topic, handler: MessageHandler) -> None:
        """See ``MessageBus``."""

        async def counted(peer: int, payload: bytes) -> None:
            self._count(peer)
            await handler(peer, payload)

        self._bus.subscribe(topic, counted)

    def _count(self, peer: int) -> None:
        now_s = asyncio.get_running_loop().time()
        window = self._windows.get(peer)
        if window is None or now_s >= window.began_s + WINDOW_S:
            window = self._windows[peer] = _Window(now_s)
        window.messages += 1
        if window.messages == MESSAGES_MAX + 1:
            self._on_flood(peer)
