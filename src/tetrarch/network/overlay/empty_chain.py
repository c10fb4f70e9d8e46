"""The chain of an overlay that carries none yet: its first block, and no other. Pure.

A cluster's nodes use it until there is a ledger: they find each other and keep their links, and whatever
anybody sends is neither kept nor anybody's fault.
"""

from collections.abc import AsyncIterator, Sequence
from hashlib import blake2b

from tetrarch.network.overlay.chain import HeaderSummary, Tip, Verdict
from tetrarch.network.overlay.profile import Topic
from tetrarch.network.overlay.spreading import ItemId

ID_SIZE_BYTES = 32
_CONTENT_MAX_BYTES = 64 << 10


class EmptyChain:
    """Implements ``ChainPort``. ``block0`` names the chain: who has another one is not talked with."""

    def __init__(self, block0: bytes) -> None:
        self._block0 = ItemId(block0)

    @property
    def block0(self) -> ItemId:
        """The first block, and the last."""
        return self._block0

    @property
    def content_max_bytes(self) -> int:
        """64 kiB: nothing of it is kept."""
        return _CONTENT_MAX_BYTES

    def tip(self) -> Tip:
        """The first block."""
        return Tip(self._block0, 0, self._block0)

    def item_id(self, topic: Topic, content: bytes) -> ItemId:
        """A hash."""
        del topic
        return ItemId(blake2b(content, digest_size=ID_SIZE_BYTES).digest())

    def read_header(self, header: bytes) -> HeaderSummary:
        """The first block's is its id. Raises ValueError: it is another."""
        if header != self._block0:
            raise ValueError("there is one block here")
        return HeaderSummary(self._block0, self._block0, 0)

    def height_of(self, block: ItemId) -> int | None:
        """0, of the only one."""
        return 0 if block == self._block0 else None

    def has(self, topic: Topic, item: ItemId) -> bool:
        """Whether it is the first block."""
        del topic
        return item == self._block0

    async def content(self, topic: Topic, item: ItemId) -> bytes | None:
        """Nothing has any."""
        del topic, item
        return None

    async def take(self, topic: Topic, content: bytes) -> Verdict:
        """Nothing is kept; whoever sends it may have a ledger already."""
        del topic, content
        return Verdict.STALE

    def checkpoints(self) -> tuple[ItemId, ...]:
        """The first block."""
        return (self._block0,)

    def path(
        self, checkpoints: Sequence[ItemId], to: ItemId | None, *, count_max: int
    ) -> tuple[ItemId, ...]:
        """Nothing comes after it."""
        del checkpoints, to, count_max
        return ()

    def fork_depth(self, tip: ItemId) -> int | None:
        """0, of the only one."""
        return 0 if tip == self._block0 else None

    async def headers(self, items: Sequence[ItemId]) -> AsyncIterator[bytes]:
        """Of the first block."""
        for item in items:
            if item == self._block0:
                yield self._block0

    async def branches(self, known: Sequence[ItemId]) -> AsyncIterator[ItemId]:
        """None has content."""
        del known
        nothing: tuple[ItemId, ...] = ()
        for item in nothing:
            yield item
