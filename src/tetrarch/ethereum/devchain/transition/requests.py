"""Requests from the execution layer (Electra). One that does not apply is ignored, not refused.

Source: consensus-specs, electra/beacon-chain.md (EIP-6110, EIP-7002, EIP-7251).
"""

from typing import Any

from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.deposits import INFINITY_SIGNATURE, queue_deposit
from tetrarch.ethereum.devchain.transition.errors import require, uint64
from tetrarch.ethereum.devchain.transition.validators import (
    COMPOUNDING_PREFIX,
    ETH1_PREFIX,
    consolidation_churn_limit,
    has_execution_credentials,
    initiate_exit,
    is_active,
    is_compounding,
    pending_balance_to_withdraw,
    take_consolidation_churn,
    take_exit_churn,
)
from tetrarch.ethereum.spec.domains import FAR_FUTURE_EPOCH

UNSET_START_INDEX = 2**64 - 1
FULL_EXIT = 0


def process_deposit_request(state: State, request: Any) -> None:
    """Queue a deposit."""
    if not state.rules.is_fulu and state.deposit_requests_start_index == UNSET_START_INDEX:
        state.deposit_requests_start_index = request.index
    queue_deposit(state, request, slot=state.slot)


def _is_staying(state: State, validator: Any) -> bool:
    active = is_active(validator, state.epoch)
    return active and bool(validator.exit_epoch == FAR_FUTURE_EPOCH)


def _has_served(state: State, validator: Any) -> bool:
    served = validator.activation_epoch + state.rules.constants.shard_committee_period
    return bool(state.epoch >= served)


def _is_authorized(state: State, validator: Any, address: bytes) -> bool:
    credentials = validator.withdrawal_credentials
    return has_execution_credentials(state, validator) and bool(credentials[12:] == address)


def process_withdrawal_request(state: State, request: Any) -> None:
    """Exit a validator, or queue a partial withdrawal."""
    full = request.amount == FULL_EXIT
    pending_max = state.rules.preset.pending_partial_withdrawals_limit
    if len(state.pending_partial_withdrawals) == pending_max and not full:
        return
    index = state.index_of(request.validator_pubkey)
    if index is None:
        return
    validator: Any = state.validators[index]
    allowed = _is_authorized(state, validator, request.source_address)
    if not (allowed and _is_staying(state, validator) and _has_served(state, validator)):
        return
    pending = pending_balance_to_withdraw(state, index)
    if full:
        if pending == 0:
            initiate_exit(state, index)
        return
    floor = state.rules.preset.min_activation_balance
    enough = validator.effective_balance >= floor
    if is_compounding(validator) and enough and state.balances[index] > floor + pending:
        _queue_withdrawal(
            state, index, min(state.balances[index] - floor - pending, request.amount)
        )


def _queue_withdrawal(state: State, index: int, amount: int) -> None:
    exit_epoch = take_exit_churn(state, amount)
    delay = state.rules.constants.min_validator_withdrawability_delay
    withdrawal = state.rules.types.PendingPartialWithdrawal(
        validator_index=index, amount=amount, withdrawable_epoch=uint64(exit_epoch + delay)
    )
    state.mutable("pending_partial_withdrawals").append(withdrawal)


def process_consolidation_request(state: State, request: Any) -> None:
    """Switch a validator to compounding, or queue the move of its balance to another."""
    source_index = state.index_of(request.source_pubkey)
    if source_index is not None and _is_switch(state, request, source_index):
        _switch_to_compounding(state, source_index)
        return
    preset = state.rules.preset
    if (
        request.source_pubkey == request.target_pubkey
        or len(state.pending_consolidations) == preset.pending_consolidations_limit
        or consolidation_churn_limit(state) <= preset.min_activation_balance
    ):
        return
    target_index = state.index_of(request.target_pubkey)
    if source_index is None or target_index is None:
        return
    source: Any = state.validators[source_index]
    target: Any = state.validators[target_index]
    if (
        not _is_authorized(state, source, request.source_address)
        or not is_compounding(target)
        or not _is_staying(state, source)
        or not _is_staying(state, target)
        or not _has_served(state, source)
        or pending_balance_to_withdraw(state, source_index) > 0
    ):
        return
    _consolidate(state, source_index, target_index)


def _consolidate(state: State, source_index: int, target_index: int) -> None:
    source: Any = state.validators[source_index]
    exit_epoch = take_consolidation_churn(state, source.effective_balance)
    delay = state.rules.constants.min_validator_withdrawability_delay
    state.change_validator(
        source_index, exit_epoch=exit_epoch, withdrawable_epoch=uint64(exit_epoch + delay)
    )
    pending = state.rules.types.PendingConsolidation(
        source_index=source_index, target_index=target_index
    )
    state.mutable("pending_consolidations").append(pending)


def _is_switch(state: State, request: Any, index: int) -> bool:
    validator: Any = state.validators[index]
    credentials = validator.withdrawal_credentials
    return (
        request.source_pubkey == request.target_pubkey
        and credentials[12:] == request.source_address
        and credentials[:1] == ETH1_PREFIX
        and _is_staying(state, validator)
    )


def _switch_to_compounding(state: State, index: int) -> None:
    validator: Any = state.validators[index]
    credentials = COMPOUNDING_PREFIX + validator.withdrawal_credentials[1:]
    state.change_validator(index, withdrawal_credentials=credentials)
    floor = state.rules.preset.min_activation_balance
    excess = state.balances[index] - floor
    if excess <= 0:
        return
    state.mutable("balances")[index] = floor
    pending_max = state.rules.preset.pending_deposits_limit
    require(len(state.pending_deposits) < pending_max, "pending deposits fit the state")
    # No request: neither signed nor of any slot.
    pending = state.rules.types.PendingDeposit(
        pubkey=validator.pubkey,
        withdrawal_credentials=credentials,
        amount=excess,
        signature=INFINITY_SIGNATURE,
        slot=0,
    )
    state.mutable("pending_deposits").append(pending)
