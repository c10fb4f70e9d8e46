"""What aggregators sign, in all shapes, against the oracle."""

from random import Random
from typing import Any

import pytest
from tests.ethereum.spec.oracle import oracle_type
from tests.ssz.random_values import random_value

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.spec.aggregates import (
    AggregateAndProof,
    ContributionAndProof,
    SignedAggregateAndProof,
    SignedContributionAndProof,
    SyncCommitteeContribution,
    aggregate_from_json,
    aggregate_from_ssz,
)
from tetrarch.ethereum.spec.attestations import Attestation, SlotAttestation
from tetrarch.ethereum.spec.forks import spec_types
from tetrarch.ethereum.spec.values import Fork

FORKS = [Fork.ALTAIR, Fork.DENEB, Fork.ELECTRA, Fork.FULU]
PRESETS = ["mainnet", "minimal"]
OF_FORK: dict[str, Any] = {
    "AggregateAndProof": AggregateAndProof,
    "SignedAggregateAndProof": SignedAggregateAndProof,
}
OF_PRESET: dict[str, Any] = {
    "SyncCommitteeContribution": SyncCommitteeContribution,
    "ContributionAndProof": ContributionAndProof,
    "SignedContributionAndProof": SignedContributionAndProof,
}


def some_bytes(fork: Fork, preset: str, name: str, seed: int) -> bytes:
    return bytes(random_value(getattr(spec_types(fork, preset), name), Random(seed)).encode())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("fork", FORKS)
@pytest.mark.parametrize("name", OF_FORK)
def test_aggregate_and_proof_equals_oracle(name, fork, preset, seed):
    kind, oracle = OF_FORK[name], oracle_type(fork, preset, name)
    data = some_bytes(fork, preset, name, seed)
    value, theirs = kind.from_ssz(fork, data, preset=preset), oracle.decode_bytes(data)
    assert value.to_ssz() == data
    assert theirs == oracle.from_obj(value.to_json())
    assert value.hash_tree_root() == bytes(theirs.hash_tree_root())
    assert kind.from_json(fork, value.to_json(), preset=preset) == value


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", OF_PRESET)
def test_contribution_equals_oracle(name, preset, seed):
    kind, oracle = OF_PRESET[name], oracle_type(Fork.DENEB, preset, name)
    data = some_bytes(Fork.DENEB, preset, name, seed)
    value, theirs = kind.from_ssz(data, preset=preset), oracle.decode_bytes(data)
    assert value.to_ssz() == data
    assert theirs == oracle.from_obj(value.to_json())
    assert value.hash_tree_root() == bytes(theirs.hash_tree_root())
    assert kind.from_json(value.to_json(), preset=preset) == value


@pytest.mark.parametrize("fork", FORKS)
def test_aggregate_has_the_shape_of_its_fork(fork):
    data = some_bytes(fork, "minimal", "Attestation", 7)
    aggregate = aggregate_from_ssz(fork, data, preset="minimal")
    assert isinstance(aggregate, SlotAttestation if fork.at_least(Fork.ELECTRA) else Attestation)
    assert aggregate_from_json(fork, aggregate.to_json(), preset="minimal") == aggregate
    assert aggregate.to_ssz() == data


def test_slot_is_the_slot_voted_in():
    data = some_bytes(Fork.ELECTRA, "minimal", "AggregateAndProof", 3)
    value = AggregateAndProof.from_ssz(Fork.ELECTRA, data, preset="minimal")
    assert value.slot == value.aggregate.data.slot
    data = some_bytes(Fork.ELECTRA, "minimal", "ContributionAndProof", 3)
    contribution = ContributionAndProof.from_ssz(data, preset="minimal")
    assert contribution.slot == contribution.contribution.slot


@pytest.mark.parametrize("name", OF_PRESET)
def test_garbage_is_refused(name):
    with pytest.raises(InputInvalid):
        OF_PRESET[name].from_ssz(b"\x01" * 50, preset="minimal")
    with pytest.raises(InputInvalid):
        OF_PRESET[name].from_json({"aggregator_index": "1"}, preset="minimal")
    with pytest.raises(InputInvalid):
        SignedAggregateAndProof.from_json(Fork.DENEB, [], preset="minimal")
