"""Participation flags: which votes of a validator came in time.

Source: consensus-specs, altair/beacon-chain.md; deneb for EIP-7045.
"""

from math import isqrt
from typing import Any

from tetrarch.ethereum.devchain.committees import active_indices
from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.errors import require
from tetrarch.ethereum.devchain.transition.history import block_root, block_root_at_slot
from tetrarch.ethereum.devchain.transition.validators import total_active_balance
from tetrarch.ethereum.spec.values import Fork

TIMELY_SOURCE, TIMELY_TARGET, TIMELY_HEAD = 0, 1, 2
FLAG_WEIGHTS = (14, 26, 14)


def participation_field(state: State, epoch: int) -> str:
    """The state's list of flags for ``epoch``, the current one or the one before."""
    return f"{'current' if epoch == state.epoch else 'previous'}_epoch_participation"


def participating_indices(state: State, flag: int, epoch: int) -> set[int]:
    """Active, unslashed validators that have ``flag`` in ``epoch``."""
    flags = getattr(state, participation_field(state, epoch))
    return {
        index
        for index in active_indices(state, epoch)
        if flags[index] >> flag & 1 and not state.validators[index].slashed
    }


def timely_flags(state: State, data: Any, delay: int) -> tuple[int, ...]:
    """The flags that an attestation earns when it is included ``delay`` slots after its own.

    Raises:
        TransitionInvalid: its source is not the justified checkpoint.
    """
    current = data.target.epoch == state.epoch
    justified = (
        state.current_justified_checkpoint if current else state.previous_justified_checkpoint
    )
    require(data.source == justified, "attestation source")
    preset = state.rules.preset
    target_matches = data.target.root == block_root(state, data.target.epoch)
    head_matches = target_matches and data.beacon_block_root == block_root_at_slot(state, data.slot)
    flags = []
    if delay <= isqrt(preset.slots_per_epoch):
        flags.append(TIMELY_SOURCE)
    unlimited = state.rules.fork.at_least(Fork.DENEB)
    if target_matches and (unlimited or delay <= preset.slots_per_epoch):
        flags.append(TIMELY_TARGET)
    if head_matches and delay == preset.min_attestation_inclusion_delay:
        flags.append(TIMELY_HEAD)
    return tuple(flags)


def base_reward_per_increment(state: State, total: int | None = None) -> int:
    """Gwei per increment of effective balance; ``total`` is the active balance, if known."""
    preset = state.rules.preset
    known = total_active_balance(state) if total is None else total
    return preset.effective_balance_increment * preset.base_reward_factor // isqrt(known)
