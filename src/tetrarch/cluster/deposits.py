"""Deposit data and builder registrations: what a new validator's root key signs once.

Source: consensus-specs phase0 (DepositMessage, DepositData), builder-specs
(ValidatorRegistrationV1), reference section 5.3 (amounts, file format).
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from tetrarch.cluster.hashing import bytes_root, container_root, uint64_root
from tetrarch.cluster.lock import Deposit, Registration, registration_message_root
from tetrarch.errors import InputInvalid
from tetrarch.ethereum.spec.domains import DomainType, compute_domain, compute_signing_root

GWEI_PER_ETH: Final = 10**9
AMOUNT_MIN_GWEI: Final = GWEI_PER_ETH
ACTIVATION_GWEI: Final = 32 * GWEI_PER_ETH
COMPOUNDING_MAX_GWEI: Final = 2048 * GWEI_PER_ETH
GAS_LIMIT_DEFAULT: Final = 60_000_000
DEPOSIT_CLI_VERSION: Final = "2.7.0"  # whose output the file imitates; launchpads look at it


def withdrawal_credentials(address: bytes, *, compounding: bool) -> bytes:
    """32 bytes that send withdrawals to ``address`` (20 bytes)."""
    prefix = b"\x02" if compounding else b"\x01"
    return prefix + bytes(11) + address


def default_amounts(*, compounding: bool) -> tuple[int, ...]:
    """Gwei: what is signed for where the definition names no amounts; ascending."""
    eth = (1, 8, 32, 256) if compounding else (1, 32)
    return tuple(amount * GWEI_PER_ETH for amount in eth)


def amounts_to_sign(amounts: Sequence[int], *, compounding: bool) -> tuple[int, ...]:
    """The distinct amounts (gwei) that deposits are signed for, ascending.

    Raises:
        InputInvalid: an amount is outside the allowed range, or all together cannot activate
            a validator.
    """
    if not amounts:
        return default_amounts(compounding=compounding)
    amount_max = COMPOUNDING_MAX_GWEI if compounding else ACTIVATION_GWEI
    for amount in amounts:
        if not AMOUNT_MIN_GWEI <= amount <= amount_max:
            raise InputInvalid("choose deposit amounts", amount_gwei=amount, max_gwei=amount_max)
    if sum(amounts) < ACTIVATION_GWEI:
        raise InputInvalid("choose deposit amounts", sum_gwei=sum(amounts), min=ACTIVATION_GWEI)
    return tuple(sorted(set(amounts)))


def _message_root(deposit: Deposit) -> bytes:
    return container_root(
        bytes_root(deposit.pubkey, size=48),
        bytes_root(deposit.withdrawal_credentials, size=32),
        uint64_root(deposit.amount_gwei),
    )


def _data_root(deposit: Deposit) -> bytes:
    return container_root(
        bytes_root(deposit.pubkey, size=48),
        bytes_root(deposit.withdrawal_credentials, size=32),
        uint64_root(deposit.amount_gwei),
        bytes_root(deposit.signature, size=96),
    )


def deposit_signing_root(deposit: Deposit, *, fork_version: bytes) -> bytes:
    """What the root key signs for a deposit on the chain of ``fork_version``."""
    domain = compute_domain(DomainType.DEPOSIT, fork_version)
    return compute_signing_root(_message_root(deposit), domain)


def registration_signing_root(registration: Registration, *, fork_version: bytes) -> bytes:
    """What the root key signs for a builder registration on the chain of ``fork_version``."""
    domain = compute_domain(DomainType.APPLICATION_BUILDER, fork_version)
    return compute_signing_root(registration_message_root(registration), domain)


def deposit_file_name(amount_gwei: int) -> str:
    """``deposit-data.json`` for 32 ETH, ``deposit-data-1eth.json``, ``deposit-data-1.5eth.json``."""
    if amount_gwei == ACTIVATION_GWEI:
        return "deposit-data.json"
    whole, rest = divmod(amount_gwei, GWEI_PER_ETH)
    text = f"{whole}.{rest:09d}".rstrip("0").rstrip(".")
    return f"deposit-data-{text}eth.json"


def deposit_document(
    deposits: Sequence[Deposit], *, fork_version: bytes, network_name: str
) -> bytes:
    """The JSON that deposit launchpads take: one entry per validator, by public key, no ``0x``."""
    entries = [
        {
            "pubkey": deposit.pubkey.hex(),
            "withdrawal_credentials": deposit.withdrawal_credentials.hex(),
            "amount": deposit.amount_gwei,
            "signature": deposit.signature.hex(),
            "deposit_message_root": _message_root(deposit).hex(),
            "deposit_data_root": _data_root(deposit).hex(),
            "fork_version": fork_version.hex(),
            "network_name": network_name,
            "deposit_cli_version": DEPOSIT_CLI_VERSION,
        }
        for deposit in sorted(deposits, key=lambda each: each.pubkey)
    ]
    return msgspec.json.format(msgspec.json.encode(entries), indent=1)
