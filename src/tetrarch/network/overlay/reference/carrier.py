"""One link over the reference's three subscriptions: our kinds of messages to its own, and back.

    gossip            -> a list of wrapped records
    announce, item    -> blocks: the header; fragments: the whole fragment, for ids of them it cannot say
    ask, pull         -> wishes, which whoever dialled and whoever was dialled fulfils in its own way
    status            -> the header of our tip

Each subscription has a queue of its own, so a peer that reads no fragments still gets blocks; of a full one
the oldest goes, and is counted.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from tetrarch.errors import PeerFault, invariant
from tetrarch.network.faults import StreamBroken
from tetrarch.network.link import LinkMeters
from tetrarch.network.overlay.chain import ChainPort, HeaderSummary
from tetrarch.network.overlay.messages import (
    Ids,
    Kind,
    OverlayMessageInvalid,
    Records,
    Status,
    decode_gossip,
    decode_ids,
    decode_item,
    decode_pull,
    decode_status,
    encode_gossip,
    encode_ids,
    encode_status,
)
from tetrarch.network.overlay.profile import (
    BLOCKS,
    FRAGMENTS,
    PROFILE_MAX_BYTES,
    NodeId,
    ProfileInvalid,
    decode_profile,
)
from tetrarch.network.overlay.reference.records import is_of_use, own_of, unwrap, wrap
from tetrarch.network.overlay.spreading import ItemId
from tetrarch.network.overlay.topology import PROFILES_MAX

HEADERS_MAX, FRAGMENTS_MAX, GOSSIPS_MAX, WISHES_MAX = 32, 128, 8, 64

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Fetch:
    """Blocks that the peer announced are wanted."""

    items: tuple[ItemId, ...]


@dataclass(frozen=True, slots=True)
class Pull:
    """What the peer's chain has and ours has not is wanted."""

    checkpoints: tuple[ItemId, ...]


Wish: TypeAlias = Fetch | Pull


class Outgoing(Generic[_T]):
    """A bounded queue to one subscription; the oldest goes when it is full."""

    def __init__(self, size: int, *, on_drop: Callable[[], None]) -> None:
        self._items: deque[_T] = deque()
        self._size = size
        self._filled = asyncio.Event()
        self._on_drop = on_drop

    def put(self, item: _T) -> None:
        """Queue one, without waiting."""
        if len(self._items) >= self._size:
            self._items.popleft()
            self._on_drop()
        self._items.append(item)
        self._filled.set()

    async def next(self) -> _T:
        """The oldest; waits for one."""
        while not self._items:
            self._filled.clear()
            await self._filled.wait()
        return self._items.popleft()


class ReferenceCarrier:
    """A link with ``node``; implements ``links.Carrier``. Whoever owns the streams reads the queues."""

    def __init__(
        self,
        node: NodeId,
        chain: ChainPort,
        *,
        deliver: Callable[[int, bytes], None],
        meters: LinkMeters,
        latency_s: float | None = None,
    ) -> None:
        self.node = node
        self.latency_s = latency_s
        self.last: HeaderSummary | None = None  # that it announced
        self._chain = chain
        self._deliver = deliver
        self._meters = meters
        self.headers: Outgoing[ItemId] = self._outgoing(HEADERS_MAX, Kind.ANNOUNCE)
        self.fragments: Outgoing[ItemId] = self._outgoing(FRAGMENTS_MAX, Kind.ITEM)
        self.gossip: Outgoing[tuple[bytes, ...]] = self._outgoing(GOSSIPS_MAX, Kind.GOSSIP)
        self.wishes: Outgoing[Wish] = self._outgoing(WISHES_MAX, Kind.ASK)
        self._closed: asyncio.Future[StreamBroken | PeerFault] = (
            asyncio.get_running_loop().create_future()
        )

    @property
    def backlog_bytes(self) -> int:
        """Ids wait, and nothing larger."""
        return 0

    def close(self, why: StreamBroken | PeerFault) -> None:
        """Make ``run`` end with ``why``."""
        if not self._closed.done():
            self._closed.set_result(why)

    async def run(self) -> None:
        """Never returns. Raises what ``close`` was told, in each task that waits here."""
        raise await asyncio.shield(self._closed)

    def put(self, kind: int, payload: bytes) -> None:
        """Send one message of a ``messages.Kind``, whose payload is our own."""
        match kind:
            case Kind.GOSSIP:
                self._put_gossip(decode_gossip(payload))
            case Kind.ANNOUNCE:
                ids = decode_ids(payload)
                for item in ids.items:
                    (self.headers if ids.topic == BLOCKS else self.fragments).put(item)
            case Kind.ITEM:
                content = decode_item(payload)
                item = self._chain.item_id(content.topic, content.content)
                (self.headers if content.topic == BLOCKS else self.fragments).put(item)
            case Kind.ASK:
                ids = decode_ids(payload)
                if ids.topic == BLOCKS:  # it announces no fragments, so none is asked for
                    self.wishes.put(Fetch(ids.items))
            case Kind.STATUS:
                self.headers.put(decode_status(payload).tip)
            case Kind.PULL:
                self.wishes.put(Pull(decode_pull(payload)))
            case _:
                invariant(False, "whoever sends uses the kinds that there are")
        self._meters.count_sent(kind)

    # -- what came ----------------------------------------------------------------------------------

    def hear_header(self, header: bytes) -> None:
        """It announces a block.

        Raises:
            OverlayMessageInvalid: the chain cannot read it.
        """
        summary = self._read(header)
        self.last = summary
        if self._chain.has(BLOCKS, summary.parent):
            self._hear(Kind.ANNOUNCE, encode_ids(Ids(BLOCKS, (summary.block,))))
        else:
            self.hear_last()

    def hear_last(self) -> None:
        """Its chain ends with what it announced last: we may want more of it."""
        if self.last is not None:
            self._hear(Kind.STATUS, encode_status(Status(self.last.block, self.last.height)))

    def hear_tip(self, header: bytes) -> None:
        """It was asked where its chain ends. Raises OverlayMessageInvalid: the chain cannot read it."""
        self.last = self._read(header)
        self.hear_last()

    def hear_block(self, content: bytes) -> None:
        """It sent a whole block."""
        self._hear(Kind.ITEM, BLOCKS + content)

    def hear_fragment(self, content: bytes) -> None:
        """It sent a fragment."""
        self._hear(Kind.ITEM, FRAGMENTS + content)

    def hear_gossip(self, nodes: Iterable[bytes]) -> None:
        """It sent profiles; more than anybody has use for are left out."""
        records = [unwrap(each)[:PROFILE_MAX_BYTES] for each in nodes]
        own = own_of(records, self.node)
        others = tuple(record for record in records if record != own)[: PROFILES_MAX - 1]
        self._hear(Kind.GOSSIP, encode_gossip(Records(own, (), others)))

    def read_headers(self, headers: Iterable[bytes]) -> tuple[ItemId, ...]:
        """Ids of a part of its chain, each header the child of the one before.

        Raises:
            OverlayMessageInvalid: it is no such part.
        """
        ids: list[ItemId] = []
        for header in headers:
            summary = self._read(header)
            if ids and summary.parent != ids[-1]:
                raise OverlayMessageInvalid("read headers", reason="they are no chain")
            ids.append(summary.block)
        return tuple(ids)

    def _read(self, header: bytes) -> HeaderSummary:
        try:
            return self._chain.read_header(header)
        except ValueError:
            raise OverlayMessageInvalid("read header", reason="its chain cannot read it") from None

    def _hear(self, kind: Kind, payload: bytes) -> None:
        self._meters.count_received(kind)
        self._deliver(kind, payload)

    def _put_gossip(self, records: Records) -> None:
        told: list[bytes] = []
        for record in (*records.swapped, *records.others, records.own):
            try:
                profile = decode_profile(record)
            except ProfileInvalid:  # our own, or of one that was read before
                continue
            if is_of_use(profile):
                told.append(wrap(record))
        if told:
            self.gossip.put(tuple(told))

    def _outgoing(self, size: int, kind: Kind) -> Outgoing[_T]:
        return Outgoing(size, on_drop=lambda: self._meters.count_dropped(kind, "slow"))
