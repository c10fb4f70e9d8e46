"""The aggregators' lottery against the specification's own functions."""

from random import Random

import pytest
from tests.ethereum.spec.oracle import spec

from tetrarch.ethereum.spec.selection import (
    is_aggregator,
    is_sync_aggregator,
    subcommittee_size,
    subcommittees_of,
    sync_selection_root,
)
from tetrarch.ethereum.spec.values import Fork


@pytest.mark.parametrize("preset", ["mainnet", "minimal"])
def test_sync_aggregators_equal_oracle(preset):
    module, rng = spec(Fork.DENEB, preset), Random(preset)
    proofs = [rng.randbytes(96) for _ in range(200)]
    ours = [is_sync_aggregator(proof, preset=preset) for proof in proofs]
    assert ours == [module.is_sync_committee_aggregator(proof) for proof in proofs]
    assert any(ours)


@pytest.mark.parametrize("length", [1, 15, 16, 17, 128, 500, 2048])
def test_aggregators_are_drawn_as_the_specification_says(length):
    module, rng = spec(Fork.DENEB, "mainnet"), Random(length)
    modulo = max(1, length // module.TARGET_AGGREGATORS_PER_COMMITTEE)
    for _ in range(50):
        proof = rng.randbytes(96)
        expected = module.bytes_to_uint64(module.hash(proof)[0:8]) % modulo == 0
        assert is_aggregator(length, proof) is expected


def test_every_member_of_a_small_committee_aggregates():
    rng = Random(3)
    assert all(is_aggregator(31, rng.randbytes(96)) for _ in range(50))


def test_subcommittees_follow_from_places_in_the_committee():
    assert subcommittee_size("mainnet") == 128
    assert subcommittees_of((0, 127, 128, 511), preset="mainnet") == (0, 1, 3)
    assert subcommittees_of((511, 1, 2), preset="mainnet") == (0, 3)
    assert subcommittees_of((), preset="mainnet") == ()


@pytest.mark.parametrize("slot", [0, 5, 2**64 - 1])
def test_sync_selection_root_equals_oracle(slot):
    module = spec(Fork.DENEB, "mainnet")
    theirs = module.SyncAggregatorSelectionData(slot=slot, subcommittee_index=3)
    assert sync_selection_root(slot, 3) == bytes(theirs.hash_tree_root())
