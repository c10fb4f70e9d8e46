"""Payloads return from their bytes; anything else is refused by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.duties.other_duties import payloads

from tetrarch.duties.payload_codec import PartialsInvalid, decode_payload, encode_payload
from tetrarch.duties.types import AggregatePayload, Payload, RandaoPayload

SAMPLES = tuple(payloads().values())


@pytest.mark.parametrize("payload", SAMPLES, ids=lambda p: p.DUTY_TYPE.name)
def test_payload_returns_from_its_bytes(payload: Payload) -> None:
    assert decode_payload(encode_payload(payload)) == payload


@pytest.mark.parametrize("payload", SAMPLES, ids=lambda p: p.DUTY_TYPE.name)
def test_payload_that_is_cut_short_or_too_long_is_refused(payload: Payload) -> None:
    raw = encode_payload(payload)
    # An aggregate ends with a list of bits: one byte less is a shorter committee's.
    sizes = range(len(raw) - isinstance(payload, AggregatePayload))
    for size in sizes:
        with pytest.raises(PartialsInvalid):
            decode_payload(raw[:size])
    with pytest.raises(PartialsInvalid):
        decode_payload(raw + b"\0")


@given(st.data())
def test_mutated_payload_is_refused_or_canonical(data: st.DataObject) -> None:
    raw = bytearray(encode_payload(data.draw(st.sampled_from(SAMPLES))))
    at = data.draw(st.integers(0, min(len(raw) - 1, 40)))
    raw[at] ^= data.draw(st.integers(1, 255))
    try:
        decoded = decode_payload(bytes(raw))
    except PartialsInvalid:
        return
    assert encode_payload(decoded) == bytes(raw), "one payload has one encoding"


@given(st.binary(max_size=300))
def test_garbage_raises_nothing_else(raw: bytes) -> None:
    try:
        decode_payload(raw)
    except PartialsInvalid:
        return


@pytest.mark.parametrize("raw", [b"", b"\0" + bytes(8), b"\x0b" + bytes(8), b"\xff"])
def test_unknown_tag_is_refused(raw: bytes) -> None:
    with pytest.raises(PartialsInvalid):
        decode_payload(raw)


def test_largest_epoch_has_bytes() -> None:
    payload = RandaoPayload(epoch=2**64 - 1)
    assert decode_payload(encode_payload(payload)) == payload
