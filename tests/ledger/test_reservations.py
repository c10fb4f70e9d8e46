"""Spans, requests and receipts: their bytes, and whose signatures they carry."""

from dataclasses import replace

import pytest
from tests.ledger.makers import BLOCK0, bft_key, bft_public

from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.headers import BlockId
from tetrarch.ledger.reservations import (
    Kind,
    Receipt,
    Request,
    ReservationRefused,
    Span,
    as_told,
    date_number,
    decode_receipt,
    decode_request,
    encode_receipt,
    encode_request,
    is_receipt,
    is_request,
    receipt_to_sign,
    request_to_sign,
)
from tetrarch.ledger.wire import BytesInvalid

SPAN = Span(holder=bft_public(0), life=b"l" * 32, kind=Kind.SLOTS, first=7, until=9)


def request(span: Span = SPAN, block0: BlockId = BLOCK0) -> Request:
    return Request(span, bft_key(0).sign(request_to_sign(span, block0)))


def receipt(span: Span = SPAN, granter: int = 1) -> Receipt:
    signature = bft_key(granter).sign(receipt_to_sign(span, BLOCK0))
    return Receipt(span, bft_public(granter), signature)


def test_what_is_written_is_read() -> None:
    asked, given = encode_request(request()), encode_receipt(receipt())
    assert decode_request(asked) == request()
    assert decode_receipt(given) == receipt()
    assert (is_request(asked), is_receipt(asked)) == (True, False)
    assert (is_request(given), is_receipt(given)) == (False, True)
    for data, decode in ((asked, decode_request), (given, decode_receipt)):
        for broken in (data[:-1], data + b"x", bytes([1]) + data[1:]):
            with pytest.raises(BytesInvalid):
                decode(broken)


def test_a_span_has_something_in_it() -> None:
    assert [number in SPAN for number in (6, 7, 8, 9)] == [False, True, True, False]
    for until in (7, 6):
        with pytest.raises(ReservationRefused, match="first=7"):
            decode_request(encode_request(request(replace(SPAN, until=until))))


def test_who_says_it_signed_it_for_one_chain_and_one_purpose() -> None:
    request().check(BLOCK0)
    receipt().check(BLOCK0)
    bad_requests = (
        replace(request(), span=replace(SPAN, until=10)),
        request(block0=BlockId(bytes(32))),
        Request(SPAN, bft_key(0).sign(receipt_to_sign(SPAN, BLOCK0))),
        replace(request(), span=replace(SPAN, holder=bft_public(1))),
    )
    for bad in bad_requests:
        with pytest.raises(ReservationRefused):
            bad.check(BLOCK0)
    bad_receipts = (
        replace(receipt(), granter=bft_public(2)),
        replace(receipt(), span=replace(SPAN, life=bytes(32))),
        replace(receipt(), span=replace(SPAN, kind=Kind.HEIGHTS)),
    )
    for each in bad_receipts:
        with pytest.raises(ReservationRefused):
            each.check(BLOCK0)


def test_dates_are_numbers_in_their_order() -> None:
    dates = [BlockDate(0, 0), BlockDate(0, 2**32 - 1), BlockDate(1, 0), BlockDate(7, 3)]
    numbers = list(map(date_number, dates))
    assert numbers == sorted(set(numbers))
    assert [as_told(Kind.SLOTS, number) for number in numbers] == list(map(str, dates))
    assert as_told(Kind.HEIGHTS, 5) == "5"
