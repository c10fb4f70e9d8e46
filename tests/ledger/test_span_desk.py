"""What is heard of spans is bounded, whoever asks."""

from dataclasses import replace

from tests.ledger.makers import bft_public
from tests.ledger.test_lives import FOUR
from tests.ledger.test_reservations import SPAN, receipt, request

from tetrarch.ledger.reservations import Request, Span
from tetrarch.ledger.span_desk import REQUESTS_OF_SLOT_MAX, SPANS_KEPT, SpanDesk


def spans(count: int) -> list[Span]:
    return [replace(SPAN, until=100 + number) for number in range(count)]


def test_receipts_come_together_by_span() -> None:
    desk = SpanDesk()
    assert not desk.add_receipt(receipt(), voters=(FOUR,)), "nobody asked"
    assert desk.add_request(request(), slot=1, voters=(FOUR,))
    assert not desk.add_request(request(), slot=1, voters=(FOUR,))
    assert desk.add_receipt(receipt(granter=1), voters=(FOUR,))
    assert not desk.add_receipt(receipt(granter=1), voters=(FOUR,))
    assert desk.add_receipt(receipt(granter=2), voters=(FOUR,))
    assert {each.granter for each in desk.receipts(SPAN)} == {bft_public(1), bft_public(2)}


def test_who_may_not_vote_is_not_heard() -> None:
    desk = SpanDesk()
    stranger = Request(replace(SPAN, holder=bft_public(9)), bytes(64))
    assert not desk.add_request(stranger, slot=1, voters=(FOUR,))
    desk.add_request(request(), slot=1, voters=(FOUR,))
    assert not desk.add_receipt(receipt(granter=9), voters=(FOUR,))


def test_who_asks_without_end_is_heard_so_often_in_a_slot() -> None:
    desk = SpanDesk()
    heard = [desk.add_request(request(span), slot=1, voters=(FOUR,)) for span in spans(20)]
    assert heard.count(True) == REQUESTS_OF_SLOT_MAX
    assert desk.add_request(request(spans(21)[-1]), slot=2, voters=(FOUR,))


def test_the_oldest_spans_of_a_holder_go() -> None:
    desk = SpanDesk()
    all_spans = spans(SPANS_KEPT + 1)
    for slot, span in enumerate(all_spans):
        assert desk.add_request(request(span), slot=slot, voters=(FOUR,))
    assert not desk.add_receipt(receipt(all_spans[0]), voters=(FOUR,))
    assert desk.add_receipt(receipt(all_spans[1]), voters=(FOUR,))
