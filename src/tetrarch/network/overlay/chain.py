"""The chain behind the overlay, as a port. The network moves its bytes and asks it what they are worth."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from tetrarch.network.overlay.profile import Topic
from tetrarch.network.overlay.spreading import ItemId


class Verdict(Enum):
    """What the chain says of an item."""

    NEW = "new"  # valid, and not here before
    KNOWN = "known"
    ORPHAN = "orphan"  # a block whose parent is not here: it may be valid
    STALE = "stale"  # was valid once, or is not any more: nobody's fault
    INVALID = "invalid"  # no honest node sends it


@dataclass(frozen=True, slots=True)
class Tip:
    """The end of a chain."""

    block: ItemId
    height: int
    header: bytes


@dataclass(frozen=True, slots=True)
class HeaderSummary:
    """What a header says, unproven."""

    block: ItemId
    parent: ItemId
    height: int


class ChainPort(Protocol):
    """What the network asks of a ledger. ``topic`` is blocks or fragments; of ``content`` also states."""

    @property
    def block0(self) -> ItemId:
        """The first block: it names the chain."""
        ...

    @property
    def content_max_bytes(self) -> int:
        """Nothing larger is taken or asked for."""
        ...

    def tip(self) -> Tip:
        """Where our chain ends now."""
        ...

    def item_id(self, topic: Topic, content: bytes) -> ItemId:
        """The hash by which an item is announced. Raises ValueError: it is none."""
        ...

    def read_header(self, header: bytes) -> HeaderSummary:
        """What a block's header says. Raises ValueError: it is none."""
        ...

    def height_of(self, block: ItemId) -> int | None:
        """Of a block that is here."""
        ...

    def has(self, topic: Topic, item: ItemId) -> bool:
        """Whether an item is here, valid."""
        ...

    async def content(self, topic: Topic, item: ItemId) -> bytes | None:
        """An item that is here."""
        ...

    async def take(self, topic: Topic, content: bytes) -> Verdict:
        """Judge an item, and keep it if it is new."""
        ...

    def checkpoints(self) -> tuple[ItemId, ...]:
        """Blocks by which another finds where we part: our tip, the ends of other branches, then our chain's, ever farther apart.

        Without the ends, a branch that is longer than one answer would never come over ours.
        """
        ...

    def path(
        self, checkpoints: Sequence[ItemId], to: ItemId | None, *, count_max: int
    ) -> tuple[ItemId, ...]:
        """Our blocks from the first checkpoint that is on our chain, without it, up to ``to`` or the tip."""
        ...

    def fork_depth(self, tip: ItemId) -> int | None:
        """Our blocks since the last one common with ``tip``'s chain; None: it is not known here."""
        ...

    def headers(self, items: Sequence[ItemId]) -> AsyncIterator[bytes]:
        """Headers of blocks that are here, in the order asked for."""
        ...

    def branches(self, known: Sequence[ItemId]) -> AsyncIterator[ItemId]:
        """All blocks that are here, on whichever branch, parents first, without ``known`` and what is below."""
        ...
