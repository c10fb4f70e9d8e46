"""The hand-written values equal the generic types and the oracle."""

from random import Random

import pytest
from tests.ethereum.spec.oracle import spec
from tests.ssz.random_values import random_value

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.spec.attestations import attestation_data
from tetrarch.ethereum.spec.forks import spec_types
from tetrarch.ethereum.spec.values import (
    AttestationData,
    BeaconBlockHeader,
    Checkpoint,
    Fork,
    member,
    parse_hex,
    parse_uint64,
    uint64_root,
)

TYPES = spec_types(Fork.ELECTRA, "mainnet")


@pytest.mark.parametrize("seed", range(20))
def test_attestation_data_equals_generic_type(seed):
    record = random_value(TYPES.AttestationData, Random(seed))
    data = AttestationData.from_ssz(record.encode())
    assert data == attestation_data(record)
    assert data.to_ssz() == record.encode()
    assert data.hash_tree_root() == record.hash_tree_root()
    assert data.to_json() == record.to_json()
    assert AttestationData.from_json(record.to_json()) == data


@pytest.mark.parametrize("seed", range(20))
def test_header_equals_generic_type(seed):
    record = random_value(TYPES.BeaconBlockHeader, Random(seed))
    header = BeaconBlockHeader.from_ssz(record.encode())
    assert header.to_ssz() == record.encode()
    assert header.hash_tree_root() == record.hash_tree_root()


@pytest.mark.parametrize("seed", range(5))
def test_checkpoint_equals_generic_type(seed):
    record = random_value(TYPES.Checkpoint, Random(seed))
    checkpoint = Checkpoint.from_ssz(record.encode())
    assert checkpoint.to_ssz() == record.encode()
    assert checkpoint.hash_tree_root() == record.hash_tree_root()
    assert Checkpoint.from_json(checkpoint.to_json()) == checkpoint


def test_uint64_root_equals_oracle():
    for value in (0, 1, 2**64 - 1):
        assert uint64_root(value) == bytes(
            spec(Fork.ELECTRA, "mainnet").Epoch(value).hash_tree_root()
        )


@pytest.mark.parametrize("size", [0, 39, 111, 113, 127, 129])
def test_wrong_length_is_refused(size):
    for kind in (AttestationData, BeaconBlockHeader, Checkpoint):
        with pytest.raises(InputInvalid):
            kind.from_ssz(bytes(size))


@pytest.mark.parametrize(
    "text", ["", "-1", "0x1", "1 ", "٣", str(2**64), "9" * 21, True, None, 1.5]
)
def test_wrong_integer_is_refused(text):
    with pytest.raises(InputInvalid):
        parse_uint64(text, what="slot")
    with pytest.raises(InputInvalid, match=r"checkpoint\.epoch"):
        Checkpoint.from_json({"epoch": text, "root": "0x" + "00" * 32})


@pytest.mark.parametrize("text", ["", "00" * 4, "0x" + "00" * 5, "0x00 00 00 00", "0xzz000000", 4])
def test_wrong_hex_is_refused(text):
    with pytest.raises(InputInvalid):
        parse_hex(text, size_bytes=4, what="version")


def test_values_outside_their_range_are_refused():
    for epoch, root in ((-1, bytes(32)), (2**64, bytes(32)), (0, bytes(31))):
        with pytest.raises(InputInvalid):
            Checkpoint(epoch=epoch, root=root)
    with pytest.raises(InputInvalid):
        member([], "slot", what="data")
    with pytest.raises(InputInvalid, match=r"field=data\.beacon_block_root"):
        AttestationData.from_json({})


def test_forks_are_ordered():
    assert [fork.order for fork in Fork] == list(range(7))
    assert Fork.FULU.at_least(Fork.FULU)
    assert not Fork.DENEB.at_least(Fork.ELECTRA)
