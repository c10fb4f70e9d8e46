"""The last steps of an epoch: what is cleared, shifted or drawn for the next.

Source: consensus-specs, phase0, altair, capella and fulu, beacon-chain.md.
"""

from collections.abc import Sequence

from tetrarch.crypto.bls import aggregate_public_keys
from tetrarch.ethereum.devchain.committees import next_sync_committee_indices, proposers_of_epoch
from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.history import randao_mix
from tetrarch.ethereum.spec.values import Fork
from tetrarch.ssz.container import Record
from tetrarch.ssz.hashing import hash_pair


def process_eth1_data_reset(state: State) -> None:
    """Forget the deposit votes at the end of a voting period."""
    if (state.epoch + 1) % state.rules.preset.epochs_per_eth1_voting_period == 0:
        state.eth1_data_votes = ()


def process_slashings_reset(state: State) -> None:
    """Make room for the next epoch's slashings."""
    place = (state.epoch + 1) % state.rules.preset.epochs_per_slashings_vector
    if state.slashings[place]:
        state.mutable("slashings")[place] = 0


def process_randao_mixes_reset(state: State) -> None:
    """Begin the next epoch's randomness with this one's."""
    place = (state.epoch + 1) % state.rules.preset.epochs_per_historical_vector
    state.mutable("randao_mixes")[place] = randao_mix(state, state.epoch)


def process_historical_summary(state: State) -> None:
    """Note the roots of a full vector of blocks and states."""
    preset = state.rules.preset
    if (state.epoch + 1) % (preset.slots_per_historical_root // preset.slots_per_epoch):
        return
    types = state.rules.types
    roots = types.BeaconState.fields["block_roots"]
    blocks, states = (
        roots.hash_tree_root(state.block_roots),
        roots.hash_tree_root(state.state_roots),
    )
    if state.rules.fork.at_least(Fork.CAPELLA):
        summary = types.HistoricalSummary(block_summary_root=blocks, state_summary_root=states)
        state.mutable("historical_summaries").append(summary)
    else:
        state.mutable("historical_roots").append(hash_pair(blocks, states))


def process_participation_flags(state: State) -> None:
    """The current epoch becomes the previous one."""
    state.previous_epoch_participation = state.current_epoch_participation
    state.current_epoch_participation = (0,) * len(state.validators)


def next_sync_committee(state: State) -> Record:
    """The sync committee that is drawn now. Cost: 90 us for each different member."""
    return sync_committee_of(state, next_sync_committee_indices(state))


def sync_committee_of(state: State, indices: Sequence[int]) -> Record:
    """The sync committee of these validators, one for each place."""
    keys = [state.validators[index].pubkey for index in indices]
    aggregate = state.rules.cache.get(
        ("sync committee", tuple(keys)), lambda: aggregate_public_keys(keys)
    )
    return state.rules.types.SyncCommittee(pubkeys=tuple(keys), aggregate_pubkey=aggregate)


def process_sync_committees(state: State) -> None:
    """Rotate the sync committees at the end of a period."""
    if (state.epoch + 1) % state.rules.preset.epochs_per_sync_committee_period == 0:
        state.current_sync_committee = state.next_sync_committee
        state.next_sync_committee = next_sync_committee(state)


def process_proposer_lookahead(state: State) -> None:
    """Fix the proposers of the epoch after next (Fulu)."""
    preset = state.rules.preset
    later = proposers_of_epoch(state, state.epoch + preset.min_seed_lookahead + 1)
    kept = tuple(state.proposer_lookahead)[preset.slots_per_epoch :]
    state.proposer_lookahead = kept + later
