"""The validator registry at the end of an epoch: activations, ejections, slashings, balances.

Source: consensus-specs, phase0/beacon-chain.md; bellatrix, deneb and electra for what changed.
"""

from typing import Any

from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.errors import uint64
from tetrarch.ethereum.devchain.transition.validators import (
    activation_churn_limit,
    activation_exit_epoch,
    decrease_balance,
    initiate_exit,
    is_active,
    max_effective_balance,
    total_active_balance,
)
from tetrarch.ethereum.spec.domains import FAR_FUTURE_EPOCH


def process_registry_updates(state: State) -> None:
    """Queue, eject and activate validators."""
    if state.rules.is_electra:
        _update_by_balance(state)
    else:
        _update_by_count(state)


def _is_to_be_queued(state: State, validator: Any) -> bool:
    preset = state.rules.preset
    balance = validator.effective_balance
    if state.rules.is_electra:
        enough = balance >= preset.min_activation_balance
    else:
        enough = balance == preset.max_effective_balance
    return bool(validator.activation_eligibility_epoch == FAR_FUTURE_EPOCH and enough)


def _is_to_be_ejected(state: State, validator: Any) -> bool:
    poor = validator.effective_balance <= state.rules.constants.ejection_balance
    return is_active(validator, state.epoch) and bool(poor)


def _is_to_be_activated(state: State, validator: Any) -> bool:
    finalized: Any = state.finalized_checkpoint
    return bool(
        validator.activation_eligibility_epoch <= finalized.epoch
        and validator.activation_epoch == FAR_FUTURE_EPOCH
    )


def _update_by_balance(state: State) -> None:
    activation = activation_exit_epoch(state)
    for index in range(len(state.validators)):
        validator: Any = state.validators[index]
        if _is_to_be_queued(state, validator):
            state.change_validator(index, activation_eligibility_epoch=state.epoch + 1)
        elif _is_to_be_ejected(state, validator):
            initiate_exit(state, index)
        elif _is_to_be_activated(state, validator):
            state.change_validator(index, activation_epoch=activation)


def _update_by_count(state: State) -> None:
    for index in range(len(state.validators)):
        if _is_to_be_queued(state, state.validators[index]):
            state.change_validator(index, activation_eligibility_epoch=state.epoch + 1)
        if _is_to_be_ejected(state, state.validators[index]):
            initiate_exit(state, index)
    queue = sorted(
        (each.activation_eligibility_epoch, index)
        for index, each in enumerate(state.validators)
        if _is_to_be_activated(state, each)
    )
    for _, index in queue[: activation_churn_limit(state)]:
        state.change_validator(index, activation_epoch=activation_exit_epoch(state))


def process_slashings(state: State) -> None:
    """The second, larger penalty of slashed validators, half-way to their withdrawal."""
    rules = state.rules
    preset, epoch = rules.preset, state.epoch
    multiplier = (
        preset.proportional_slashing_multiplier_bellatrix
        if rules.has_payload
        else preset.proportional_slashing_multiplier_altair
    )
    total = total_active_balance(state)
    slashed = min(sum(state.slashings) * multiplier, total)
    increment = preset.effective_balance_increment
    half_way = epoch + preset.epochs_per_slashings_vector // 2
    validator: Any
    for index, validator in enumerate(state.validators):
        if not validator.slashed or validator.withdrawable_epoch != half_way:
            continue
        increments = validator.effective_balance // increment
        if rules.is_electra:
            penalty = slashed // (total // increment) * increments
        else:
            penalty = uint64(increments * slashed) // total * increment
        decrease_balance(state, index, penalty)


def process_effective_balances(state: State) -> None:
    """Let effective balances follow the balances, with hysteresis."""
    preset = state.rules.preset
    increment = preset.effective_balance_increment
    step = increment // preset.hysteresis_quotient
    down = step * preset.hysteresis_downward_multiplier
    up = step * preset.hysteresis_upward_multiplier
    for index, balance in enumerate(state.balances):
        validator: Any = state.validators[index]
        effective = validator.effective_balance
        if uint64(balance + down) < effective or effective + up < balance:
            ceiling = max_effective_balance(state, validator.withdrawal_credentials)
            changed = min(balance - balance % increment, ceiling)
            state.change_validator(index, effective_balance=changed)
