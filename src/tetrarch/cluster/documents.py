"""The JSON of definition and lock, format v1.11: strict on reading, the reference's on writing.

An unknown field is refused: hashes would not cover it. Text from a file becomes a value of
``definition`` and ``lock`` here and nowhere else; whether the value is *true* is ``verify``'s.
"""

from typing import Annotated, Any, TypeAlias

import msgspec

from tetrarch.cluster.addresses import address_text, parse_address
from tetrarch.cluster.definition import (
    CONSENSUS_PROTOCOL_SIZE_MAX,
    DEPOSIT_AMOUNTS_MAX,
    DKG_ALGORITHM_SIZE_MAX,
    ENR_SIZE_MAX,
    IDENTITY_SIGNATURE_SIZE_BYTES,
    NAME_SIZE_MAX,
    OPERATORS_MAX,
    SAFE_SIGNATURES_MAX,
    TIMESTAMP_SIZE_MAX,
    UUID_SIZE_MAX,
    VALIDATORS_MAX,
    VERSION,
    Creator,
    Definition,
    Operator,
    ValidatorAddresses,
    config_hash,
    definition_hash,
)
from tetrarch.cluster.lock import Deposit, DistributedValidator, Lock, Registration
from tetrarch.cluster.text import hex_text, parse_decimal, parse_hex, parse_hex_upto
from tetrarch.decoding import UNDECODABLE
from tetrarch.errors import InputInvalid

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Hex: TypeAlias = Annotated[str, msgspec.Meta(max_length=2 + 2 * 96)]
Name: TypeAlias = Annotated[str, msgspec.Meta(max_length=NAME_SIZE_MAX)]
IdentitySignatures: TypeAlias = Annotated[
    str, msgspec.Meta(max_length=2 + 2 * IDENTITY_SIGNATURE_SIZE_BYTES * SAFE_SIGNATURES_MAX)
]


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A JSON object whose every field is known."""


class _Creator(_Document, frozen=True, kw_only=True):
    address: Hex
    config_signature: IdentitySignatures


class _Operator(_Document, frozen=True, kw_only=True):
    address: Hex
    enr: Annotated[str, msgspec.Meta(max_length=ENR_SIZE_MAX)]
    config_signature: IdentitySignatures
    enr_signature: IdentitySignatures


class _Addresses(_Document, frozen=True, kw_only=True):
    fee_recipient_address: Hex
    withdrawal_address: Hex


class _Definition(_Document, frozen=True, kw_only=True):
    name: Name
    creator: _Creator
    operators: Annotated[list[_Operator], msgspec.Meta(max_length=OPERATORS_MAX)]
    uuid: Annotated[str, msgspec.Meta(max_length=UUID_SIZE_MAX)]
    version: Annotated[str, msgspec.Meta(max_length=16)]
    timestamp: Annotated[str, msgspec.Meta(max_length=TIMESTAMP_SIZE_MAX)]
    num_validators: Count
    threshold: Count
    validators: Annotated[list[_Addresses], msgspec.Meta(max_length=VALIDATORS_MAX)]
    dkg_algorithm: Annotated[str, msgspec.Meta(max_length=DKG_ALGORITHM_SIZE_MAX)]
    fork_version: Hex
    deposit_amounts: Annotated[list[Hex], msgspec.Meta(max_length=DEPOSIT_AMOUNTS_MAX)] | None = (
        None
    )
    consensus_protocol: Annotated[str, msgspec.Meta(max_length=CONSENSUS_PROTOCOL_SIZE_MAX)] = ""
    target_gas_limit: Count
    compounding: bool
    config_hash: Hex
    definition_hash: Hex


class _Deposit(_Document, frozen=True, kw_only=True):
    pubkey: Hex
    withdrawal_credentials: Hex
    amount: Hex
    signature: Hex


class _RegistrationMessage(_Document, frozen=True, kw_only=True):
    fee_recipient: Hex
    gas_limit: Count
    timestamp: Count
    pubkey: Hex


class _Registration(_Document, frozen=True, kw_only=True):
    message: _RegistrationMessage
    signature: Hex


class _Validator(_Document, frozen=True, kw_only=True):
    distributed_public_key: Hex
    public_shares: Annotated[list[Hex], msgspec.Meta(max_length=OPERATORS_MAX)]
    builder_registration: _Registration
    partial_deposit_data: Annotated[list[_Deposit], msgspec.Meta(max_length=DEPOSIT_AMOUNTS_MAX)]


class _Lock(_Document, frozen=True, kw_only=True):
    cluster_definition: _Definition
    distributed_validators: Annotated[list[_Validator], msgspec.Meta(max_length=VALIDATORS_MAX)]
    signature_aggregate: Hex
    lock_hash: Hex
    node_signatures: Annotated[list[Hex], msgspec.Meta(max_length=OPERATORS_MAX)]


class _AnyVersion(msgspec.Struct, frozen=True):
    version: str = "none"


class _AnyLock(msgspec.Struct, frozen=True):
    cluster_definition: _AnyVersion = _AnyVersion()


def parse_lock(data: bytes) -> Lock:
    """The lock that ``data`` holds.

    Raises:
        InputInvalid: not JSON, another version, an unknown, missing or malformed field; says
            which one by its path.
    """
    try:
        version = msgspec.json.decode(data, type=_AnyLock).cluster_definition.version
        if version != VERSION:
            raise InputInvalid(
                "read lock", field="cluster_definition.version", got=version, supported=VERSION
            )
        document = msgspec.json.decode(data, type=_Lock)
    except UNDECODABLE as error:
        raise InputInvalid("read lock", reason=error) from error
    return Lock(
        definition=_definition_of(document.cluster_definition),
        validators=tuple(
            _validator_of(validator, where=f"distributed_validators[{index}]")
            for index, validator in enumerate(document.distributed_validators)
        ),
        lock_hash=parse_hex(document.lock_hash, size=32, field="lock_hash"),
        signature_aggregate=parse_hex(
            document.signature_aggregate, size=96, field="signature_aggregate"
        ),
        node_signatures=tuple(
            parse_hex(text, size=65, field=f"node_signatures[{index}]")
            for index, text in enumerate(document.node_signatures)
        ),
    )


def _check_sizes(document: _Definition) -> None:
    """Limits are bytes, where the schema above counts characters."""
    for name, size_max in (
        ("name", NAME_SIZE_MAX),
        ("uuid", UUID_SIZE_MAX),
        ("timestamp", TIMESTAMP_SIZE_MAX),
        ("dkg_algorithm", DKG_ALGORITHM_SIZE_MAX),
        ("consensus_protocol", CONSENSUS_PROTOCOL_SIZE_MAX),
    ):
        size = len(getattr(document, name).encode())
        if size > size_max:
            raise InputInvalid(
                "read lock", field=f"cluster_definition.{name}", size_max=size_max, got=size
            )
    for index, operator in enumerate(document.operators):
        if not operator.enr.isascii():
            field = f"cluster_definition.operators[{index}].enr"
            raise InputInvalid("read lock", field=field, reason="not ASCII")


def _definition_of(document: _Definition) -> Definition:
    _check_sizes(document)
    where = "cluster_definition"
    return Definition(
        name=document.name,
        uuid=document.uuid,
        version=document.version,
        timestamp=document.timestamp,
        num_validators=document.num_validators,
        threshold=document.threshold,
        dkg_algorithm=document.dkg_algorithm,
        fork_version=parse_hex(document.fork_version, size=4, field=f"{where}.fork_version"),
        operators=tuple(
            _operator_of(operator, where=f"{where}.operators[{index}]")
            for index, operator in enumerate(document.operators)
        ),
        creator=Creator(
            address=parse_address(document.creator.address, field=f"{where}.creator.address"),
            config_signature=_signatures(
                document.creator.config_signature, field=f"{where}.creator.config_signature"
            ),
        ),
        validators=tuple(
            _addresses_of(addresses, where=f"{where}.validators[{index}]")
            for index, addresses in enumerate(document.validators)
        ),
        deposit_amounts=tuple(
            parse_decimal(amount, field=f"{where}.deposit_amounts[{index}]")
            for index, amount in enumerate(document.deposit_amounts or ())
        ),
        consensus_protocol=document.consensus_protocol,
        target_gas_limit=document.target_gas_limit,
        compounding=document.compounding,
        config_hash=parse_hex(document.config_hash, size=32, field=f"{where}.config_hash"),
        definition_hash=parse_hex(
            document.definition_hash, size=32, field=f"{where}.definition_hash"
        ),
    )


def _signatures(text: str, *, field: str) -> bytes:
    size_max = IDENTITY_SIGNATURE_SIZE_BYTES * SAFE_SIGNATURES_MAX
    data = parse_hex_upto(text, size_max=size_max, field=field)
    if len(data) % IDENTITY_SIGNATURE_SIZE_BYTES:
        raise InputInvalid("read hex", field=field, reason="not a multiple of 65 bytes")
    return data


def _operator_of(document: _Operator, *, where: str) -> Operator:
    return Operator(
        address=parse_address(document.address, field=f"{where}.address"),
        enr=document.enr,
        config_signature=_signatures(document.config_signature, field=f"{where}.config_signature"),
        enr_signature=_signatures(document.enr_signature, field=f"{where}.enr_signature"),
    )


def _full_address(text: str, *, field: str) -> bytes:
    address = parse_address(text, field=field)
    if not address:
        raise InputInvalid("read address", field=field, reason="empty")
    return address


def _addresses_of(document: _Addresses, *, where: str) -> ValidatorAddresses:
    return ValidatorAddresses(
        fee_recipient=_full_address(
            document.fee_recipient_address, field=f"{where}.fee_recipient_address"
        ),
        withdrawal=_full_address(document.withdrawal_address, field=f"{where}.withdrawal_address"),
    )


def _validator_of(document: _Validator, *, where: str) -> DistributedValidator:
    registration = document.builder_registration
    inside = f"{where}.builder_registration"
    return DistributedValidator(
        pubkey=parse_hex(
            document.distributed_public_key, size=48, field=f"{where}.distributed_public_key"
        ),
        public_shares=tuple(
            parse_hex(text, size=48, field=f"{where}.public_shares[{index}]")
            for index, text in enumerate(document.public_shares)
        ),
        deposits=tuple(
            _deposit_of(deposit, where=f"{where}.partial_deposit_data[{index}]")
            for index, deposit in enumerate(document.partial_deposit_data)
        ),
        registration=Registration(
            fee_recipient=_full_address(
                registration.message.fee_recipient, field=f"{inside}.message.fee_recipient"
            ),
            gas_limit=registration.message.gas_limit,
            timestamp_s=registration.message.timestamp,
            pubkey=parse_hex(
                registration.message.pubkey, size=48, field=f"{inside}.message.pubkey"
            ),
            signature=parse_hex(registration.signature, size=96, field=f"{inside}.signature"),
        ),
    )


def _deposit_of(document: _Deposit, *, where: str) -> Deposit:
    return Deposit(
        pubkey=parse_hex(document.pubkey, size=48, field=f"{where}.pubkey"),
        withdrawal_credentials=parse_hex(
            document.withdrawal_credentials, size=32, field=f"{where}.withdrawal_credentials"
        ),
        amount_gwei=parse_decimal(document.amount, field=f"{where}.amount"),
        signature=parse_hex(document.signature, size=96, field=f"{where}.signature"),
    )


def lock_document(lock: Lock) -> bytes:
    """The lock as the reference writes it: JSON, indented by one space. Hashes as stored."""
    document = {
        "cluster_definition": _definition_object(lock.definition),
        "distributed_validators": [_validator_object(each) for each in lock.validators],
        "signature_aggregate": hex_text(lock.signature_aggregate),
        "lock_hash": hex_text(lock.lock_hash),
        "node_signatures": [hex_text(signature) for signature in lock.node_signatures],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=1)


def _definition_object(definition: Definition) -> dict[str, Any]:
    d = definition
    return {
        "name": d.name,
        "creator": {
            "address": address_text(d.creator.address),
            "config_signature": hex_text(d.creator.config_signature),
        },
        "operators": [
            {
                "address": address_text(operator.address),
                "enr": operator.enr,
                "config_signature": hex_text(operator.config_signature),
                "enr_signature": hex_text(operator.enr_signature),
            }
            for operator in d.operators
        ],
        "uuid": d.uuid,
        "version": d.version,
        "timestamp": d.timestamp,
        "num_validators": d.num_validators,
        "threshold": d.threshold,
        "validators": [
            {
                "fee_recipient_address": address_text(addresses.fee_recipient),
                "withdrawal_address": address_text(addresses.withdrawal),
            }
            for addresses in d.validators
        ],
        "dkg_algorithm": d.dkg_algorithm,
        "fork_version": hex_text(d.fork_version),
        "deposit_amounts": [str(amount) for amount in d.deposit_amounts],
        "consensus_protocol": d.consensus_protocol,
        "target_gas_limit": d.target_gas_limit,
        "compounding": d.compounding,
        "config_hash": hex_text(config_hash(d)),
        "definition_hash": hex_text(definition_hash(d)),
    }


def _validator_object(validator: DistributedValidator) -> dict[str, Any]:
    registration = validator.registration
    return {
        "distributed_public_key": hex_text(validator.pubkey),
        "public_shares": [hex_text(share) for share in validator.public_shares],
        "builder_registration": {
            "message": {
                "fee_recipient": hex_text(registration.fee_recipient),
                "gas_limit": registration.gas_limit,
                "timestamp": registration.timestamp_s,
                "pubkey": hex_text(registration.pubkey),
            },
            "signature": hex_text(registration.signature),
        },
        "partial_deposit_data": [
            {
                "pubkey": hex_text(deposit.pubkey),
                "withdrawal_credentials": hex_text(deposit.withdrawal_credentials),
                "amount": str(deposit.amount_gwei),
                "signature": hex_text(deposit.signature),
            }
            for deposit in validator.deposits
        ],
    }
