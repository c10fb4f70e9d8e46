"""What an enclave keeps of the others' reservations, for when they forget them. Pure.

Of each member the *newest* one, which ends its former lives: they reserve nothing more; and the
*highest* one, which no later life may begin below. Both are kept durably before a receipt leaves.
A member whose own memory is old learns them again from the receipts of its recovery.
"""

from collections.abc import Iterable
from typing import TypeAlias

from tetrarch.election.statements import Reservation, Signed
from tetrarch.election.values import Value

SignedReservation: TypeAlias = Signed[Reservation]


class Kept(Value, frozen=True):
    """Of one member, each with its own signature."""

    newest: SignedReservation
    highest: SignedReservation

    @property
    def all(self) -> tuple[SignedReservation, ...]:
        """Both, or the one that is both."""
        return (self.newest,) if self.newest == self.highest else (self.newest, self.highest)


Registry: TypeAlias = tuple[Kept | None, ...]  # by the member's index


def keep(registry: Registry, asked: SignedReservation) -> Registry | Kept:
    """Keep ``asked``, whose signature is verified; or show what stands against it.

    Refused is a life that a newer one ended, another one with the same number, and one that
    would begin below what a former one reserved.
    """
    new = asked.what
    known = registry[new.source]
    if known is not None:
        newest = known.newest.what
        follows = new.incarnation > newest.incarnation
        goes_on = (new.incarnation, new.boot) == (newest.incarnation, newest.boot)
        if not (follows or goes_on) or new.reserved_to < known.highest.what.reserved_to:
            return known
    return _with(registry, new.source, Kept(newest=asked, highest=asked))


def learn(registry: Registry, others: Iterable[SignedReservation]) -> Registry:
    """Take over what another member keeps, as far as it is news; signatures are verified."""
    for other in others:
        known = registry[other.what.source]
        if known is None:
            registry = _with(registry, other.what.source, Kept(newest=other, highest=other))
            continue
        newest, highest = known.newest, known.highest
        if other.what.incarnation > newest.what.incarnation:
            newest = other
        if other.what.reserved_to > highest.what.reserved_to:
            highest = other
        registry = _with(registry, other.what.source, Kept(newest=newest, highest=highest))
    return registry


def _with(registry: Registry, source: int, kept: Kept) -> Registry:
    return (*registry[:source], kept, *registry[source + 1 :])
