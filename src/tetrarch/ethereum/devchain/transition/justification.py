"""Justification and finalization (Casper FFG).

Source: consensus-specs, phase0/beacon-chain.md, weigh_justification_and_finalization.
"""

from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.history import block_root
from tetrarch.ethereum.devchain.transition.participation import (
    TIMELY_TARGET,
    participating_indices,
)
from tetrarch.ethereum.devchain.transition.validators import total_active_balance, total_balance
from tetrarch.ssz.bits import Bits

# (first and last of the epochs back that must be justified, the source's distance, which source):
# the most recent epoch is 0. Later lines win.
_FINALIZATIONS = ((1, 3, 3, "old"), (1, 2, 2, "old"), (0, 2, 2, "new"), (0, 1, 1, "new"))


def process_justification(state: State) -> None:
    """Justify the last two epochs if two thirds voted for them, and finalize behind them."""
    if state.epoch <= 1:
        return
    total = total_active_balance(state)
    voted = {
        epoch: total_balance(state, participating_indices(state, TIMELY_TARGET, epoch))
        for epoch in (state.previous_epoch, state.epoch)
    }
    _weigh(state, total, voted)


def _weigh(state: State, total: int, voted: dict[int, int]) -> None:
    old = state.previous_justified_checkpoint
    new = state.current_justified_checkpoint
    state.previous_justified_checkpoint = new
    bits = [False, *list(state.justification_bits)[:-1]]
    for back, epoch in ((1, state.previous_epoch), (0, state.epoch)):
        if voted[epoch] * 3 >= total * 2:
            checkpoint = state.rules.types.Checkpoint
            state.current_justified_checkpoint = checkpoint(
                epoch=epoch, root=block_root(state, epoch)
            )
            bits[back] = True
    state.justification_bits = Bits.of(bits)
    sources = {"old": old, "new": new}
    for first, last, distance, which in _FINALIZATIONS:
        source = sources[which]
        if all(bits[first : last + 1]) and source.epoch + distance == state.epoch:
            state.finalized_checkpoint = source
