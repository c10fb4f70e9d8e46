"""Execution payloads, by hash only, and withdrawals.

There is no execution engine: a payload is taken when its parent hash, randomness, time, blob
count and withdrawals are right. Its own ``block_hash`` and contents are not executed.

Source: consensus-specs, bellatrix, capella, deneb, electra (EIP-7251) and fulu (EIP-7892).
"""

from typing import Any

from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.errors import require, uint64
from tetrarch.ethereum.devchain.transition.history import randao_mix
from tetrarch.ethereum.devchain.transition.validators import (
    decrease_balance,
    has_execution_credentials,
    max_effective_balance,
)
from tetrarch.ethereum.spec.domains import FAR_FUTURE_EPOCH
from tetrarch.ssz.container import Record


def time_at_slot(state: State, slot: int) -> int:
    """Unix seconds at which ``slot`` starts, rounded down."""
    return state.genesis_time + slot * state.rules.constants.slot_duration_ms // 1000


def blobs_max(state: State) -> int:
    """Blobs that a block may carry."""
    constants = state.rules.constants
    if state.rules.is_electra:
        return constants.max_blobs_per_block_electra
    return constants.max_blobs_per_block


def process_execution_payload(state: State, body: Any) -> None:
    """Check a payload against the state and remember its header."""
    payload, latest = body.execution_payload, state.latest_execution_payload_header
    require(payload.parent_hash == latest.block_hash, "payload's parent hash")
    require(payload.prev_randao == randao_mix(state, state.epoch), "payload's randomness")
    require(payload.timestamp == time_at_slot(state, state.slot), "payload's timestamp")
    require(len(body.blob_kzg_commitments) <= blobs_max(state), "number of blobs")
    state.latest_execution_payload_header = payload_header(state, payload)


def payload_header(state: State, payload: Any) -> Record:
    """The header of a payload: the long lists are replaced by their roots."""
    kinds = state.rules.types.ExecutionPayload.fields
    roots = {
        f"{name}_root": kinds[name].hash_tree_root(getattr(payload, name))
        for name in ("transactions", "withdrawals")
    }
    header = state.rules.types.ExecutionPayloadHeader
    return header(
        **{name: roots[name] if name in roots else getattr(payload, name) for name in header.fields}
    )


def process_withdrawals(state: State, payload: Any) -> None:
    """Pay out exactly what is due, in order."""
    due, partial_count = expected_withdrawals(state)
    require(payload.withdrawals == tuple(due), "withdrawals")
    withdrawal: Any
    for withdrawal in due:
        decrease_balance(state, withdrawal.validator_index, withdrawal.amount)
    if due:
        last: Any = due[-1]
        state.next_withdrawal_index = uint64(last.index + 1)
    if state.rules.is_electra:
        state.pending_partial_withdrawals = tuple(state.pending_partial_withdrawals)[partial_count:]
    preset, count = state.rules.preset, len(state.validators)
    if len(due) == preset.max_withdrawals_per_payload:
        last = due[-1]
        state.next_withdrawal_validator_index = (last.validator_index + 1) % count
    else:
        swept = state.next_withdrawal_validator_index + preset.max_validators_per_withdrawals_sweep
        state.next_withdrawal_validator_index = swept % count


class _Due:
    """Withdrawals collected so far, and the balances they leave."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.withdrawals: list[Record] = []
        self._withdrawn: dict[int, int] = {}

    def balance(self, index: int) -> int:
        """What the withdrawals so far leave to a validator."""
        return uint64(self.state.balances[index] - self._withdrawn.get(index, 0))

    def add(self, index: int, amount: int) -> None:
        """Withdraw ``amount`` from a validator to its address."""
        validator: Any = self.state.validators[index]
        self.withdrawals.append(
            self.state.rules.types.Withdrawal(
                index=uint64(self.state.next_withdrawal_index + len(self.withdrawals)),
                validator_index=index,
                address=validator.withdrawal_credentials[12:],
                amount=amount,
            )
        )
        self._withdrawn[index] = self._withdrawn.get(index, 0) + amount


def expected_withdrawals(state: State) -> tuple[list[Record], int]:
    """The withdrawals of a block in the state's slot, and how many pending ones they settle."""
    due = _Due(state)
    settled = _add_pending_partials(due) if state.rules.is_electra else 0
    _add_sweep(due)
    return due.withdrawals, settled


def _add_pending_partials(due: _Due) -> int:
    state = due.state
    preset = state.rules.preset
    limit = min(
        preset.max_pending_partials_per_withdrawals_sweep, preset.max_withdrawals_per_payload - 1
    )
    settled = 0
    pending: Any
    for pending in state.pending_partial_withdrawals:
        if pending.withdrawable_epoch > state.epoch or len(due.withdrawals) >= limit:
            break
        index = pending.validator_index
        validator: Any = state.validators[index]
        balance, floor = due.balance(index), preset.min_activation_balance
        staying = validator.exit_epoch == FAR_FUTURE_EPOCH
        if staying and validator.effective_balance >= floor and balance > floor:
            due.add(index, min(balance - floor, pending.amount))
        settled += 1
    return settled


def _add_sweep(due: _Due) -> None:
    state = due.state
    preset, count = state.rules.preset, len(state.validators)
    index = state.next_withdrawal_validator_index
    for _ in range(min(count, preset.max_validators_per_withdrawals_sweep)):
        if len(due.withdrawals) >= preset.max_withdrawals_per_payload:
            break
        validator: Any = state.validators[index]
        balance = due.balance(index)
        if has_execution_credentials(state, validator):
            ceiling = max_effective_balance(state, validator.withdrawal_credentials)
            if validator.withdrawable_epoch <= state.epoch and balance > 0:
                due.add(index, balance)
            elif validator.effective_balance == ceiling and balance > ceiling:
                due.add(index, balance - ceiling)
        index = (index + 1) % count
