"""What belongs to nobody: fees that were paid, and what rewards are paid from. Pure."""

from dataclasses import dataclass, replace
from typing import Final

from tetrarch.ledger.tables import Draft, Table, View

_ONE: Final = b""  # the table has one row


@dataclass(frozen=True, slots=True)
class Pots:
    """``fees`` of the epoch go to those who made its blocks; ``rewards`` are what is left to be given out."""

    fees: int = 0
    rewards: int = 0
    treasury: int = 0


POTS: Final = Table("pots", Pots)


def pots_of(view: View) -> Pots:
    """As they are."""
    return POTS.get(view, _ONE) or Pots()


def put_pots(draft: Draft, pots: Pots) -> None:
    """As they are from now on."""
    POTS.put(draft, _ONE, pots)


def add_fee(draft: Draft, fee: int) -> None:
    """Somebody paid it."""
    if fee:
        pots = pots_of(draft)
        put_pots(draft, replace(pots, fees=pots.fees + fee))
