"""Fulu: the proposers of the next epoch are in the state; blobs carry one proof per cell.

Source: ethereum/consensus-specs, fulu/beacon-chain.md; ethereum/beacon-APIs, types/fulu.
"""

from functools import cache

from tetrarch.ethereum.spec import electra
from tetrarch.ethereum.spec.block_types import contents_types
from tetrarch.ethereum.spec.presets import Preset
from tetrarch.ethereum.spec.type_table import TypeTable, changed
from tetrarch.ssz.basic import uint64
from tetrarch.ssz.sequence import Vector


@cache
def types(preset: Preset) -> TypeTable:
    """All containers of Fulu."""
    table = electra.types(preset)
    slots = (preset.min_seed_lookahead + 1) * preset.slots_per_epoch
    state = changed(table.BeaconState, proposer_lookahead=Vector(uint64, slots))
    return contents_types(
        table.extended(state), preset, proofs_per_blob=preset.field_elements_per_ext_blob
    )
