"""Roots of past blocks and epochs, as a state remembers them."""

from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.errors import require


def block_root_at_slot(state: State, slot: int) -> bytes:
    """Root of the latest block not after ``slot``, which must be past and not forgotten."""
    kept = state.rules.preset.slots_per_historical_root
    require(slot < state.slot <= slot + kept, "block root is known")
    return state.block_roots[slot % kept]


def block_root(state: State, epoch: int) -> bytes:
    """Root of the latest block not after the first slot of ``epoch``."""
    return block_root_at_slot(state, state.rules.first_slot(epoch))


def randao_mix(state: State, epoch: int) -> bytes:
    """The randomness gathered by the end of ``epoch``."""
    return state.randao_mixes[epoch % state.rules.preset.epochs_per_historical_vector]
