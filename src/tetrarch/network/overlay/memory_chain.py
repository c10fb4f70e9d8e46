"""A chain in memory, for tests and trials: blocks follow a parent, anybody may make one, the longest wins.

    block      parent 32 | height u32 | number u32 | content
    header     BLAKE2b-256 of the content, after parent, height and number: 72 bytes

Content that begins with ``INVALID`` is not valid, so that tests can send what no honest node would.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice

from tetrarch.network.overlay.chain import HeaderSummary, Tip, Verdict
from tetrarch.network.overlay.messages import CONTENT_MAX_BYTES
from tetrarch.network.overlay.profile import BLOCKS, Topic
from tetrarch.network.overlay.spreading import ItemId

INVALID = b"invalid"
_PREFIX_SIZE_BYTES = 32 + 4 + 4
_HEADER_SIZE_BYTES = _PREFIX_SIZE_BYTES + 32
_FRAGMENTS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class MemoryBlock:
    """One block, decoded."""

    block: ItemId
    parent: ItemId
    height: int
    data: bytes

    @property
    def header(self) -> bytes:
        """What identifies it: its hash is its id."""
        return _header(self.data)


def make_block(parent: Tip, number: int, content: bytes) -> bytes:
    """A block after ``parent``; ``number`` tells apart what was made at the same place."""
    height = (parent.height + 1).to_bytes(4, "big")
    return parent.block + height + number.to_bytes(4, "big") + content


ENDS_MAX = 16  # of other branches that others are told of


class MemoryChain:
    """Implements ``ChainPort``."""

    def __init__(self, name: bytes = b"memory") -> None:
        genesis = bytes(_PREFIX_SIZE_BYTES) + name
        first = _decode(genesis)
        self._blocks = {first.block: first}
        self._ends: dict[ItemId, None] = {first.block: None}  # of branches, as they came
        self._fragments: dict[ItemId, bytes] = {}
        self._tip = first
        self._main = [first.block]  # by height

    @property
    def block0(self) -> ItemId:
        """The first block."""
        return self._main[0]

    @property
    def content_max_bytes(self) -> int:
        """4 MiB."""
        return CONTENT_MAX_BYTES

    def tip(self) -> Tip:
        """The highest block; the first that came of several."""
        return Tip(self._tip.block, self._tip.height, self._tip.header)

    def item_id(self, topic: Topic, content: bytes) -> ItemId:
        """A hash. Raises ValueError: too short for a block."""
        if topic == BLOCKS:
            return _decode(content).block
        return ItemId(blake2b(content, digest_size=32).digest())

    def read_header(self, header: bytes) -> HeaderSummary:
        """Raises ValueError: it is not 72 bytes."""
        if len(header) != _HEADER_SIZE_BYTES:
            raise ValueError("a header has 72 bytes")
        return HeaderSummary(
            block=ItemId(blake2b(header, digest_size=32).digest()),
            parent=ItemId(header[:32]),
            height=int.from_bytes(header[32:36], "big"),
        )

    def height_of(self, block: ItemId) -> int | None:
        """Of a block that is here."""
        found = self._blocks.get(block)
        return None if found is None else found.height

    def has(self, topic: Topic, item: ItemId) -> bool:
        """Whether it is here."""
        return item in (self._blocks if topic == BLOCKS else self._fragments)

    async def content(self, topic: Topic, item: ItemId) -> bytes | None:
        """An item that is here."""
        if topic == BLOCKS:
            block = self._blocks.get(item)
            return None if block is None else block.data
        return self._fragments.get(item)

    async def take(self, topic: Topic, content: bytes) -> Verdict:
        """Judge, and keep what is new."""
        if topic != BLOCKS:
            return self._take_fragment(content)
        try:
            block = _decode(content)
        except ValueError:
            return Verdict.INVALID
        if block.block in self._blocks:
            return Verdict.KNOWN
        parent = self._blocks.get(block.parent)
        if parent is None:
            return Verdict.ORPHAN
        if block.height != parent.height + 1 or content[_PREFIX_SIZE_BYTES:].startswith(INVALID):
            return Verdict.INVALID
        self._blocks[block.block] = block
        self._ends.pop(block.parent, None)
        self._ends[block.block] = None
        if block.height > self._tip.height:
            self._extend_main(block)
        return Verdict.NEW

    def checkpoints(self) -> tuple[ItemId, ...]:
        """The tip, the ends of other branches, then 1, 2, 4, 8, ... blocks below the tip, and the first."""
        height, step = self._tip.height, 1
        found = [self._main[height], *islice(reversed(self._ends), ENDS_MAX)]
        while height - step > 0:
            found.append(self._main[height - step])
            step *= 2
        return tuple(dict.fromkeys((*found, self.block0)))

    def path(
        self, checkpoints: Sequence[ItemId], to: ItemId | None, *, count_max: int
    ) -> tuple[ItemId, ...]:
        """Of the longest chain."""
        start = next((each for each in checkpoints if self._is_on_main(each)), self.block0)
        first = self._blocks[start].height + 1
        last = self._tip.height
        if to is not None and self._is_on_main(to):
            last = self._blocks[to].height
        return tuple(self._main[first : min(last, first + count_max - 1) + 1])

    def fork_depth(self, tip: ItemId) -> int | None:
        """Our blocks since the last common one."""
        block = self._blocks.get(tip)
        if block is None:
            return None
        while not self._is_on_main(block.block):
            block = self._blocks[block.parent]
        return self._tip.height - block.height if block.block != tip else 0

    async def headers(self, items: Sequence[ItemId]) -> AsyncIterator[bytes]:
        """Of those that are here."""
        for item in items:
            block = self._blocks.get(item)
            if block is not None:
                yield block.header

    async def branches(self, known: Sequence[ItemId]) -> AsyncIterator[ItemId]:
        """In the order in which they came, for a child comes after its parent."""
        left_out: set[ItemId] = set()
        for each in known:
            block = self._blocks.get(each)
            while block is not None and block.block not in left_out:
                left_out.add(block.block)
                block = self._blocks.get(block.parent)
        for item in tuple(self._blocks):
            if item not in left_out:
                yield item

    def main(self) -> Iterable[ItemId]:
        """The longest chain, from the first block."""
        return tuple(self._main)

    def _take_fragment(self, content: bytes) -> Verdict:
        if content.startswith(INVALID):
            return Verdict.INVALID
        item = ItemId(blake2b(content, digest_size=32).digest())
        if item in self._fragments:
            return Verdict.KNOWN
        self._fragments[item] = content
        if len(self._fragments) > _FRAGMENTS_MAX:
            del self._fragments[next(iter(self._fragments))]
        return Verdict.NEW

    def _is_on_main(self, item: ItemId) -> bool:
        block = self._blocks.get(item)
        if block is None or block.height >= len(self._main):
            return False
        return self._main[block.height] == item

    def _extend_main(self, tip: MemoryBlock) -> None:
        self._tip = tip
        del self._main[tip.height + 1 :]
        block = tip
        self._main += [tip.block] * (tip.height + 1 - len(self._main))
        while self._main[block.height] != block.block or block is tip:
            self._main[block.height] = block.block
            if block.height == 0:
                return
            block = self._blocks[block.parent]


def _header(data: bytes) -> bytes:
    content_hash = blake2b(data[_PREFIX_SIZE_BYTES:], digest_size=32).digest()
    return data[:_PREFIX_SIZE_BYTES] + content_hash


def _decode(data: bytes) -> MemoryBlock:
    if len(data) < _PREFIX_SIZE_BYTES:
        raise ValueError("a block has 40 bytes and its content")
    return MemoryBlock(
        block=ItemId(blake2b(_header(data), digest_size=32).digest()),
        parent=ItemId(data[:32]),
        height=int.from_bytes(data[32:36], "big"),
        data=data,
    )
