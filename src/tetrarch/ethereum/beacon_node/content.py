"""What a block says of validators' messages: whose votes it took up. Values, and their part of the port.

Read by ``duties.inclusion``. A block's other content is of no interest here.
"""

from dataclasses import dataclass
from typing import Protocol

from tetrarch.ethereum.spec.values import AttestationData


@dataclass(frozen=True, slots=True)
class BitField:
    """Bits as SSZ packs them, the lowest first."""

    data: bytes
    length: int

    def is_set(self, place: int) -> bool:
        """Whether bit ``place`` is there and set."""
        return 0 <= place < self.length and bool(self.data[place >> 3] >> (place & 7) & 1)

    def set_places(self) -> tuple[int, ...]:
        """All places that are set, ascending."""
        return tuple(place for place in range(self.length) if self.is_set(place))


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockVotes:
    """An aggregate in a block. ``committees`` is None before Electra: ``data.index`` says which."""

    data: AttestationData
    voters: BitField
    committees: tuple[int, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockContent:
    """A block's place in the chain and the messages that it took up."""

    slot: int
    proposer_index: int
    parent_root: bytes
    votes: tuple[BlockVotes, ...]
    sync_voters: BitField | None  # by place in the sync committee; None before Altair


class BlockContents(Protocol):
    """A part of ``ports.BeaconNode``, which says what its methods raise."""

    async def block_content(self, root: bytes) -> BlockContent | None:
        """Of the block with that root; None: the node does not know it."""
        ...

    async def committee_lengths(self, slot: int) -> tuple[int, ...]:
        """How many members each committee of a recent slot has, by committee index."""
        ...
