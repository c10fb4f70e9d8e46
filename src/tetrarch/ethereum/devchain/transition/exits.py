"""Voluntary exits and changes of withdrawal credentials.

Source: consensus-specs, phase0, capella, deneb (EIP-7044) and electra, beacon-chain.md.
"""

from hashlib import sha256
from typing import Any

from tetrarch.ethereum.devchain.config import fork_version
from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.errors import require
from tetrarch.ethereum.devchain.transition.validators import (
    BLS_PREFIX,
    ETH1_PREFIX,
    initiate_exit,
    is_active,
    pending_balance_to_withdraw,
    validator_at,
)
from tetrarch.ethereum.spec.domains import (
    FAR_FUTURE_EPOCH,
    DomainType,
    compute_domain,
    compute_signing_root,
)
from tetrarch.ethereum.spec.values import Fork


def exit_domain(state: State, epoch: int) -> bytes:
    """The domain of an exit that is valid from ``epoch`` on."""
    if state.rules.fork.at_least(Fork.DENEB):
        version = fork_version(Fork.CAPELLA)
        return compute_domain(DomainType.VOLUNTARY_EXIT, version, state.genesis_validators_root)
    return state.domain(DomainType.VOLUNTARY_EXIT, epoch)


def process_voluntary_exit(state: State, signed: Any) -> None:
    """Let a validator leave that wants to and may."""
    message, epoch = signed.message, state.epoch
    validator = validator_at(state, message.validator_index)
    require(is_active(validator, epoch), "exiting validator is active")
    require(validator.exit_epoch == FAR_FUTURE_EPOCH, "validator is not exiting yet")
    require(epoch >= message.epoch, "exit is valid by now")
    served = validator.activation_epoch + state.rules.constants.shard_committee_period
    require(epoch >= served, "validator has served long enough")
    if state.rules.is_electra:
        pending = pending_balance_to_withdraw(state, message.validator_index)
        require(pending == 0, "no withdrawal is pending")
    root = compute_signing_root(message.hash_tree_root(), exit_domain(state, message.epoch))
    require(state.rules.verify(validator.pubkey, root, signed.signature), "exit signature")
    initiate_exit(state, message.validator_index)


def process_bls_to_execution_change(state: State, signed: Any) -> None:
    """Replace BLS withdrawal credentials by an address."""
    message = signed.message
    validator = validator_at(state, message.validator_index)
    credentials = validator.withdrawal_credentials
    require(credentials[:1] == BLS_PREFIX, "credentials are of BLS kind")
    digest = sha256(message.from_bls_pubkey).digest()
    require(credentials[1:] == digest[1:], "credentials belong to the key")
    domain = state.rules.bls_change_domain(state.genesis_validators_root)
    root = compute_signing_root(message.hash_tree_root(), domain)
    signed_by_key = state.rules.verify(message.from_bls_pubkey, root, signed.signature)
    require(signed_by_key, "change signature")
    state.change_validator(
        message.validator_index,
        withdrawal_credentials=ETH1_PREFIX + bytes(11) + message.to_execution_address,
    )
