"""Slots pass: roots are remembered, epochs end.

Source: consensus-specs, phase0/beacon-chain.md, process_slots.
"""

from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.epoch import process_epoch
from tetrarch.ethereum.devchain.transition.errors import require

_NO_ROOT = bytes(32)


def process_slots(state: State, slot: int) -> None:
    """Advance ``state`` to ``slot``, which must be later.

    Cost: a few ms a slot for the state's root; an epoch's end about 1 ms per 10 validators.
    """
    require(state.slot < slot, "slot is later")
    while state.slot < slot:
        _process_slot(state)
        if (state.slot + 1) % state.rules.preset.slots_per_epoch == 0:
            process_epoch(state)
        state.slot += 1


def _process_slot(state: State) -> None:
    place = state.slot % state.rules.preset.slots_per_historical_root
    root = state.root()
    state.mutable("state_roots")[place] = root
    header = state.latest_block_header
    if header.state_root == _NO_ROOT:
        header = header.replace(state_root=root)
        state.latest_block_header = header
    state.mutable("block_roots")[place] = header.hash_tree_root()
