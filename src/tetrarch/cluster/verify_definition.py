"""Every rule for the definition inside a lock: numbers, hashes, operators, wallet signatures."""

from collections.abc import Iterator

from tetrarch.cluster import eip712
from tetrarch.cluster.addresses import address_text
from tetrarch.cluster.definition import (
    IDENTITY_SIGNATURE_SIZE_BYTES,
    Definition,
    config_hash,
    definition_hash,
)
from tetrarch.cluster.deposits import amounts_to_sign
from tetrarch.cluster.enr import decode_enr
from tetrarch.cluster.findings import Finding, lock_finding
from tetrarch.cluster.networks import network_of
from tetrarch.cluster.text import hex_text
from tetrarch.errors import InputInvalid

OPERATORS_MIN = 3
THRESHOLD_MIN = 2
_HERE = "cluster_definition"


def verify_definition(definition: Definition) -> Iterator[Finding]:
    """Yield what is wrong; nothing for a good definition."""
    yield from _numbers(definition)
    if definition.config_hash != config_hash(definition):
        yield lock_finding(
            "config_hash_wrong", f"{_HERE}.config_hash", "is not the hash of the configuration"
        )
    if definition.definition_hash != definition_hash(definition):
        yield lock_finding(
            "definition_hash_wrong", f"{_HERE}.definition_hash", "is not the definition's hash"
        )
    yield from _records(definition)
    yield from _wallet_signatures(definition)


def _numbers(definition: Definition) -> Iterator[Finding]:
    count = len(definition.operators)
    if count < OPERATORS_MIN:
        yield lock_finding(
            "operators_too_few", f"{_HERE}.operators", f"{count} operators; at least 3 are needed"
        )
    if not THRESHOLD_MIN <= definition.threshold <= count:
        yield lock_finding(
            "threshold_wrong",
            f"{_HERE}.threshold",
            f"{definition.threshold} is outside 2..{count}, the number of operators",
        )
    if not definition.num_validators or definition.num_validators != len(definition.validators):
        yield lock_finding(
            "validator_count_wrong",
            f"{_HERE}.num_validators",
            f"is {definition.num_validators}, but {len(definition.validators)} are described",
        )
    try:
        amounts_to_sign(definition.deposit_amounts, compounding=definition.compounding)
    except InputInvalid as error:
        yield lock_finding("deposit_amounts_wrong", f"{_HERE}.deposit_amounts", str(error))


def _records(definition: Definition) -> Iterator[Finding]:
    seen: dict[bytes, int] = {}
    for index, operator in enumerate(definition.operators):
        where = f"{_HERE}.operators[{index}].enr"
        try:
            public_key = decode_enr(operator.enr).public_key
        except InputInvalid as error:
            yield lock_finding("enr_invalid", where, str(error))
            continue
        first = seen.setdefault(public_key, index)
        if first != index:
            yield lock_finding("enr_repeated", where, f"has the key of operator {first}")


def _wallet_signatures(definition: Definition) -> Iterator[Finding]:
    """All operators signed, or none (solo flow, where the creator may be empty)."""
    creator = definition.creator
    signed = [
        operator
        for operator in definition.operators
        if operator.address or operator.config_signature or operator.enr_signature
    ]
    if not signed and not creator.address and not creator.config_signature:
        return
    if signed and len(signed) != len(definition.operators):
        yield lock_finding(
            "operators_partly_signed",
            f"{_HERE}.operators",
            f"{len(signed)} of {len(definition.operators)} operators signed; all or none must",
        )
        return
    network = network_of(definition.fork_version)
    if network is None or network.chain_id is None:
        yield lock_finding(
            "signature_unverifiable",
            f"{_HERE}.fork_version",
            "wallet signatures bind a chain id, and the chain of this fork version is unknown",
        )
        return
    hash_text = hex_text(config_hash(definition))
    for index, operator in enumerate(signed):
        where = f"{_HERE}.operators[{index}]"
        for kind, text, signature, name in (
            (eip712.OPERATOR_CONFIG_HASH, hash_text, operator.config_signature, "config"),
            (eip712.ENR, operator.enr, operator.enr_signature, "enr"),
        ):
            digest = eip712.typed_digest(kind, text, chain_id=network.chain_id)
            yield from _wallet(operator.address, digest, signature, f"{where}.{name}_signature")
    digest = eip712.typed_digest(eip712.CREATOR_CONFIG_HASH, hash_text, chain_id=network.chain_id)
    yield from _wallet(
        creator.address, digest, creator.config_signature, f"{_HERE}.creator.config_signature"
    )


def _wallet(address: bytes, digest: bytes, signature: bytes, where: str) -> Iterator[Finding]:
    if not address or not signature:
        yield lock_finding("signature_missing", where, "address or signature is empty")
    elif len(signature) != IDENTITY_SIGNATURE_SIZE_BYTES:
        yield lock_finding(
            "signature_unverifiable",
            where,
            "is of a multi-signature wallet: only its contract can verify it (ERC-1271), which "
            "needs an execution node",
        )
    elif not eip712.signed_by(address, digest, signature):
        yield lock_finding(
            "wallet_signature_wrong",
            where,
            f"is not by {address_text(address)} (if that is a contract wallet, only its contract "
            "can verify it)",
        )
