"""An instance's queue: peers' messages are bounded and may be dropped, own events never."""

import asyncio
from dataclasses import dataclass
from typing import TypeAlias

from tetrarch.consensus.codec import VALUE_SIZE_MAX_BYTES, Item
from tetrarch.consensus.events import Event

PEER_PENDING_MAX = 64  # payloads of one peer that wait to be looked at
PEER_PENDING_MAX_BYTES = VALUE_SIZE_MAX_BYTES + 1024 * 1024
PEER_PAYLOADS_MAX = 1_000  # of one peer in the whole life of an instance


@dataclass(frozen=True, slots=True)
class FromPeer:
    """What one payload of ``peer`` says about the instance's duty."""

    peer: int
    items: tuple[Item, ...]
    size_bytes: int


@dataclass(slots=True)
class _Account:
    payloads: int = 0
    pending: int = 0
    pending_bytes: int = 0


Entry: TypeAlias = Event | FromPeer


class Inbox:
    """First in, first out. A flooding peer exhausts its own account and nobody else's."""

    def __init__(self, node_count: int) -> None:
        self._entries: asyncio.Queue[Entry] = asyncio.Queue()
        self._accounts = [_Account() for _ in range(node_count)]

    def put(self, event: Event) -> None:
        """Add an own event."""
        self._entries.put_nowait(event)

    def offer(self, message: FromPeer) -> str | None:
        """Add a peer's message; the reason if it is dropped instead."""
        account = self._accounts[message.peer]
        if account.payloads >= PEER_PAYLOADS_MAX:
            return "peer_budget"
        if account.pending >= PEER_PENDING_MAX:
            return "inbox_full"
        if account.pending and account.pending_bytes + message.size_bytes > PEER_PENDING_MAX_BYTES:
            return "inbox_full"
        account.payloads += 1
        account.pending += 1
        account.pending_bytes += message.size_bytes
        self._entries.put_nowait(message)
        return None

    async def get(self) -> Entry:
        """The next entry; waits for one."""
        return self._release(await self._entries.get())

    def get_ready(self) -> Entry | None:
        """The next entry if one is there."""
        return None if self._entries.empty() else self._release(self._entries.get_nowait())

    def _release(self, entry: Entry) -> Entry:
        if isinstance(entry, FromPeer):
            account = self._accounts[entry.peer]
            account.pending -= 1
            account.pending_bytes -= entry.size_bytes
        return entry
