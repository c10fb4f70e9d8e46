"""What the operators agreed to build: names, addresses, numbers; and its two hashes.

Only format v1.11 is known, the newest one. Fields and order are the reference's, so that both
programs read the same file.

Source: reference sections 5.2 (fields, limits) and 5.3 (hashes).
"""

from dataclasses import dataclass, replace

from tetrarch.cluster.hashing import (
    boolean_root,
    bytes_root,
    container_root,
    list_root,
    text_root,
    uint64_list_root,
    uint64_root,
)

VERSION = "v1.11.0"
OPERATORS_MAX = 256
VALIDATORS_MAX = 65_536
DEPOSIT_AMOUNTS_MAX = 256
NAME_SIZE_MAX = 256
UUID_SIZE_MAX = 64
VERSION_SIZE_MAX = 16
TIMESTAMP_SIZE_MAX = 32
DKG_ALGORITHM_SIZE_MAX = 32
CONSENSUS_PROTOCOL_SIZE_MAX = 256
ENR_SIZE_MAX = 1024
ADDRESS_SIZE_BYTES = 20
IDENTITY_SIGNATURE_SIZE_BYTES = 65
SAFE_SIGNATURES_MAX = 32  # 65-byte signatures of one multi-signature wallet


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One operator. In the solo flow only ``enr`` is set; the others are empty.

    ``address`` is empty or 20 bytes; the signatures are a multiple of 65 bytes.
    """

    enr: str
    address: bytes = b""
    config_signature: bytes = b""
    enr_signature: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Creator:
    """Who wrote the definition; all empty in the solo flow."""

    address: bytes = b""
    config_signature: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatorAddresses:
    """Execution-layer addresses of one validator, 20 bytes each."""

    fee_recipient: bytes
    withdrawal: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """The agreement. ``config_hash`` and ``definition_hash`` are as stored, maybe wrong.

    ``deposit_amounts`` are gwei; none means the defaults of ``deposits.default_amounts``.
    ``timestamp`` is RFC 3339 text. ``fork_version`` is the chain's genesis fork version.
    """

    name: str
    uuid: str
    version: str = VERSION
    timestamp: str
    num_validators: int
    threshold: int
    dkg_algorithm: str = "default"
    fork_version: bytes
    operators: tuple[Operator, ...]
    creator: Creator = Creator()
    validators: tuple[ValidatorAddresses, ...]
    deposit_amounts: tuple[int, ...] = ()
    consensus_protocol: str = ""
    target_gas_limit: int
    compounding: bool = False
    config_hash: bytes = b""
    definition_hash: bytes = b""


def _signatures_root(signature: bytes) -> bytes:
    """``List[Bytes65, 32]`` of a concatenation of 65-byte signatures."""
    size = IDENTITY_SIGNATURE_SIZE_BYTES
    parts = [signature[at : at + size] for at in range(0, len(signature), size)]
    return list_root((bytes_root(part, size=size) for part in parts), count_max=SAFE_SIGNATURES_MAX)


def _operator_root(operator: Operator, *, config_only: bool) -> bytes:
    address = bytes_root(operator.address, size=ADDRESS_SIZE_BYTES)
    if config_only:
        return container_root(address)
    return container_root(
        address,
        text_root(operator.enr, size_max=ENR_SIZE_MAX),
        _signatures_root(operator.config_signature),
        _signatures_root(operator.enr_signature),
    )


def _creator_root(creator: Creator, *, config_only: bool) -> bytes:
    address = bytes_root(creator.address, size=ADDRESS_SIZE_BYTES)
    if config_only:
        return container_root(address)
    return container_root(address, _signatures_root(creator.config_signature))


def _addresses_root(addresses: ValidatorAddresses) -> bytes:
    return container_root(
        bytes_root(addresses.fee_recipient, size=ADDRESS_SIZE_BYTES),
        bytes_root(addresses.withdrawal, size=ADDRESS_SIZE_BYTES),
    )


def _field_roots(definition: Definition, *, config_only: bool) -> list[bytes]:
    d = definition
    return [
        text_root(d.uuid, size_max=UUID_SIZE_MAX),
        text_root(d.name, size_max=NAME_SIZE_MAX),
        text_root(d.version, size_max=VERSION_SIZE_MAX),
        text_root(d.timestamp, size_max=TIMESTAMP_SIZE_MAX),
        uint64_root(d.num_validators),
        uint64_root(d.threshold),
        text_root(d.dkg_algorithm, size_max=DKG_ALGORITHM_SIZE_MAX),
        bytes_root(d.fork_version, size=4),
        list_root(
            (_operator_root(operator, config_only=config_only) for operator in d.operators),
            count_max=OPERATORS_MAX,
        ),
        _creator_root(d.creator, config_only=config_only),
        list_root(map(_addresses_root, d.validators), count_max=VALIDATORS_MAX),
        uint64_list_root(d.deposit_amounts, count_max=DEPOSIT_AMOUNTS_MAX),
        text_root(d.consensus_protocol, size_max=CONSENSUS_PROTOCOL_SIZE_MAX),
        uint64_root(d.target_gas_limit),
        boolean_root(d.compounding),
    ]


def config_hash(definition: Definition) -> bytes:
    """32 bytes over what operators sign: everything but ENRs and signatures."""
    return container_root(*_field_roots(definition, config_only=True))


def definition_hash(definition: Definition) -> bytes:
    """32 bytes over everything, the (computed) config hash included."""
    fields = _field_roots(definition, config_only=False)
    return container_root(*fields, bytes_root(config_hash(definition), size=32))


def sealed(definition: Definition) -> Definition:
    """The same definition with its two hashes computed and stored."""
    return replace(
        definition,
        config_hash=config_hash(definition),
        definition_hash=definition_hash(definition),
    )
