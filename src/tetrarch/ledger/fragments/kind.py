"""What every kind of fragment gives, and what it is given. Pure."""

from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

from tetrarch.errors import PeerFault
from tetrarch.ledger.accounts import AccountId
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.headers import BlockId
from tetrarch.ledger.parameters import Parameters
from tetrarch.ledger.settings import settings_of
from tetrarch.ledger.tables import Draft, View
from tetrarch.ledger.wire import Reader, Writer


class FragmentRefused(PeerFault):
    """A fragment that does not hold in the state that it comes to."""

    code = "fragment_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The block that fragments come to, and what holds there."""

    date: BlockDate
    slot: int  # of the chain
    height: int
    block0: BlockId
    parameters: Parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Context(Where):
    """The same for one of them: who pays."""

    payer: AccountId


def where_upon(view: View, date: BlockDate, *, height: int, block0: BlockId) -> Where:
    """The block of ``date`` and ``height``, with ``view`` as it begins."""
    settings = settings_of(view)
    slot = settings.era.slot(date)
    return Where(date=date, slot=slot, height=height, block0=block0, parameters=settings.parameters)


class Body(Protocol):
    """One kind's content. Values are frozen; two of the same content have the same bytes."""

    number: ClassVar[int]  # on the wire; never used again
    name: ClassVar[str]
    free_for_voters: ClassVar[bool]  # who makes blocks final pays nothing for it

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
