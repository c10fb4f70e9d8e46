"""What happens to single validators: balances, exits, slashings, and the churn that limits them.

Source: consensus-specs, phase0 (initiate_validator_exit, slash_validator), electra (churn by
balance, EIP-7251).
"""

from typing import Any

from tetrarch.ethereum.devchain.committees import active_indices, proposer_index
from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.errors import require, uint64
from tetrarch.ethereum.spec.domains import FAR_FUTURE_EPOCH
from tetrarch.ethereum.spec.values import Fork

PROPOSER_WEIGHT = 8
WEIGHT_DENOMINATOR = 64
BLS_PREFIX = b"\x00"
ETH1_PREFIX = b"\x01"
COMPOUNDING_PREFIX = b"\x02"


def validator_at(state: State, index: int) -> Any:
    """The validator ``index``, which must exist."""
    require(index < len(state.validators), "validator index")
    return state.validators[index]


def is_active(validator: Any, epoch: int) -> bool:
    """Whether it has duties in ``epoch``."""
    return bool(validator.activation_epoch <= epoch < validator.exit_epoch)


def is_slashable(validator: Any, epoch: int) -> bool:
    """Whether it can still be slashed."""
    return not validator.slashed and (
        validator.activation_epoch <= epoch < validator.withdrawable_epoch
    )


def increase_balance(state: State, index: int, delta: int) -> None:
    """Add ``delta`` Gwei."""
    balances = state.mutable("balances")
    balances[index] = uint64(balances[index] + delta)


def decrease_balance(state: State, index: int, delta: int) -> None:
    """Take ``delta`` Gwei, or all there is."""
    balances = state.mutable("balances")
    balances[index] = max(0, balances[index] - delta)


def total_balance(state: State, indices: Any) -> int:
    """Effective balance of ``indices`` together, at least one increment."""
    total: int = sum([state.validators[index].effective_balance for index in indices])
    return max(state.rules.preset.effective_balance_increment, total)


def total_active_balance(state: State) -> int:
    """Effective balance of all active validators."""
    return total_balance(state, active_indices(state, state.epoch))


def activation_exit_epoch(state: State) -> int:
    """The first epoch in which an activation or exit that begins now can take effect."""
    return state.epoch + 1 + state.rules.preset.max_seed_lookahead


def churn_limit(state: State) -> int:
    """How many validators may leave in an epoch, before Electra."""
    constants = state.rules.constants
    share = len(active_indices(state, state.epoch)) // constants.churn_limit_quotient
    return max(constants.min_per_epoch_churn_limit, share)


def activation_churn_limit(state: State) -> int:
    """How many validators may enter in an epoch, before Electra."""
    limit = churn_limit(state)
    if state.rules.fork.at_least(Fork.DENEB):
        return min(state.rules.constants.max_per_epoch_activation_churn_limit, limit)
    return limit


def balance_churn_limit(state: State) -> int:
    """How much balance may move in an epoch, from Electra on."""
    constants, preset = state.rules.constants, state.rules.preset
    share = total_active_balance(state) // constants.churn_limit_quotient
    churn = max(constants.min_per_epoch_churn_limit_electra, share)
    return churn - churn % preset.effective_balance_increment


def activation_exit_churn_limit(state: State) -> int:
    """The part of it that activations and exits may use."""
    constants = state.rules.constants
    return min(constants.max_per_epoch_activation_exit_churn_limit, balance_churn_limit(state))


def consolidation_churn_limit(state: State) -> int:
    """The part of it that consolidations may use."""
    return balance_churn_limit(state) - activation_exit_churn_limit(state)


def _consume(*, amount: int, limit: int, available: int, earliest: int) -> tuple[int, int]:
    """Take ``amount`` from the queue: the epoch it fits in, and what is left of that epoch."""
    if amount > available:
        more = (amount - available - 1) // limit + 1
        earliest += more
        available += more * limit
    return earliest, available - amount


def take_exit_churn(state: State, amount: int) -> int:
    """Queue ``amount`` for exit; the epoch in which it exits."""
    earliest = max(state.earliest_exit_epoch, activation_exit_epoch(state))
    limit = activation_exit_churn_limit(state)
    fresh = state.earliest_exit_epoch < earliest
    state.earliest_exit_epoch, state.exit_balance_to_consume = _consume(
        amount=amount,
        limit=limit,
        available=limit if fresh else state.exit_balance_to_consume,
        earliest=earliest,
    )
    return state.earliest_exit_epoch


def take_consolidation_churn(state: State, amount: int) -> int:
    """Queue ``amount`` for consolidation; the epoch in which its source exits."""
    earliest = max(state.earliest_consolidation_epoch, activation_exit_epoch(state))
    limit = consolidation_churn_limit(state)
    fresh = state.earliest_consolidation_epoch < earliest
    state.earliest_consolidation_epoch, state.consolidation_balance_to_consume = _consume(
        amount=amount,
        limit=limit,
        available=limit if fresh else state.consolidation_balance_to_consume,
        earliest=earliest,
    )
    return state.earliest_consolidation_epoch


def initiate_exit(state: State, index: int) -> None:
    """Put a validator into the exit queue; nothing happens to one that is in it."""
    validator: Any = state.validators[index]
    if validator.exit_epoch != FAR_FUTURE_EPOCH:
        return
    if state.rules.is_electra:
        exit_epoch = take_exit_churn(state, validator.effective_balance)
    else:
        exit_epoch = _exit_epoch_by_count(state)
    delay = state.rules.constants.min_validator_withdrawability_delay
    state.change_validator(
        index, exit_epoch=exit_epoch, withdrawable_epoch=uint64(exit_epoch + delay)
    )


def _exit_epoch_by_count(state: State) -> int:
    epochs = [v.exit_epoch for v in state.validators if v.exit_epoch != FAR_FUTURE_EPOCH]
    exit_epoch = max([*epochs, activation_exit_epoch(state)])
    if epochs.count(exit_epoch) >= churn_limit(state):
        exit_epoch += 1
    return int(exit_epoch)


def slash(state: State, index: int) -> None:
    """Slash a validator, for the benefit of the block's proposer."""
    preset, epoch = state.rules.preset, state.epoch
    initiate_exit(state, index)
    validator: Any = state.validators[index]
    vector = preset.epochs_per_slashings_vector
    state.change_validator(
        index,
        slashed=True,
        withdrawable_epoch=max(validator.withdrawable_epoch, epoch + vector),
    )
    balance = validator.effective_balance
    slashings = state.mutable("slashings")
    slashings[epoch % vector] = uint64(slashings[epoch % vector] + balance)
    decrease_balance(state, index, balance // _slashing_quotient(state))
    quotient = (
        preset.whistleblower_reward_quotient_electra
        if state.rules.is_electra
        else preset.whistleblower_reward_quotient
    )
    # Nobody reports but the proposer, so it takes its own share and the whistleblower's.
    increase_balance(state, proposer_index(state), balance // quotient)


def _slashing_quotient(state: State) -> int:
    preset = state.rules.preset
    if state.rules.is_electra:
        return preset.min_slashing_penalty_quotient_electra
    if state.rules.has_payload:
        return preset.min_slashing_penalty_quotient_bellatrix
    return preset.min_slashing_penalty_quotient_altair


# Withdrawal credentials


def has_execution_credentials(state: State, validator: Any) -> bool:
    """Whether it can be withdrawn to an address; compounding counts from Electra on."""
    prefix = validator.withdrawal_credentials[:1]
    return prefix == ETH1_PREFIX or (state.rules.is_electra and prefix == COMPOUNDING_PREFIX)


def is_compounding(validator: Any) -> bool:
    """Whether its effective balance may grow beyond 32 ETH (Electra)."""
    return bool(validator.withdrawal_credentials[:1] == COMPOUNDING_PREFIX)


def max_effective_balance(state: State, credentials: bytes) -> int:
    """The ceiling of a validator's effective balance."""
    preset = state.rules.preset
    if not state.rules.is_electra:
        return preset.max_effective_balance
    if credentials[:1] == COMPOUNDING_PREFIX:
        return preset.max_effective_balance_electra
    return preset.min_activation_balance


def pending_balance_to_withdraw(state: State, index: int) -> int:
    """What is queued for partial withdrawal from one validator (Electra)."""
    pending: Any = state.pending_partial_withdrawals
    return sum([each.amount for each in pending if each.validator_index == index])
