"""Messages of all links, handled one at a time, the nodes in turn. Bounded: the oldest of a node go first."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from tetrarch.network.overlay.profile import NodeId

MESSAGES_MAX = 1024  # of one node
BYTES_MAX = 16 << 20
TOTAL_BYTES_MAX = 128 << 20  # of all nodes; whoever has most loses first
_TURNS_MAX = 64  # messages handled before other tasks get the loop, whatever the handler does

Handler: TypeAlias = Callable[[NodeId, int, bytes], Awaitable[None]]


class FairInbox:
    """One queue of each node. Who sends much waits for its own turn only."""

    def __init__(self, handler: Handler, *, on_drop: Callable[[NodeId, int], None]) -> None:
        """``on_drop`` is called with the node, and the kind of what was dropped."""
        self._handler = handler
        self._on_drop = on_drop
        self._queues: dict[NodeId, deque[tuple[int, bytes]]] = {}
        self._bytes: dict[NodeId, int] = {}
        self._total_bytes = 0
        self._turns: deque[NodeId] = deque()  # nodes with messages, each once
        self._filled = asyncio.Event()

    def put(self, node: NodeId, kind: int, payload: bytes) -> None:
        """Queue one message; may drop older ones of the same node."""
        queue = self._queues.get(node)
        if queue is None:
            queue = self._queues[node] = deque()
            self._bytes[node] = 0
            self._turns.append(node)
        queue.append((kind, payload))
        self._count(node, len(payload))
        while len(queue) > MESSAGES_MAX or self._bytes[node] > BYTES_MAX:
            self._drop(node)
        while self._total_bytes > TOTAL_BYTES_MAX:
            self._drop(max(self._bytes, key=lambda each: self._bytes[each]))
        self._filled.set()

    def forget(self, node: NodeId) -> None:
        """Its link is gone: nothing of it is handled any more."""
        if self._queues.pop(node, None) is not None:
            self._total_bytes -= self._bytes.pop(node)
            self._turns.remove(node)

    async def run(self) -> None:
        """Hand messages to the handler until cancelled; the handler's exceptions come out."""
        while True:
            if not self._turns:
                self._filled.clear()
                await self._filled.wait()
            for _ in range(_TURNS_MAX):
                if not self._turns:
                    break
                node = self._turns.popleft()
                queue = self._queues[node]
                kind, payload = queue.popleft()
                self._count(node, -len(payload))
                if queue:
                    self._turns.append(node)
                else:
                    del self._queues[node], self._bytes[node]
                await self._handler(node, kind, payload)
            else:
                await asyncio.sleep(0)

    def _drop(self, node: NodeId) -> None:
        kind, payload = self._queues[node].popleft()
        self._count(node, -len(payload))
        if not self._queues[node]:
            self.forget(node)
        self._on_drop(node, kind)

    def _count(self, node: NodeId, size_bytes: int) -> None:
        self._bytes[node] += size_bytes
        self._total_bytes += size_bytes
