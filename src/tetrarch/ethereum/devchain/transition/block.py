"""One block is applied to a state. Start reading here.

Source: consensus-specs, state_transition and process_block of every fork.
"""

from hashlib import sha256
from typing import Any

from tetrarch.ethereum.devchain.committees import proposer_index
from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.errors import require
from tetrarch.ethereum.devchain.transition.history import randao_mix
from tetrarch.ethereum.devchain.transition.operations import process_operations
from tetrarch.ethereum.devchain.transition.payload import (
    process_execution_payload,
    process_withdrawals,
)
from tetrarch.ethereum.devchain.transition.slots import process_slots
from tetrarch.ethereum.devchain.transition.sync_aggregate import process_sync_aggregate
from tetrarch.ethereum.devchain.transition.validators import validator_at
from tetrarch.ethereum.spec.domains import DomainType, compute_signing_root


def apply_signed_block(state: State, signed: Any) -> None:
    """Advance ``state`` to the block's slot and apply the block, signature and root included.

    Raises:
        TransitionInvalid: the specification refuses the block; ``state`` is then worthless.

    Cost: about 2 ms a signature, plus the slots that pass.
    """
    block = signed.message
    process_slots(state, block.slot)
    verify_block_signature(state, signed)
    process_block(state, block)
    require(block.state_root == state.root(), "state root")


def verify_block_signature(state: State, signed: Any) -> None:
    """Refuse a block that its proposer did not sign; ``state`` is in the block's epoch."""
    proposer = validator_at(state, signed.message.proposer_index)
    root = compute_signing_root(
        signed.message.hash_tree_root(), state.domain(DomainType.BEACON_PROPOSER)
    )
    require(state.rules.verify(proposer.pubkey, root, signed.signature), "block signature")


def process_block(state: State, block: Any, *, verify_reveal: bool = True) -> None:
    """Apply a block to a state in its slot, without its signature and state root.

    ``verify_reveal`` is off only to compute the state's root of a block that nobody will sign.
    """
    _process_header(state, block)
    if state.rules.has_payload:
        process_withdrawals(state, block.body.execution_payload)
        process_execution_payload(state, block.body)
    if verify_reveal:
        verify_randao(state, block.body.randao_reveal)
    _mix_randao(state, block.body)
    _process_eth1_data(state, block.body)
    process_operations(state, block.body)
    process_sync_aggregate(state, block.body.sync_aggregate)


def _process_header(state: State, block: Any) -> None:
    latest: Any = state.latest_block_header
    require(block.slot == state.slot, "block slot")
    require(block.slot > latest.slot, "block is newer than its parent")
    require(block.proposer_index == proposer_index(state), "proposer")
    require(block.parent_root == latest.hash_tree_root(), "parent root")
    state.latest_block_header = state.rules.types.BeaconBlockHeader(
        slot=block.slot,
        proposer_index=block.proposer_index,
        parent_root=block.parent_root,
        state_root=bytes(32),  # filled in when the slot has passed
        body_root=block.body.hash_tree_root(),
    )
    require(not state.validators[block.proposer_index].slashed, "proposer is not slashed")


def verify_randao(state: State, reveal: bytes) -> None:
    """Refuse a reveal that the slot's proposer did not sign for the epoch."""
    proposer: Any = state.validators[proposer_index(state)]
    epoch_root = state.epoch.to_bytes(32, "little")
    root = compute_signing_root(epoch_root, state.domain(DomainType.RANDAO))
    require(state.rules.verify(proposer.pubkey, root, reveal), "randao reveal")


def _mix_randao(state: State, body: Any) -> None:
    mix = int.from_bytes(randao_mix(state, state.epoch), "little")
    mix ^= int.from_bytes(sha256(body.randao_reveal).digest(), "little")
    place = state.epoch % state.rules.preset.epochs_per_historical_vector
    state.mutable("randao_mixes")[place] = mix.to_bytes(32, "little")


def _process_eth1_data(state: State, body: Any) -> None:
    preset = state.rules.preset
    votes = state.mutable("eth1_data_votes")
    period = preset.epochs_per_eth1_voting_period * preset.slots_per_epoch
    require(len(votes) < period, "deposit votes fit the state")
    votes.append(body.eth1_data)
    if votes.count(body.eth1_data) * 2 > period:
        state.eth1_data = body.eth1_data
