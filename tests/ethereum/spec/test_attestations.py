"""Attestations in all shapes against the oracle, and what their bits say."""

from random import Random

import pytest
from tests.ethereum.spec.oracle import spec
from tests.ssz.random_values import random_value

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.spec.attestations import (
    Attestation,
    SingleAttestation,
    SlotAttestation,
    attestation_data,
    build_attestation,
    only_bit,
    submissions_from_json,
    submissions_from_ssz,
    submissions_to_json,
    submissions_to_ssz,
)
from tetrarch.ethereum.spec.forks import spec_types
from tetrarch.ethereum.spec.values import AttestationData, Fork
from tetrarch.ssz.bits import Bits

SIGNATURE = bytes(range(96))
FORKS = [Fork.ALTAIR, Fork.DENEB, Fork.ELECTRA, Fork.FULU]


def some_data(seed: int = 1) -> AttestationData:
    kind = spec_types(Fork.ALTAIR, "mainnet").AttestationData
    return attestation_data(random_value(kind, Random(seed)))


@pytest.mark.parametrize("seed", range(5))
def test_attestation_equals_oracle(seed):
    module = spec(Fork.DENEB, "mainnet")
    attestation = build_attestation(
        some_data(seed),
        committee_length=61 + seed,
        validator_committee_index=seed * 7,
        signature=SIGNATURE,
    )
    theirs = module.Attestation.decode_bytes(attestation.to_ssz())
    assert theirs.encode_bytes() == attestation.to_ssz()
    assert [bool(bit) for bit in theirs.aggregation_bits] == [
        i == seed * 7 for i in range(61 + seed)
    ]
    assert bytes(theirs.data.hash_tree_root()) == attestation.data.hash_tree_root()
    assert theirs == module.Attestation.from_obj(attestation.to_json())
    assert Attestation.from_ssz(attestation.to_ssz()) == attestation
    assert Attestation.from_json(attestation.to_json()) == attestation
    assert attestation.committee_index == attestation.data.index
    assert attestation.validator_committee_index == seed * 7


@pytest.mark.parametrize("seed", range(5))
def test_single_attestation_equals_oracle(seed):
    module = spec(Fork.FULU, "mainnet")
    single = SingleAttestation(
        committee_index=seed, attester_index=2**64 - 1, data=some_data(seed), signature=SIGNATURE
    )
    theirs = module.SingleAttestation.decode_bytes(single.to_ssz())
    assert theirs.encode_bytes() == single.to_ssz()
    assert theirs == module.SingleAttestation.from_obj(single.to_json())
    assert SingleAttestation.from_ssz(single.to_ssz()) == single
    assert SingleAttestation.from_json(single.to_json()) == single


@pytest.mark.parametrize("preset", ["mainnet", "minimal"])
def test_slot_attestation_equals_oracle(preset):
    module = spec(Fork.ELECTRA, preset)
    kind = spec_types(Fork.ELECTRA, preset).Attestation
    record = random_value(kind, Random(preset))
    attestation = SlotAttestation.from_ssz(record.encode(), preset=preset)
    assert attestation.to_ssz() == record.encode()
    assert attestation.to_json() == record.to_json()
    assert module.Attestation.decode_bytes(attestation.to_ssz()).encode_bytes() == record.encode()
    assert SlotAttestation.from_json(attestation.to_json(), preset=preset) == attestation


def test_slot_attestation_of_one_voter_names_it():
    attestation = SlotAttestation(
        preset="mainnet",
        aggregation_bits=Bits.single(3, 20),
        data=some_data(),
        signature=SIGNATURE,
        committee_bits=Bits.single(63, 64),
    )
    assert (attestation.committee_index, attestation.validator_committee_index) == (63, 3)


@pytest.mark.parametrize("bits", [Bits.zeros(0), Bits.zeros(9), Bits.of([True, False, True])])
def test_bits_of_none_or_several_voters_are_refused(bits):
    with pytest.raises(InputInvalid):
        only_bit(bits, what="aggregation_bits")
    attestation = Attestation(aggregation_bits=bits, data=some_data(), signature=SIGNATURE)
    with pytest.raises(InputInvalid):
        _ = attestation.validator_committee_index
    slot = SlotAttestation(
        preset="mainnet",
        aggregation_bits=Bits.single(0, 1),
        data=some_data(),
        signature=SIGNATURE,
        committee_bits=Bits(bits.packed.ljust(8, b"\0"), 64),
    )
    with pytest.raises(InputInvalid):
        _ = slot.validator_committee_index


@pytest.mark.parametrize("fork", FORKS)
def test_submissions_round_trip_in_the_forks_shape(fork):
    single = fork.at_least(Fork.ELECTRA)
    attestations = tuple(
        SingleAttestation(
            committee_index=i, attester_index=i, data=some_data(i), signature=SIGNATURE
        )
        if single
        else build_attestation(
            some_data(i), committee_length=9, validator_committee_index=i, signature=SIGNATURE
        )
        for i in range(4)
    )
    data = submissions_to_ssz(fork, attestations)
    assert submissions_from_ssz(fork, data) == attestations
    assert submissions_from_json(fork, submissions_to_json(attestations)) == attestations
    assert submissions_from_ssz(fork, b"") == ()
    assert submissions_from_json(fork, []) == ()


@pytest.mark.parametrize("fork", FORKS)
@pytest.mark.parametrize("junk", [None, {}, "0x", [1], [{}], [None]])
def test_junk_submissions_are_refused(fork, junk):
    with pytest.raises(InputInvalid):
        submissions_from_json(fork, junk)
    with pytest.raises(InputInvalid):
        submissions_from_ssz(fork, b"\x00" * 239)


def test_the_other_shape_is_refused():
    single = SingleAttestation(
        committee_index=1, attester_index=1, data=some_data(), signature=SIGNATURE
    )
    with pytest.raises(InputInvalid, match=r"\[0\].aggregation_bits"):
        submissions_from_json(Fork.DENEB, [single.to_json()])


@pytest.mark.parametrize(("position", "length"), [(-1, 4), (4, 4), (0, 0)])
def test_position_outside_committee_is_refused(position, length):
    with pytest.raises(InputInvalid):
        build_attestation(
            some_data(),
            committee_length=length,
            validator_committee_index=position,
            signature=SIGNATURE,
        )


def test_attestation_that_fits_no_block_is_refused():
    data, vote = some_data(), Bits.single(0, 1)
    slot = {"preset": "mainnet", "aggregation_bits": vote, "committee_bits": Bits.zeros(64)}
    cases: list[tuple[type, dict[str, object]]] = [
        (Attestation, {"aggregation_bits": vote}),
        (SingleAttestation, {"committee_index": 0, "attester_index": 0}),
        (SlotAttestation, slot),
    ]
    for kind, fields in cases:
        assert kind(data=data, signature=SIGNATURE, **fields).data == data
        with pytest.raises(InputInvalid):
            kind(data=data, signature=bytes(95), **fields)
    with pytest.raises(InputInvalid):
        Attestation(data=data, signature=SIGNATURE, aggregation_bits=Bits.zeros(2049))
    for wrong in (
        {"preset": "minimal"},
        {"committee_bits": Bits.zeros(63)},
        {"aggregation_bits": Bits.zeros(2**17 + 1)},
    ):
        with pytest.raises(InputInvalid):
            cases[2][0](data=data, signature=SIGNATURE, **(slot | wrong))
