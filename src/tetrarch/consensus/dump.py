"""What a node said and heard in consensus, kept for the one who asks why a duty took so long.

``MessageDump`` keeps the newest payloads, bounded in bytes; ``RecordingBus`` fills it, between
consensus and the bus; ``Dump`` is the file, which ``consensus.replay`` turns into a story.
"""

from collections import deque

import msgspec

from tetrarch.clock import Clock
from tetrarch.decoding import UNDECODABLE
from tetrarch.errors import InputInvalid
from tetrarch.network.ports import MessageBus, MessageHandler, Topic
from tetrarch.network.wrapped_bus import WrappedBus

FORMAT = "tetrarch consensus dump 1"
SIZE_BYTES_MAX = 16 * 1024 * 1024
FILE_SIZE_BYTES_MAX = 4 * SIZE_BYTES_MAX
ENTRY_COST_BYTES = 200  # of one kept payload beside its bytes
NODES_MAX = 256


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One payload. ``peer``: whom it came from, or went to; None: all peers."""

    at_s: float  # wall clock
    sent: bool
    peer: int | None
    payload: bytes


class Dump(msgspec.Struct, frozen=True, kw_only=True):
    """All that one node kept. ``dropped`` older payloads are not there any more."""

    format: str
    cluster_hash: str
    node_count: int
    own_index: int
    dropped: int
    entries: tuple[Entry, ...]


class MessageDump:
    """First in, first out; a larger payload than all that may be kept is left out."""

    def __init__(
        self,
        *,
        cluster_hash: str,
        node_count: int,
        own_index: int,
        size_bytes_max: int = SIZE_BYTES_MAX,
    ) -> None:
        self._cluster_hash = cluster_hash
        self._node_count = node_count
        self._own_index = own_index
        self._size_bytes_max = size_bytes_max
        self._entries: deque[Entry] = deque()
        self._dropped = 0
        self.size_bytes = 0

    def add(self, entry: Entry) -> None:
        """Keep ``entry`` and let go of the oldest ones that have no room beside it."""
        self._entries.append(entry)
        self.size_bytes += len(entry.payload) + ENTRY_COST_BYTES
        while self.size_bytes > self._size_bytes_max:
            oldest = self._entries.popleft()
            self.size_bytes -= len(oldest.payload) + ENTRY_COST_BYTES
            self._dropped += 1

    def snapshot(self) -> Dump:
        """What is kept now."""
        return Dump(
            format=FORMAT,
            cluster_hash=self._cluster_hash,
            node_count=self._node_count,
            own_index=self._own_index,
            dropped=self._dropped,
            entries=tuple(self._entries),
        )


class RecordingBus(WrappedBus):
    """A ``MessageBus`` that keeps what goes over ``Topic.CONSENSUS``, both ways."""

    def __init__(self, bus: MessageBus, dump: MessageDump, clock: Clock) -> None:
        super().__init__(bus)
        self._dump = dump
        self._clock = clock

    def send(self, peer: int, topic: Topic, payload: bytes) -> bool:
        """See ``MessageBus``. Kept also where the peer is away: the node said it."""
        self._keep(topic, payload, sent=True, peer=peer)
        return self._bus.send(peer, topic, payload)

    def broadcast(self, topic: Topic, payload: bytes) -> None:
        """See ``MessageBus``."""
        self._keep(topic, payload, sent=True, peer=None)
        self._bus.broadcast(topic, payload)

    def subscribe(self, topic: Topic, handler: MessageHandler) -> None:
        """See ``MessageBus``."""

        async def kept(peer: int, payload: bytes) -> None:
            self._keep(topic, payload, sent=False, peer=peer)
            await handler(peer, payload)

        self._bus.subscribe(topic, kept if topic is Topic.CONSENSUS else handler)

    def _keep(self, topic: Topic, payload: bytes, *, sent: bool, peer: int | None) -> None:
        if topic is Topic.CONSENSUS:
            self._dump.add(Entry(self._clock.wall_s(), sent, peer, payload))


def encode_dump(dump: Dump) -> bytes:
    """As JSON: payloads in base64."""
    return msgspec.json.encode(dump)


def decode_dump(data: bytes) -> Dump:
    """Read a dump from outside.

    Raises:
        InputInvalid: it is none, or one of another format.
    """
    try:
        dump = msgspec.json.decode(data, type=Dump)
    except UNDECODABLE as error:
        raise InputInvalid("read consensus dump", reason=str(error)) from None
    if dump.format != FORMAT:
        raise InputInvalid("read consensus dump", format=dump.format[:64], expected=FORMAT)
    if not 0 < dump.node_count <= NODES_MAX or not 0 <= dump.own_index < dump.node_count:
        raise InputInvalid("read consensus dump", node_count=dump.node_count, own=dump.own_index)
    return dump
