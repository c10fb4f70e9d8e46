"""Inactivity scores, rewards and penalties at the end of an epoch.

Source: consensus-specs, altair/beacon-chain.md; bellatrix for the inactivity quotient.
"""

from typing import Any

from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.errors import uint64
from tetrarch.ethereum.devchain.transition.participation import (
    FLAG_WEIGHTS,
    TIMELY_HEAD,
    TIMELY_TARGET,
    base_reward_per_increment,
    participating_indices,
)
from tetrarch.ethereum.devchain.transition.validators import (
    WEIGHT_DENOMINATOR,
    is_active,
    total_active_balance,
    total_balance,
)


def _eligible_indices(state: State) -> list[int]:
    previous = state.previous_epoch
    return [
        index
        for index, each in enumerate(state.validators)
        if is_active(each, previous) or (each.slashed and previous + 1 < each.withdrawable_epoch)
    ]


def _is_leaking(state: State) -> bool:
    finalized: Any = state.finalized_checkpoint
    delay = uint64(state.previous_epoch - finalized.epoch)
    return delay > state.rules.preset.min_epochs_to_inactivity_penalty


def process_inactivity(state: State) -> None:
    """Raise the scores of those who did not vote for the target; lower them when all is well."""
    if state.epoch == 0:
        return
    constants, leaking = state.rules.constants, _is_leaking(state)
    voted = participating_indices(state, TIMELY_TARGET, state.previous_epoch)
    scores = state.mutable("inactivity_scores")
    for index in _eligible_indices(state):
        score = scores[index]
        score = score - min(1, score) if index in voted else score + constants.inactivity_score_bias
        if not leaking:
            score -= min(constants.inactivity_score_recovery_rate, score)
        scores[index] = score


def process_rewards(state: State) -> None:
    """Pay for the previous epoch's votes, flag by flag; each part is applied on its own."""
    if state.epoch == 0:
        return
    eligible, leaking = _eligible_indices(state), _is_leaking(state)
    voted = [
        participating_indices(state, flag, state.previous_epoch)
        for flag in range(len(FLAG_WEIGHTS))
    ]
    balances = state.mutable("balances")
    for flag, voters in enumerate(voted):
        for index, delta in _flag_deltas(state, flag, voters, eligible, leaking=leaking):
            balances[index] = uint64(max(0, balances[index] + delta))
    for index in eligible:
        if index not in voted[TIMELY_TARGET]:
            balances[index] = max(0, balances[index] - _inactivity_penalty(state, index))


def _flag_deltas(
    state: State, flag: int, voters: set[int], eligible: list[int], *, leaking: bool
) -> list[tuple[int, int]]:
    """What each eligible validator gains or loses for one flag."""
    increment = state.rules.preset.effective_balance_increment
    weight = FLAG_WEIGHTS[flag]
    active_balance = total_active_balance(state)
    active = active_balance // increment
    voting = total_balance(state, voters) // increment
    per_increment = base_reward_per_increment(state, active_balance)
    deltas = []
    for index in eligible:
        base = state.validators[index].effective_balance // increment * per_increment
        if index in voters:
            if not leaking:
                deltas.append((index, base * weight * voting // (active * WEIGHT_DENOMINATOR)))
        elif flag != TIMELY_HEAD:
            deltas.append((index, -(base * weight // WEIGHT_DENOMINATOR)))
    return deltas


def _inactivity_penalty(state: State, index: int) -> int:
    preset, constants = state.rules.preset, state.rules.constants
    quotient = (
        preset.inactivity_penalty_quotient_bellatrix
        if state.rules.has_payload
        else preset.inactivity_penalty_quotient_altair
    )
    product = uint64(state.validators[index].effective_balance * state.inactivity_scores[index])
    return product // (constants.inactivity_score_bias * quotient)
