"""Deposits and registrations: roots against an SSZ library, signatures, the file."""

import json
from typing import Any

import pytest
from remerkleable.basic import uint64
from remerkleable.byte_arrays import ByteVector
from remerkleable.complex import Container
from tests.cluster.cluster_world import FEE_RECIPIENT, WITHDRAWAL, deal

from tetrarch.cluster import deposits
from tetrarch.cluster.deposits import GWEI_PER_ETH
from tetrarch.crypto.bls import verify
from tetrarch.errors import InputInvalid


def record(**fields: Any) -> Any:
    return type("Record", (Container,), {"__annotations__": fields})


Message = record(pubkey=ByteVector[48], withdrawal_credentials=ByteVector[32], amount=uint64)
Data = record(
    pubkey=ByteVector[48],
    withdrawal_credentials=ByteVector[32],
    amount=uint64,
    signature=ByteVector[96],
)
Registration = record(
    fee_recipient=ByteVector[20], gas_limit=uint64, timestamp=uint64, pubkey=ByteVector[48]
)
SigningData = record(object_root=ByteVector[32], domain=ByteVector[32])
ForkData = record(version=ByteVector[4], genesis_validators_root=ByteVector[32])


def signing_root(value: Any, domain_type: bytes, version: bytes) -> bytes:
    fork_root = ForkData(version=version).hash_tree_root()
    domain = domain_type + bytes(fork_root)[:28]
    root = SigningData(object_root=value.hash_tree_root(), domain=domain).hash_tree_root()
    return bytes(root)


@pytest.mark.parametrize(("compounding", "prefix"), [(False, "01"), (True, "02")])
def test_deposits_are_signed_by_the_root_key(compounding, prefix):
    dealt = deal(compounding=compounding)
    for validator in dealt.lock.validators:
        amounts = [each.amount_gwei // GWEI_PER_ETH for each in validator.deposits]
        assert amounts == ([1, 8, 32, 256] if compounding else [1, 32])
        for each in validator.deposits:
            credentials = bytes.fromhex(prefix) + bytes(11) + WITHDRAWAL
            message = Message(
                pubkey=validator.pubkey,
                withdrawal_credentials=credentials,
                amount=each.amount_gwei,
            )
            root = signing_root(message, bytes.fromhex("03000000"), b"\0\0\0\1")
            assert verify(validator.pubkey, root, each.signature)


def test_registrations_are_signed_by_the_root_key():
    for validator in deal().lock.validators:
        message = Registration(
            fee_recipient=FEE_RECIPIENT,
            gas_limit=60_000_000,
            timestamp=1_700_000_000,
            pubkey=validator.pubkey,
        )
        root = signing_root(message, bytes.fromhex("00000001"), b"\0\0\0\1")
        assert verify(validator.pubkey, root, validator.registration.signature)


def test_file_has_the_launchpads_form():
    validators = deal(validator_count=5).lock.validators
    entries = json.loads(
        deposits.deposit_document(
            [each.deposits[1] for each in validators],
            fork_version=b"\x10\0\x09\x10",
            network_name="hoodi",
        )
    )
    assert [each["pubkey"] for each in entries] == sorted(v.pubkey.hex() for v in validators)
    by_key = {each.pubkey.hex(): each.deposits[1] for each in validators}
    for entry in entries:
        deposit = by_key[entry["pubkey"]]
        fields = {
            "pubkey": deposit.pubkey,
            "withdrawal_credentials": deposit.withdrawal_credentials,
            "amount": deposit.amount_gwei,
        }
        data = Data(**fields, signature=deposit.signature)
        assert entry == {
            "pubkey": deposit.pubkey.hex(),
            "withdrawal_credentials": deposit.withdrawal_credentials.hex(),
            "amount": 32_000_000_000,
            "signature": deposit.signature.hex(),
            "deposit_message_root": bytes(Message(**fields).hash_tree_root()).hex(),
            "deposit_data_root": bytes(data.hash_tree_root()).hex(),
            "fork_version": "10000910",
            "network_name": "hoodi",
            "deposit_cli_version": "2.7.0",
        }


@pytest.mark.parametrize(
    ("gwei", "name"),
    [
        (32 * GWEI_PER_ETH, "deposit-data.json"),
        (GWEI_PER_ETH, "deposit-data-1eth.json"),
        (256 * GWEI_PER_ETH, "deposit-data-256eth.json"),
        (3 * GWEI_PER_ETH // 2, "deposit-data-1.5eth.json"),
    ],
)
def test_file_names(gwei, name):
    assert deposits.deposit_file_name(gwei) == name


def test_amounts_are_distinct_and_ascending():
    eth = [16, 1, 16, 8]
    amounts = deposits.amounts_to_sign([each * GWEI_PER_ETH for each in eth], compounding=False)
    assert amounts == tuple(each * GWEI_PER_ETH for each in (1, 8, 16))


@pytest.mark.parametrize(
    ("gwei", "compounding"),
    [
        ([GWEI_PER_ETH - 1, 32 * GWEI_PER_ETH], False),
        ([33 * GWEI_PER_ETH], False),
        ([31 * GWEI_PER_ETH], False),
        ([2049 * GWEI_PER_ETH], True),
    ],
)
def test_impossible_amounts_are_refused(gwei, compounding):
    with pytest.raises(InputInvalid):
        deposits.amounts_to_sign(gwei, compounding=compounding)
