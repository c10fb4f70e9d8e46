"""The outcome of key generation: the definition, every public key and share, and their proofs.

Source: reference sections 5.2 (fields) and 5.3 (lock hash).
"""

from dataclasses import dataclass

from tetrarch.cluster.definition import (
    ADDRESS_SIZE_BYTES,
    DEPOSIT_AMOUNTS_MAX,
    OPERATORS_MAX,
    VALIDATORS_MAX,
    Definition,
    definition_hash,
)
from tetrarch.cluster.hashing import bytes_root, container_root, list_root, uint64_root
from tetrarch.ethereum.spec.messages import SignedValidatorRegistration, ValidatorRegistration


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """Signed deposit data: ``amount_gwei`` to the validator ``pubkey`` (48 bytes)."""

    pubkey: bytes
    withdrawal_credentials: bytes  # 32 bytes
    amount_gwei: int
    signature: bytes  # 96 bytes, of the root key


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A signed builder registration. ``timestamp_s`` is Unix seconds."""

    fee_recipient: bytes  # 20 bytes
    gas_limit: int
    timestamp_s: int
    pubkey: bytes  # 48 bytes, the root key
    signature: bytes  # 96 bytes, of the root key

    def signed(self) -> SignedValidatorRegistration:
        """As beacon nodes take it."""
        message = ValidatorRegistration(
            fee_recipient=self.fee_recipient,
            gas_limit=self.gas_limit,
            timestamp=self.timestamp_s,
            pubkey=self.pubkey,
        )
        return SignedValidatorRegistration(message=message, signature=self.signature)


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributedValidator:
    """One validator: ``pubkey`` is the root key, ``public_shares[i]`` belongs to share i + 1."""

    pubkey: bytes
    public_shares: tuple[bytes, ...]
    deposits: tuple[Deposit, ...]
    registration: Registration


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """The lock. ``lock_hash`` is as stored, maybe wrong; so are the signatures over it.

    ``signature_aggregate`` (96 bytes): the sum of the signatures of every share of every
    validator. ``node_signatures[i]`` (65 bytes): by operator i's identity key.
    """

    definition: Definition
    validators: tuple[DistributedValidator, ...]
    lock_hash: bytes = b""
    signature_aggregate: bytes = b""
    node_signatures: tuple[bytes, ...] = ()


def _deposit_root(deposit: Deposit) -> bytes:
    return container_root(
        bytes_root(deposit.pubkey, size=48),
        bytes_root(deposit.withdrawal_credentials, size=32),
        uint64_root(deposit.amount_gwei),
        bytes_root(deposit.signature, size=96),
    )


def registration_message_root(registration: Registration) -> bytes:
    """Hash tree root of the message that the registration signs."""
    return container_root(
        bytes_root(registration.fee_recipient, size=ADDRESS_SIZE_BYTES),
        uint64_root(registration.gas_limit),
        uint64_root(registration.timestamp_s),
        bytes_root(registration.pubkey, size=48),
    )


def _registration_root(registration: Registration) -> bytes:
    message = registration_message_root(registration)
    return container_root(message, bytes_root(registration.signature, size=96))


def _validator_root(validator: DistributedValidator) -> bytes:
    return container_root(
        bytes_root(validator.pubkey, size=48),
        list_root(
            (bytes_root(share, size=48) for share in validator.public_shares),
            count_max=OPERATORS_MAX,
        ),
        list_root(map(_deposit_root, validator.deposits), count_max=DEPOSIT_AMOUNTS_MAX),
        _registration_root(validator.registration),
    )


def lock_hash(lock: Lock) -> bytes:
    """32 bytes over the definition (with a computed config hash) and all validators."""
    validators = list_root(map(_validator_root, lock.validators), count_max=VALIDATORS_MAX)
    return container_root(definition_hash(lock.definition), validators)
