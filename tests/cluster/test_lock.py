"""Config, definition and lock hash of random locks, against containers of an SSZ library.

The containers below are format v1.11 written down a second time, as SSZ types.
"""

from random import Random
from typing import Any

import pytest
from remerkleable.basic import boolean, uint64
from remerkleable.byte_arrays import ByteList, ByteVector
from remerkleable.complex import Container, List

from tetrarch.cluster.definition import (
    Creator,
    Definition,
    Operator,
    ValidatorAddresses,
    config_hash,
    definition_hash,
    sealed,
)
from tetrarch.cluster.documents import lock_document, parse_lock
from tetrarch.cluster.lock import Deposit, DistributedValidator, Lock, Registration, lock_hash
from tetrarch.errors import InputInvalid

Address = ByteVector[20]
Signatures = List[ByteVector[65], 32]


def record(title: str, /, **fields: Any) -> Any:
    """An SSZ container type with ``fields`` in order."""
    return type(title, (Container,), {"__annotations__": fields})


SszConfigOperator = record(
    "SszConfigOperator",
    address=Address,
)
SszOperator = record(
    "SszOperator",
    address=Address,
    enr=ByteList[1024],
    config_signature=Signatures,
    enr_signature=Signatures,
)
SszConfigCreator = record(
    "SszConfigCreator",
    address=Address,
)
SszCreator = record(
    "SszCreator",
    address=Address,
    config_signature=Signatures,
)
SszAddresses = record(
    "SszAddresses",
    fee_recipient=Address,
    withdrawal=Address,
)
SszConfig = record(
    "SszConfig",
    uuid=ByteList[64],
    name=ByteList[256],
    version=ByteList[16],
    timestamp=ByteList[32],
    num_validators=uint64,
    threshold=uint64,
    dkg_algorithm=ByteList[32],
    fork_version=ByteVector[4],
    operators=List[SszConfigOperator, 256],
    creator=SszConfigCreator,
    validators=List[SszAddresses, 65536],
    deposit_amounts=List[uint64, 256],
    consensus_protocol=ByteList[256],
    target_gas_limit=uint64,
    compounding=boolean,
)
SszDefinition = record(
    "SszDefinition",
    uuid=ByteList[64],
    name=ByteList[256],
    version=ByteList[16],
    timestamp=ByteList[32],
    num_validators=uint64,
    threshold=uint64,
    dkg_algorithm=ByteList[32],
    fork_version=ByteVector[4],
    operators=List[SszOperator, 256],
    creator=SszCreator,
    validators=List[SszAddresses, 65536],
    deposit_amounts=List[uint64, 256],
    consensus_protocol=ByteList[256],
    target_gas_limit=uint64,
    compounding=boolean,
    config_hash=ByteVector[32],
)
SszDeposit = record(
    "SszDeposit",
    pubkey=ByteVector[48],
    withdrawal_credentials=ByteVector[32],
    amount=uint64,
    signature=ByteVector[96],
)
SszRegistrationMessage = record(
    "SszRegistrationMessage",
    fee_recipient=Address,
    gas_limit=uint64,
    timestamp=uint64,
    pubkey=ByteVector[48],
)
SszRegistration = record(
    "SszRegistration",
    message=SszRegistrationMessage,
    signature=ByteVector[96],
)
SszValidator = record(
    "SszValidator",
    pubkey=ByteVector[48],
    public_shares=List[ByteVector[48], 256],
    deposits=List[SszDeposit, 256],
    registration=SszRegistration,
)
SszLock = record(
    "SszLock",
    definition=SszDefinition,
    validators=List[SszValidator, 65536],
)


def random_lock(seed: int) -> Lock:
    rng = Random(seed)
    some = rng.randrange(2)  # all optional things present, or absent

    def operator() -> Operator:
        return Operator(
            enr="enr:" + "A" * rng.randrange(200),
            address=rng.randbytes(20 * some),
            config_signature=rng.randbytes(65 * some * rng.choice([1, 1, 3])),
            enr_signature=rng.randbytes(65 * some),
        )

    def deposit() -> Deposit:
        return Deposit(
            pubkey=rng.randbytes(48),
            withdrawal_credentials=rng.randbytes(32),
            amount_gwei=rng.getrandbits(40),
            signature=rng.randbytes(96),
        )

    nodes, validators = rng.randrange(1, 8), rng.randrange(0, 6)
    definition = Definition(
        name="näme" * rng.randrange(5),
        uuid=rng.randbytes(8).hex().upper(),
        timestamp="2026-01-01T00:00:00Z",
        num_validators=validators,
        threshold=rng.randrange(10),
        fork_version=rng.randbytes(4),
        operators=tuple(operator() for _ in range(nodes)),
        creator=Creator(
            address=rng.randbytes(20 * some), config_signature=rng.randbytes(65 * some)
        ),
        validators=tuple(
            ValidatorAddresses(fee_recipient=rng.randbytes(20), withdrawal=rng.randbytes(20))
            for _ in range(validators)
        ),
        deposit_amounts=tuple(rng.getrandbits(40) for _ in range(rng.randrange(6))),
        consensus_protocol=rng.choice(["", "qbft"]),
        target_gas_limit=rng.getrandbits(40),
        compounding=bool(rng.randrange(2)),
    )
    return Lock(
        definition=sealed(definition),
        validators=tuple(
            DistributedValidator(
                pubkey=rng.randbytes(48),
                public_shares=tuple(rng.randbytes(48) for _ in range(nodes)),
                deposits=tuple(deposit() for _ in range(rng.randrange(3))),
                registration=Registration(
                    fee_recipient=rng.randbytes(20),
                    gas_limit=rng.getrandbits(40),
                    timestamp_s=rng.getrandbits(32),
                    pubkey=rng.randbytes(48),
                    signature=rng.randbytes(96),
                ),
            )
            for _ in range(validators)
        ),
        lock_hash=rng.randbytes(32),
        signature_aggregate=rng.randbytes(96),
        node_signatures=tuple(rng.randbytes(65) for _ in range(nodes)),
    )


def address(data: bytes) -> bytes:
    return data or bytes(20)


def signatures(data: bytes) -> list[bytes]:
    return [data[at : at + 65] for at in range(0, len(data), 65)]


def common_fields(d: Definition) -> dict[str, Any]:
    return {
        "uuid": d.uuid.encode(),
        "name": d.name.encode(),
        "version": b"v1.11.0",
        "timestamp": d.timestamp.encode(),
        "num_validators": d.num_validators,
        "threshold": d.threshold,
        "dkg_algorithm": b"default",
        "fork_version": d.fork_version,
        "validators": [
            SszAddresses(fee_recipient=v.fee_recipient, withdrawal=v.withdrawal)
            for v in d.validators
        ],
        "deposit_amounts": d.deposit_amounts,
        "consensus_protocol": d.consensus_protocol.encode(),
        "target_gas_limit": d.target_gas_limit,
        "compounding": d.compounding,
    }


def oracle_config(d: Definition) -> Any:
    return SszConfig(
        **common_fields(d),
        operators=[SszConfigOperator(address=address(o.address)) for o in d.operators],
        creator=SszConfigCreator(address=address(d.creator.address)),
    )


def oracle_definition(d: Definition) -> Any:
    return SszDefinition(
        **common_fields(d),
        operators=[
            SszOperator(
                address=address(o.address),
                enr=o.enr.encode(),
                config_signature=signatures(o.config_signature),
                enr_signature=signatures(o.enr_signature),
            )
            for o in d.operators
        ],
        creator=SszCreator(
            address=address(d.creator.address),
            config_signature=signatures(d.creator.config_signature),
        ),
        config_hash=oracle_config(d).hash_tree_root(),
    )


def oracle_validator(v: DistributedValidator) -> Any:
    message = SszRegistrationMessage(
        fee_recipient=v.registration.fee_recipient,
        gas_limit=v.registration.gas_limit,
        timestamp=v.registration.timestamp_s,
        pubkey=v.registration.pubkey,
    )
    return SszValidator(
        pubkey=v.pubkey,
        public_shares=v.public_shares,
        deposits=[
            SszDeposit(
                pubkey=each.pubkey,
                withdrawal_credentials=each.withdrawal_credentials,
                amount=each.amount_gwei,
                signature=each.signature,
            )
            for each in v.deposits
        ],
        registration=SszRegistration(message=message, signature=v.registration.signature),
    )


@pytest.mark.parametrize("seed", range(20))
def test_hashes_equal_an_independent_ssz_library(seed):
    lock = random_lock(seed)
    definition = oracle_definition(lock.definition)
    assert config_hash(lock.definition) == bytes(oracle_config(lock.definition).hash_tree_root())
    assert definition_hash(lock.definition) == bytes(definition.hash_tree_root())
    whole = SszLock(definition=definition, validators=map(oracle_validator, lock.validators))
    assert lock_hash(lock) == bytes(whole.hash_tree_root())


@pytest.mark.parametrize("seed", range(20))
def test_json_round_trip_keeps_everything(seed):
    lock = random_lock(seed)
    assert parse_lock(lock_document(lock)) == lock


def test_limit_of_operators_is_enforced():
    lock = random_lock(0)
    document = lock_document(lock).decode()
    entry = '"node_signatures": ['
    many = ",".join(['"0x' + "00" * 65 + '"'] * 257)
    with pytest.raises(InputInvalid, match="256"):
        parse_lock(document.replace(entry, entry + many + ",").encode())
