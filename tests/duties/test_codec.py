"""What peers and disks carry: equal values have equal bytes, anything else is refused."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.duties.duty_world import Validators, attestation_data

from tetrarch.duties.codec import (
    PartialsInvalid,
    ValueInvalid,
    decode_partials,
    decode_payload,
    decode_unsigned,
    encode_partials,
    encode_payload,
    encode_unsigned,
)
from tetrarch.duties.types import (
    AttestationPayload,
    ProposalPayload,
    RandaoPayload,
    ShareIndex,
)
from tetrarch.ethereum.spec.values import BeaconBlockHeader, Fork

VALIDATORS = Validators(3)


def test_unsigned_set_returns_from_its_bytes() -> None:
    data_set = VALIDATORS.unsigned()
    assert decode_unsigned(encode_unsigned(data_set), preset="minimal") == data_set


def test_equal_attestation_data_travels_once() -> None:
    one, three = Validators(1).unsigned(), VALIDATORS.unsigned()
    assert len(encode_unsigned(three)) - len(encode_unsigned(one)) < 2 * 128


def test_other_order_of_validators_is_refused() -> None:
    data_set = VALIDATORS.unsigned()
    turned = replace(data_set, items=tuple(reversed(data_set.items)))
    with pytest.raises(ValueInvalid):
        decode_unsigned(encode_unsigned(turned), preset="minimal")


def test_repeated_validator_is_refused() -> None:
    data_set = VALIDATORS.unsigned()
    twice = replace(data_set, items=(data_set.items[0], data_set.items[0]))
    with pytest.raises(ValueInvalid):
        decode_unsigned(encode_unsigned(twice), preset="minimal")


@given(st.data())
def test_mutated_value_is_refused_or_canonical(data: st.DataObject) -> None:
    raw = bytearray(encode_unsigned(VALIDATORS.unsigned()))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] ^= data.draw(st.integers(1, 255))
    try:
        decoded = decode_unsigned(bytes(raw), preset="minimal")
    except ValueInvalid:
        return
    assert encode_unsigned(decoded) == bytes(raw), "one value has one encoding"


@given(st.binary(max_size=400))
def test_garbage_value_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueInvalid):
        decode_unsigned(raw, preset="minimal")


def test_partials_return_from_their_bytes() -> None:
    partial_set = VALIDATORS.partials(2)
    decoded, is_answer = decode_partials(
        encode_partials(partial_set, answer=True), share_index=ShareIndex(2)
    )
    assert decoded == partial_set
    assert is_answer


def test_share_index_is_the_senders_whatever_the_bytes_say() -> None:
    raw = encode_partials(VALIDATORS.partials(2), answer=False)
    decoded, _ = decode_partials(raw, share_index=ShareIndex(4))
    assert {partial.share_index for partial in decoded.partials} == {4}


@given(st.binary(max_size=300))
def test_garbage_partials_are_refused(raw: bytes) -> None:
    with pytest.raises(PartialsInvalid):
        decode_partials(raw, share_index=ShareIndex(1))


@given(st.data())
def test_mutated_partials_raise_nothing_else(data: st.DataObject) -> None:
    raw = bytearray(encode_partials(VALIDATORS.partials(1), answer=False))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    try:
        decode_partials(bytes(raw), share_index=ShareIndex(1))
    except PartialsInvalid:
        return


@pytest.mark.parametrize(
    "payload",
    [
        AttestationPayload(data=attestation_data()),
        RandaoPayload(epoch=2**63),
        ProposalPayload(
            fork=Fork.FULU,
            blinded=True,
            header=BeaconBlockHeader(
                slot=1,
                proposer_index=2,
                parent_root=b"p" * 32,
                state_root=b"s" * 32,
                body_root=b"b" * 32,
            ),
        ),
    ],
)
def test_payload_returns_from_its_bytes(payload: object) -> None:
    assert decode_payload(encode_payload(payload)) == payload  # type: ignore[arg-type]  # all kinds


def test_unknown_payload_tag_is_refused() -> None:
    with pytest.raises(PartialsInvalid):
        decode_payload(b"\x09" + bytes(8))
