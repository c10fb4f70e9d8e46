"""Exits, registrations and sync messages against the oracle."""

from random import Random
from typing import Any

import pytest
from tests.ethereum.spec.oracle import oracle_type
from tests.ssz.random_values import random_value

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.spec.forks import spec_types
from tetrarch.ethereum.spec.messages import (
    SignedValidatorRegistration,
    SignedVoluntaryExit,
    SyncCommitteeMessage,
    ValidatorRegistration,
    VoluntaryExit,
)
from tetrarch.ethereum.spec.values import Fork

KINDS: dict[str, Any] = {
    "VoluntaryExit": VoluntaryExit,
    "SignedVoluntaryExit": SignedVoluntaryExit,
    "ValidatorRegistration": ValidatorRegistration,
    "SignedValidatorRegistration": SignedValidatorRegistration,
    "SyncCommitteeMessage": SyncCommitteeMessage,
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fork", [Fork.BELLATRIX, Fork.DENEB, Fork.FULU])
@pytest.mark.parametrize("name", KINDS)
def test_message_equals_oracle(name, fork, seed):
    kind, oracle = KINDS[name], oracle_type(fork, "mainnet", name)
    data = random_value(getattr(spec_types(fork, "mainnet"), name), Random(seed)).encode()
    message, theirs = kind.from_ssz(data), oracle.decode_bytes(data)
    assert message.to_ssz() == data
    assert message.to_json() == theirs.to_obj() or theirs == oracle.from_obj(message.to_json())
    assert message.hash_tree_root() == bytes(theirs.hash_tree_root())
    assert kind.from_json(message.to_json()) == message


@pytest.mark.parametrize("name", KINDS)
def test_message_of_wrong_size_is_refused(name):
    with pytest.raises(InputInvalid):
        KINDS[name].from_ssz(b"short")


def test_signature_must_have_its_size():
    exit_ = VoluntaryExit(epoch=1, validator_index=2)
    with pytest.raises(InputInvalid, match="signature"):
        SignedVoluntaryExit(message=exit_, signature=b"short")


def test_what_is_no_object_is_refused_by_name():
    with pytest.raises(InputInvalid, match="epoch"):
        VoluntaryExit.from_json({"epoch": "-1", "validator_index": "2"})
