"""A member saw that a block of an outside network is final there, and that something came in, or went out, with it. Pure.

network u32 | number u64 | its hash 32
"""

from dataclasses import dataclass
from typing import ClassVar, Self

from tetrarch.ledger.custody import (
    BLOCKS_WAITING_MAX,
    ExternalBlock,
    add_external_block,
    network_of,
)
from tetrarch.ledger.fragments.kind import Context, FragmentRefused
from tetrarch.ledger.headers import ID_SIZE_BYTES
from tetrarch.ledger.tables import Draft
from tetrarch.ledger.tallies import choice_of, vote
from tetrarch.ledger.wire import Reader, Writer

NUMBER_MAX = 2**63 - 1  # of a network's blocks: what databases have room for


@dataclass(frozen=True, slots=True)
class ExternalBlockVote:
    """See the module."""

    number: ClassVar[int] = 17
    name: ClassVar[str] = "external_block"
    free_for_voters: ClassVar[bool] = True

    network: int
    block: ExternalBlock

    def write(self, writer: Writer) -> None:
        """See ``Body``."""
        writer.u32(self.network).u64(self.block.number).raw(self.block.block)

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """See ``Body``."""
        network, number = reader.u32(), reader.u64(highest=NUMBER_MAX)
        return cls(network, ExternalBlock(number, reader.raw(ID_SIZE_BYTES)))

    def apply(self, draft: Draft, context: Context) -> None:
        """See ``Body``."""
        network = network_of(draft, self.network)
        if self.block.number <= network.latest:
            raise FragmentRefused(
                "acknowledge block", block=self.block.number, latest=network.latest
            )
        if len(network.blocks) >= BLOCKS_WAITING_MAX:
            raise FragmentRefused(
                "acknowledge block", waiting=len(network.blocks), reason="batches come first"
            )
        about = Writer().u8(self.number).u32(self.network).u64(self.block.number).data
        choice, voter = choice_of(self.block.block), context.payer
        if vote(draft, about=about, choice=choice, voter=voter, height=context.height):
            add_external_block(draft, self.network, self.block)
