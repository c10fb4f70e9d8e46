"""Electra's queues at the end of an epoch: deposits and consolidations.

Source: consensus-specs, electra/beacon-chain.md (EIP-6110, EIP-7251).
"""

from typing import Any

from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.deposits import add_validator, is_valid_deposit
from tetrarch.ethereum.devchain.transition.errors import uint64
from tetrarch.ethereum.devchain.transition.validators import (
    activation_exit_churn_limit,
    decrease_balance,
    increase_balance,
)
from tetrarch.ethereum.spec.domains import FAR_FUTURE_EPOCH
from tetrarch.ethereum.spec.values import Fork
from tetrarch.ssz.container import Record


def _apply(state: State, deposit: Any) -> None:
    index = state.index_of(deposit.pubkey)
    if index is not None:
        increase_balance(state, index, deposit.amount)
    elif is_valid_deposit(state, deposit):
        add_validator(state, deposit, deposit.amount)


def _is_blocked_by_bridge(state: State, deposit: Any) -> bool:
    """Before Fulu, requests wait until the old kind of deposits is through."""
    return (
        not state.rules.fork.at_least(Fork.FULU)
        and deposit.slot > 0
        and state.eth1_deposit_index < state.deposit_requests_start_index
    )


def process_pending_deposits(state: State) -> None:
    """Credit finalized deposits, as far as the churn allows."""
    preset = state.rules.preset
    finalized: Any = state.finalized_checkpoint
    finalized_slot = state.rules.first_slot(finalized.epoch)
    available = state.deposit_balance_to_consume + activation_exit_churn_limit(state)
    spent, done, limited = 0, 0, False
    postponed: list[Record] = []
    deposit: Any
    for deposit in state.pending_deposits:
        if _is_blocked_by_bridge(state, deposit) or deposit.slot > finalized_slot:
            break
        if done >= preset.max_pending_deposits_per_epoch:
            break
        exiting, withdrawn = _progress(state, deposit.pubkey)
        if withdrawn:
            _apply(state, deposit)
        elif exiting:
            postponed.append(deposit)
        else:
            limited = uint64(spent + deposit.amount) > available
            if limited:
                break
            spent += deposit.amount
            _apply(state, deposit)
        done += 1
    state.pending_deposits = (*state.pending_deposits[done:], *postponed)
    state.deposit_balance_to_consume = available - spent if limited else 0


def _progress(state: State, public_key: bytes) -> tuple[bool, bool]:
    """Whether a depositor is exiting, and whether it is withdrawn by the next epoch."""
    index = state.index_of(public_key)
    if index is None:
        return False, False
    validator: Any = state.validators[index]
    exiting = validator.exit_epoch < FAR_FUTURE_EPOCH
    return exiting, validator.withdrawable_epoch < state.epoch + 1


def process_pending_consolidations(state: State) -> None:
    """Move the balances of consolidated validators that have become withdrawable."""
    done = 0
    pending: Any
    for pending in state.pending_consolidations:
        source: Any = state.validators[pending.source_index]
        if not source.slashed:
            if source.withdrawable_epoch > state.epoch + 1:
                break
            moved = min(state.balances[pending.source_index], source.effective_balance)
            decrease_balance(state, pending.source_index, moved)
            increase_balance(state, pending.target_index, moved)
        done += 1
    state.pending_consolidations = tuple(state.pending_consolidations)[done:]
