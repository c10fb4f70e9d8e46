"""What an enclave keeps of reservations: spans that it granted to others, and those that its own life holds. Pure.

See ``reservations``. ``Grants`` are durable, ``Held`` ends with the enclave: the next one is another life.
"""

from collections.abc import Iterable
from typing import Annotated, Final

import msgspec

from tetrarch.errors import InputInvalid
from tetrarch.ledger.finality import VOTERS_MAX, Voters
from tetrarch.ledger.headers import KEY_SIZE_BYTES, BlockId
from tetrarch.ledger.reservations import LIFE_SIZE_BYTES, Kind, Receipt, Span, as_told

SPANS_HELD: Final = 4  # of a kind; each begins where the one before is still held
GRANTS_MAX: Final = 2 * VOTERS_MAX


class NotReserved(InputInvalid):
    """The key may have copies, and this life of it holds no span that has that slot, or height."""

    code = "ledger_not_reserved"


class SpanTaken(InputInvalid):
    """Another life of the key holds it, or part of it."""

    code = "ledger_span_taken"


class KeptGrant(msgspec.Struct, frozen=True, array_like=True):
    """The life that a holder's spans of one kind are kept for, where they begin, and where they end."""

    holder: Annotated[bytes, msgspec.Meta(min_length=KEY_SIZE_BYTES, max_length=KEY_SIZE_BYTES)]
    kind: Annotated[int, msgspec.Meta(ge=0, lt=len(Kind))]
    life: Annotated[bytes, msgspec.Meta(min_length=LIFE_SIZE_BYTES, max_length=LIFE_SIZE_BYTES)]
    first: Annotated[int, msgspec.Meta(ge=0)]
    until: Annotated[int, msgspec.Meta(ge=0)]


def granted(grants: tuple[KeptGrant, ...], span: Span) -> tuple[KeptGrant, ...]:
    """``grants`` with ``span``, which is to be durable before anybody hears of it.

    Raises:
        SpanTaken: another life was granted some of it, or may have been; or there are too many holders.
    """
    before = next(
        (each for each in grants if (each.holder, each.kind) == (span.holder, span.kind.value)),
        None,
    )
    is_next = before is None or before.life != span.life
    free_from = 0 if before is None else before.until if is_next else before.first
    if span.first < free_from:  # its own life's own spans do not go back into an earlier life's
        raise SpanTaken("grant span", first=span.first, free_from=free_from)
    rest = tuple(each for each in grants if each is not before)
    if len(rest) >= GRANTS_MAX:
        raise SpanTaken("grant span", holders=len(rest), maximum=GRANTS_MAX)
    first = span.first if before is None or is_next else before.first
    until = span.until if before is None else max(span.until, before.until)
    return (*rest, KeptGrant(span.holder, span.kind.value, span.life, first, until))


class Held:
    """Of one life."""

    def __init__(self, holder: bytes, life: bytes) -> None:
        self._holder = holder
        self._life = life
        self._spans: dict[Kind, tuple[Span, ...]] = {}

    def span(self, kind: Kind, first: int, until: int) -> Span:
        """To ask for."""
        return Span(holder=self._holder, life=self._life, kind=kind, first=first, until=until)

    def take(
        self, receipts: Iterable[Receipt], voters: tuple[Voters, ...], block0: BlockId
    ) -> Span:
        """All of one span. It is held, if a quorum of each of ``voters`` keeps it. Cost: 0.15 ms a receipt.

        Raises:
            ReservationRefused: a signature is false.
            NotReserved: they are too few, or of another life, or of several spans.
        """
        all_receipts = tuple(receipts)
        spans = {each.span for each in all_receipts}
        if len(spans) != 1:
            raise NotReserved("hold span", spans=len(spans), expected=1)
        (span,) = spans
        if (span.holder, span.life) != (self._holder, self._life):
            raise NotReserved("hold span", reason="it is of another life")
        for each in all_receipts:
            each.check(block0)
        granters = {each.granter for each in all_receipts}
        for group in voters:
            if group.weight(granters) < group.needed:
                raise NotReserved("hold span", weight=group.weight(granters), needed=group.needed)
        self._spans[span.kind] = (*self._spans.get(span.kind, ()), span)[-SPANS_HELD:]
        return span

    def require(self, kind: Kind, number: int) -> None:
        """It is in a span that is held.

        Raises:
            NotReserved: it is not.
        """
        spans = self._spans.get(kind, ())
        if not any(number in span for span in spans):
            until = max((span.until for span in spans), default=0)
            raise NotReserved(
                "sign",
                kind=kind.name.lower(),
                number=as_told(kind, number),
                held_until=as_told(kind, until),
            )
