"""The sync committee's signature over the previous block.

Source: consensus-specs, altair/beacon-chain.md, process_sync_aggregate.
"""

from typing import Any

from tetrarch.ethereum.devchain.committees import proposer_index
from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.deposits import INFINITY_SIGNATURE
from tetrarch.ethereum.devchain.transition.errors import require
from tetrarch.ethereum.devchain.transition.history import block_root_at_slot
from tetrarch.ethereum.devchain.transition.participation import base_reward_per_increment
from tetrarch.ethereum.devchain.transition.validators import (
    PROPOSER_WEIGHT,
    WEIGHT_DENOMINATOR,
    decrease_balance,
    increase_balance,
    total_active_balance,
)
from tetrarch.ethereum.spec.domains import DomainType, compute_signing_root

SYNC_REWARD_WEIGHT = 2


def process_sync_aggregate(state: State, aggregate: Any) -> None:
    """Check the committee's signature; pay who signed, charge who did not."""
    committee: Any = state.current_sync_committee
    bits = aggregate.sync_committee_bits
    _verify(state, committee, bits, aggregate.sync_committee_signature)
    preset = state.rules.preset
    total = total_active_balance(state)
    increments = total // preset.effective_balance_increment
    rewards = base_reward_per_increment(state, total) * increments
    rewards = rewards * SYNC_REWARD_WEIGHT // WEIGHT_DENOMINATOR // preset.slots_per_epoch
    reward = rewards // preset.sync_committee_size
    proposer_reward = reward * PROPOSER_WEIGHT // (WEIGHT_DENOMINATOR - PROPOSER_WEIGHT)
    proposer = proposer_index(state)
    for key, present in zip(committee.pubkeys, bits, strict=True):
        index = state.index_of(key)
        require(index is not None, "sync committee member is a validator")
        member = index or 0
        if present:
            increase_balance(state, member, reward)
            increase_balance(state, proposer, proposer_reward)
        else:
            decrease_balance(state, member, reward)


def _verify(state: State, committee: Any, bits: Any, signature: bytes) -> None:
    keys = tuple(committee.pubkeys[place] for place in bits.indices())
    if not keys:
        require(signature == INFINITY_SIGNATURE, "empty sync aggregate's signature")
        return
    if len(keys) == len(bits):
        keys = (committee.aggregate_pubkey,)
    previous = max(state.slot, 1) - 1
    domain = state.domain(DomainType.SYNC_COMMITTEE, state.rules.epoch_of(previous))
    root = compute_signing_root(block_root_at_slot(state, previous), domain)
    require(state.rules.verify_aggregate(keys, root, signature), "sync aggregate's signature")
