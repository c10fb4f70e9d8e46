"""The mesh's two queues. Both bounded; both drop the *oldest* when full.

Everything on the mesh serves a duty with a deadline, and a later message of the same sender
(a higher round, a newer slot) makes an earlier one worth less: old goes first. No queue makes
anyone wait: a slow peer loses its own messages only, a slow handler its own topic's only.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from tetrarch.network.frames import (
    BATCH_ENTRY_OVERHEAD,
    BATCH_MESSAGES_MAX,
    FRAME_SIZE_MAX,
    PAYLOAD_SIZE_MAX,
    encode_batch,
)
from tetrarch.network.ports import MessageHandler

OUTBOX_MESSAGES_MAX = 4096
OUTBOX_BYTES_MAX = 2 * FRAME_SIZE_MAX
INBOX_MESSAGES_MAX = 2048  # per topic and peer
INBOX_BYTES_MAX = 2 * FRAME_SIZE_MAX
BATCH_SIZE_GOAL = 256 * 1024  # a batch ends here, so that later small messages need not wait long
_TURNS_MAX = 64  # messages handled before other tasks get the loop, whatever the handler does

Messages: TypeAlias = tuple[tuple[int, bytes], ...]
Dropped: TypeAlias = Callable[[int, str], None]  # topic, reason


class Outbox:
    """Messages for one open stream, with one place each for a ping and a pong before them."""

    def __init__(self, *, on_drop: Dropped) -> None:
        self._messages: deque[tuple[int, bytes]] = deque()
        self._bytes = 0
        self._ping: bytes | None = None
        self._pong: bytes | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._on_drop = on_drop

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def size_bytes(self) -> int:
        """Of the payloads that wait."""
        return self._bytes

    def put(self, topic: int, payload: bytes) -> None:
        """Queue one message of at most ``PAYLOAD_SIZE_MAX`` bytes; may drop older ones."""
        messages = self._messages
        messages.append((topic, payload))
        self._bytes += len(payload)
        while len(messages) > OUTBOX_MESSAGES_MAX or self._bytes > OUTBOX_BYTES_MAX:
            old_topic, old = messages.popleft()
            self._bytes -= len(old)
            self._on_drop(old_topic, "outbox_full")
        self._wake()

    def put_ping(self, frame: bytes) -> None:
        """Send ``frame`` next. An unsent older ping is replaced."""
        self._ping = frame
        self._wake()

    def put_pong(self, frame: bytes) -> None:
        """Send ``frame`` next. An unsent older pong is replaced, so a flood of pings is free."""
        self._pong = frame
        self._wake()

    def clear(self) -> None:
        """Drop everything: the stream is gone."""
        for topic, _ in self._messages:
            self._on_drop(topic, "link_lost")
        self._messages.clear()
        self._bytes = 0

    async def next_frame(self) -> tuple[bytes, Messages]:
        """Wait for something to send. Returns the frame and the messages in it."""
        while not (self._messages or self._ping or self._pong):
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self._pong is not None:
            frame, self._pong = self._pong, None
            return frame, ()
        if self._ping is not None:
            frame, self._ping = self._ping, None
            return frame, ()
        batch = self._take_batch()
        return encode_batch(batch), batch

    def _take_batch(self) -> Messages:
        messages = self._messages
        batch = [messages.popleft()]
        size = 1 + BATCH_ENTRY_OVERHEAD + len(batch[0][1])
        while messages and len(batch) < BATCH_MESSAGES_MAX:
            size += BATCH_ENTRY_OVERHEAD + len(messages[0][1])
            if size > BATCH_SIZE_GOAL:
                break
            batch.append(messages.popleft())
        self._bytes -= sum([len(payload) for _, payload in batch])
        return tuple(batch)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Inbox:
    """Received messages of one topic, handled one at a time, the peers in turn."""

    def __init__(self, handler: MessageHandler, *, on_drop: Callable[[int], None]) -> None:
        self._handler = handler
        self._on_drop = on_drop  # called with the peer
        self._by_peer: dict[int, deque[bytes]] = {}
        self._bytes: dict[int, int] = {}
        self._turns: deque[int] = deque()  # peers with messages, each once
        self._waiter: asyncio.Future[None] | None = None

    def put(self, peer: int, payload: bytes) -> None:
        """Queue one message; may drop older ones of the same peer."""
        queue = self._by_peer.setdefault(peer, deque())
        if not queue:
            self._turns.append(peer)
        queue.append(payload)
        size = self._bytes.get(peer, 0) + len(payload)
        while len(queue) > 1 and (len(queue) > INBOX_MESSAGES_MAX or size > INBOX_BYTES_MAX):
            size -= len(queue.popleft())
            self._on_drop(peer)
        self._bytes[peer] = size
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def run(self) -> None:
        """Hand messages to the handler until cancelled; the handler's exceptions come out."""
        loop = asyncio.get_running_loop()
        turns = self._turns
        while True:
            if not turns:
                self._waiter = loop.create_future()
                await self._waiter
            for _ in range(_TURNS_MAX):
                if not turns:
                    break
                peer = turns.popleft()
                queue = self._by_peer[peer]
                payload = queue.popleft()
                self._bytes[peer] -= len(payload)
                if queue:
                    turns.append(peer)
                await self._handler(peer, payload)
            else:
                await asyncio.sleep(0)


def fits(payload: bytes) -> bool:
    """Whether a frame can carry ``payload``."""
    return len(payload) <= PAYLOAD_SIZE_MAX
