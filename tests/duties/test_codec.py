"""What peers and disks carry: equal values have equal bytes, anything else is refused."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.duties.duty_world import Validators
from tests.duties.other_duties import aggregates, contributions

from tetrarch.duties.codec import ValueInvalid, decode_unsigned, encode_unsigned
from tetrarch.duties.partials_codec import decode_partials, encode_partials
from tetrarch.duties.payload_codec import PartialsInvalid
from tetrarch.duties.types import DutyType, ShareIndex, UnsignedDataSet

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
    "data_set",
    [aggregates(), aggregates(1), contributions(), contributions((0, 2), (2, 3))],
    ids=["aggregates", "one aggregate", "contributions", "two contributions"],
)
def test_aggregators_set_returns_from_its_bytes(data_set: UnsignedDataSet) -> None:
    assert decode_unsigned(encode_unsigned(data_set), preset="minimal") == data_set


def test_aggregate_of_a_committee_travels_once() -> None:
    same_committee = len(encode_unsigned(aggregates(0, 2)))
    two_committees = len(encode_unsigned(aggregates(0, 1)))
    assert two_committees - same_committee > 200


@pytest.mark.parametrize("data_set", [aggregates(), contributions()])
def test_aggregators_in_other_order_or_twice_are_refused(data_set: UnsignedDataSet) -> None:
    items = data_set.items
    for wrong in (tuple(reversed(items)), (items[0], items[0]), (items[1], items[0], items[2])):
        with pytest.raises(ValueInvalid):
            decode_unsigned(encode_unsigned(replace(data_set, items=wrong)), preset="minimal")


@given(st.data())
def test_mutated_aggregators_are_refused_or_canonical(data: st.DataObject) -> None:
    raw = bytearray(encode_unsigned(data.draw(st.sampled_from((aggregates(), contributions())))))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    try:
        decoded = decode_unsigned(bytes(raw), preset="minimal")
    except ValueInvalid:
        return
    assert encode_unsigned(decoded) == bytes(raw), "one value has one encoding"


def test_what_consensus_never_decides_is_refused() -> None:
    raw = bytearray(encode_unsigned(aggregates()))
    raw[9] = int(DutyType.RANDAO)
    with pytest.raises(ValueInvalid):
        decode_unsigned(bytes(raw), preset="minimal")
