"""What others ask a ledger: the reading side of the overlay's chain port.

All of it is of one moment but what is read from disk, which a block that was dropped meanwhile may not be in any more.
"""

from collections.abc import AsyncIterator, Sequence

from tetrarch.errors import PeerFault
from tetrarch.ledger.blocks import (
    CONTENT_SIZE_BYTES_MAX,
    Fragment,
    FragmentId,
    decode_block,
    fragment_id,
)
from tetrarch.ledger.headers import (
    PRAOS_SIZE_BYTES,
    BlockId,
    decode_header,
    encode_header,
    read_header,
)
from tetrarch.ledger.main_chain import MainChain
from tetrarch.ledger.mempool import Mempool
from tetrarch.ledger.state_giving import StateGiving
from tetrarch.ledger.state_parts import PART_SIZE_BYTES_MAX
from tetrarch.ledger.store import LedgerStore
from tetrarch.ledger.tidings import Tidings
from tetrarch.ledger.tree import Tree
from tetrarch.network.overlay.chain import HeaderSummary, Tip
from tetrarch.network.overlay.profile import BLOCKS, STATES, Topic
from tetrarch.network.overlay.spreading import ItemId


class Answers:
    """Of a chain: blocks on disk, those that are not final, what waits, and votes."""

    def __init__(
        self,
        store: LedgerStore,
        tree: Tree,
        main: MainChain,
        mempool: Mempool,
        tidings: Tidings,
        *,
        giving: StateGiving,
    ) -> None:
        self.tree = tree
        self.main = main
        self.mempool = mempool
        self.tidings = tidings
        self.giving = giving
        self._store = store

    @property
    def block0(self) -> ItemId:
        """The first block."""
        return ItemId(self.main.block0)

    @property
    def content_max_bytes(self) -> int:
        """A header, and the largest content; or a part of a state."""
        return max(1 + PRAOS_SIZE_BYTES + CONTENT_SIZE_BYTES_MAX, PART_SIZE_BYTES_MAX)

    def tip(self) -> Tip:
        """The end of the branch that counts."""
        tip = self.tree.tip
        return Tip(ItemId(tip.id), tip.header.chain_length, encode_header(tip.header))

    def item_id(self, topic: Topic, content: bytes) -> ItemId:
        """See ``ChainPort``."""
        if topic != BLOCKS:
            return ItemId(fragment_id(Fragment(content)))
        try:
            # Whether the rest is its content, ``take`` says.
            return ItemId(read_header(content)[0].id)
        except PeerFault as fault:
            raise ValueError(str(fault)) from None

    def read_header(self, header: bytes) -> HeaderSummary:
        """See ``ChainPort``."""
        try:
            read = decode_header(header)
        except PeerFault as fault:
            raise ValueError(str(fault)) from None
        return HeaderSummary(ItemId(read.id), ItemId(read.parent), read.chain_length)

    def height_of(self, block: ItemId) -> int | None:
        """How many blocks are before it."""
        return self.main.length_of(BlockId(block))

    def has(self, topic: Topic, item: ItemId) -> bool:
        """See ``ChainPort``."""
        if topic == BLOCKS:
            return self.height_of(item) is not None
        fragment = FragmentId(item)
        return fragment in self.mempool or fragment in self.tidings

    async def content(self, topic: Topic, item: ItemId) -> bytes | None:
        """See ``ChainPort``."""
        if topic == STATES:
            return await self.giving.part(item)
        if topic != BLOCKS:
            return self._fragment(FragmentId(item))
        return await self._store.block(BlockId(item)) if self.has(BLOCKS, item) else None

    def _fragment(self, item: FragmentId) -> bytes | None:
        return self.tidings.get(item) or self.mempool.get(item)

    def checkpoints(self) -> tuple[ItemId, ...]:
        """See ``ChainPort``."""
        return tuple(map(ItemId, self.main.checkpoints()))

    def path(
        self, checkpoints: Sequence[ItemId], to: ItemId | None, *, count_max: int
    ) -> tuple[ItemId, ...]:
        """See ``ChainPort``."""
        end = None if to is None else BlockId(to)
        found = self.main.path(list(map(BlockId, checkpoints)), end, count_max=count_max)
        return tuple(map(ItemId, found))

    def fork_depth(self, tip: ItemId) -> int | None:
        """See ``ChainPort``."""
        return self.main.fork_depth(BlockId(tip))

    async def headers(self, items: Sequence[ItemId]) -> AsyncIterator[bytes]:
        """See ``ChainPort``."""
        for item in items:
            place = self.tree.get(BlockId(item))
            if place is not None:
                yield encode_header(place.header)
            elif (data := await self.content(BLOCKS, item)) is not None:
                yield encode_header(decode_block(data).header)

    async def branches(self, known: Sequence[ItemId]) -> AsyncIterator[ItemId]:
        """See ``ChainPort``."""
        for block in tuple(self.main.branches(list(map(BlockId, known)))):
            yield ItemId(block)
