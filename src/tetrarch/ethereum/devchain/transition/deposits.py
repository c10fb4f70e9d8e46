"""Deposits through the old contract's tree (before Fulu), and new validators.

Source: consensus-specs, phase0 and electra (EIP-6110, EIP-7251), beacon-chain.md.
"""

from hashlib import sha256
from typing import Any

from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.errors import require, uint64
from tetrarch.ethereum.devchain.transition.validators import (
    increase_balance,
    max_effective_balance,
)
from tetrarch.ethereum.spec.domains import FAR_FUTURE_EPOCH, compute_signing_root

DEPOSIT_TREE_DEPTH = 33  # the contract's 32, and one for the number of deposits
INFINITY_SIGNATURE = b"\xc0" + bytes(95)
GENESIS_SLOT = 0


def expected_deposits(state: State) -> int:
    """How many deposits a block in this state must carry."""
    if state.rules.is_fulu:
        return 0
    eth1_data: Any = state.eth1_data
    limit = eth1_data.deposit_count
    if state.rules.is_electra:
        limit = min(limit, state.deposit_requests_start_index)
        if state.eth1_deposit_index >= limit:
            return 0
    return min(state.rules.preset.max_deposits, uint64(limit - state.eth1_deposit_index))


def is_valid_deposit(state: State, deposit: Any) -> bool:
    """Whether a deposit's signature proves possession of its key."""
    message = state.rules.types.DepositMessage(
        pubkey=deposit.pubkey,
        withdrawal_credentials=deposit.withdrawal_credentials,
        amount=deposit.amount,
    )
    root = compute_signing_root(message.hash_tree_root(), state.rules.deposit_domain())
    return state.rules.verify(deposit.pubkey, root, deposit.signature)


def add_validator(state: State, deposit: Any, amount: int) -> None:
    """Append a validator with ``amount`` Gwei."""
    increment = state.rules.preset.effective_balance_increment
    ceiling = max_effective_balance(state, deposit.withdrawal_credentials)
    validator = state.rules.types.Validator(
        pubkey=deposit.pubkey,
        withdrawal_credentials=deposit.withdrawal_credentials,
        effective_balance=min(amount - amount % increment, ceiling),
        slashed=False,
        activation_eligibility_epoch=FAR_FUTURE_EPOCH,
        activation_epoch=FAR_FUTURE_EPOCH,
        exit_epoch=FAR_FUTURE_EPOCH,
        withdrawable_epoch=FAR_FUTURE_EPOCH,
    )
    state.mutable("validators").append(validator)
    state.mutable("balances").append(amount)
    for name in ("previous_epoch_participation", "current_epoch_participation"):
        state.mutable(name).append(0)
    state.mutable("inactivity_scores").append(0)


def process_deposit(state: State, deposit: Any) -> None:
    """Apply the next deposit of the contract's tree; a bad key signature makes it void."""
    eth1_data: Any = state.eth1_data
    node, index = deposit.data.hash_tree_root(), state.eth1_deposit_index
    for depth in range(DEPOSIT_TREE_DEPTH):
        pair = deposit.proof[depth], node
        if not index >> depth & 1:
            pair = node, deposit.proof[depth]
        node = sha256(b"".join(pair)).digest()
    require(node == eth1_data.deposit_root, "deposit proof")
    state.eth1_deposit_index += 1
    _apply(state, deposit.data)


def _apply(state: State, data: Any) -> None:
    index = state.index_of(data.pubkey)
    if index is None and not is_valid_deposit(state, data):
        return
    if not state.rules.is_electra:
        if index is None:
            add_validator(state, data, data.amount)
        else:
            increase_balance(state, index, data.amount)
        return
    if index is None:
        add_validator(state, data, 0)
    queue_deposit(state, data, slot=GENESIS_SLOT)


def queue_deposit(state: State, deposit: Any, *, slot: int) -> None:
    """Append a pending deposit (Electra); ``slot`` 0 marks one that is no request."""
    pending = state.rules.types.PendingDeposit(
        pubkey=deposit.pubkey,
        withdrawal_credentials=deposit.withdrawal_credentials,
        amount=deposit.amount,
        signature=deposit.signature,
        slot=slot,
    )
    state.mutable("pending_deposits").append(pending)
