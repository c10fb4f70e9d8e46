"""Requests for spans and their receipts, as a node hears of them; bounded for each voter. Pure."""

from typing import Final

from tetrarch.ledger.finality import Voters
from tetrarch.ledger.reservations import Receipt, Request, Span

REQUESTS_OF_SLOT_MAX: Final = 8  # of one holder: who asks without end is not told on
SPANS_KEPT: Final = 16  # of one holder


class SpanDesk:
    """Signatures are right: the caller saw to that."""

    def __init__(self) -> None:
        self._spans: dict[bytes, dict[Span, dict[bytes, Receipt]]] = {}  # by holder
        self._asked: dict[bytes, tuple[int, int]] = {}  # the slot, and how often in it

    def add_request(self, request: Request, *, slot: int, voters: tuple[Voters, ...]) -> bool:
        """Whether it is news of a voter, who did not ask too often in this ``slot`` by our clock."""
        span = request.span
        kept = self._spans.get(span.holder, {})
        if not _may(span.holder, voters) or span in kept:
            return False
        latest, count = self._asked.get(span.holder, (slot, 0))
        count = count + 1 if latest == slot else 1
        if count > REQUESTS_OF_SLOT_MAX:
            return False
        self._asked[span.holder] = (slot, count)
        self._spans[span.holder] = {**dict(list(kept.items())[1 - SPANS_KEPT :]), span: {}}
        return True

    def add_receipt(self, receipt: Receipt, *, voters: tuple[Voters, ...]) -> bool:
        """Whether it is the first of a voter, for a span that was asked for."""
        receipts = self._spans.get(receipt.span.holder, {}).get(receipt.span)
        if receipts is None or receipt.granter in receipts or not _may(receipt.granter, voters):
            return False
        receipts[receipt.granter] = receipt
        return True

    def receipts(self, span: Span) -> tuple[Receipt, ...]:
        """All of a span."""
        return tuple(self._spans.get(span.holder, {}).get(span, {}).values())


def _may(key: bytes, voters: tuple[Voters, ...]) -> bool:
    return any(key in each.weights for each in voters)
