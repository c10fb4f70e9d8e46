"""What every kind of fragment gives, and what it is given. Pure."""

from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

from tetrarch.errors import PeerFault
from tetrarch.ledger.accounts import AccountId
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.parameters import Parameters
from tetrarch.ledger.tables import Draft
from tetrarch.ledger.wire import Reader, Writer


class FragmentRefused(PeerFault):
    """A fragment that does not hold in the state that it comes to."""

    code = "fragment_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Where a fragment comes to: the block's date and slot, what holds there, and who pays."""

    date: BlockDate
    slot: int  # of the chain
    parameters: Parameters
    payer: AccountId


class Body(Protocol):
    """One kind's content. Values are frozen; two of the same content have the same bytes."""

    number: ClassVar[int]  # on the wire; never used again
    name: ClassVar[str]

    def write(self, writer: Writer) -> None:
        """Its bytes."""
        ...

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """From its bytes. Raises BytesInvalid: they are none."""
        ...

    def apply(self, draft: Draft, context: Context) -> None:
        """Change the state. Raises a PeerFault, and leaves the draft to be dropped: it does not hold."""
        ...
