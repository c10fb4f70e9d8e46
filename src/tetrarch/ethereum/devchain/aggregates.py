"""Votes that come aggregated, the sync committee's messages, and single operations.

Source: consensus-specs, validator.md and p2p-interface.md of phase0, altair and electra.
"""

from hashlib import sha256
from typing import Any

from tetrarch.crypto.bls import aggregate
from tetrarch.ethereum.devchain.chain import DevChain
from tetrarch.ethereum.devchain.committees import committee
from tetrarch.ethereum.devchain.duties import sync_committee_places
from tetrarch.ethereum.devchain.gossip import check_vote_chain, check_vote_time
from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.attestations import (
    attesting_indices,
    verify_attestation_signature,
)
from tetrarch.ethereum.devchain.transition.errors import require
from tetrarch.ethereum.devchain.transition.exits import (
    process_bls_to_execution_change,
    process_voluntary_exit,
)
from tetrarch.ethereum.devchain.transition.slashings import (
    process_attester_slashing,
    process_proposer_slashing,
)
from tetrarch.ethereum.devchain.transition.validators import validator_at
from tetrarch.ethereum.spec.domains import DomainType, compute_signing_root
from tetrarch.ssz.bits import Bits
from tetrarch.ssz.container import Record

TARGET_AGGREGATORS = 16
SUBCOMMITTEES = 4
_PROCESS = {
    "proposer_slashings": process_proposer_slashing,
    "attester_slashings": process_attester_slashing,
    "voluntary_exits": process_voluntary_exit,
    "bls_to_execution_changes": process_bls_to_execution_change,
}


def _require_signed(state: State, validator: Any, root: bytes, domain: bytes, by: bytes) -> None:
    signed = state.rules.verify(validator.pubkey, compute_signing_root(root, domain), by)
    require(signed, "signature")


def is_aggregator(size: int, selection_proof: bytes, target: int = TARGET_AGGREGATORS) -> bool:
    """Whether a selection proof makes its signer an aggregator among ``size`` members."""
    digest = sha256(selection_proof).digest()
    return int.from_bytes(digest[:8], "little") % max(1, size // target) == 0


def submit(chain: DevChain, signed: Any, now_s: float) -> None:
    """Take an aggregate with its aggregator's proof.

    Raises:
        TransitionInvalid, UnknownBlock: what is wrong with it.
    """
    message = signed.message
    attestation, data = message.aggregate, message.aggregate.data
    now_slot = max(chain.slot, 0)
    state = chain.head_state(now_slot)
    check_vote_time(state, data, now_slot=now_slot, soon_slot=now_slot)
    check_vote_chain(chain.tree, data, finalized=chain.finalized[1])
    index = data.index
    if chain.rules.is_electra:
        require(data.index == 0, "attestation index is 0")
        indices = attestation.committee_bits.indices()
        require(len(indices) == 1, "exactly one committee")
        index = indices[0]
    members = committee(state, data.slot, index)
    aggregator = validator_at(state, message.aggregator_index)
    require(message.aggregator_index in members, "aggregator is in the committee")
    require(is_aggregator(len(members), message.selection_proof), "aggregator is selected")
    slot_root = data.slot.to_bytes(32, "little")
    epoch = data.target.epoch
    domain = state.domain(DomainType.SELECTION_PROOF, epoch)
    _require_signed(state, aggregator, slot_root, domain, message.selection_proof)
    domain = state.domain(DomainType.AGGREGATE_AND_PROOF, epoch)
    _require_signed(state, aggregator, message.hash_tree_root(), domain, signed.signature)
    attesters = attesting_indices(state, attestation)
    verify_attestation_signature(state, data, attesters, attestation.signature)
    chain.count_votes(attesters, data, now_s)
    chain.attestations.add_aggregate(
        data, index, attestation.aggregation_bits, attestation.signature
    )


def submit_sync_message(chain: DevChain, message: Any) -> None:
    """Take a sync committee member's message; raises TransitionInvalid."""
    require(message.slot in (chain.slot, chain.slot - 1), "sync message is of now")
    state = chain.head_state(max(chain.slot, 0))
    validator = validator_at(state, message.validator_index)
    places = sync_committee_places(state, chain.rules.epoch_of(message.slot + 1))
    require(message.validator_index in places, "member of the sync committee")
    domain = state.domain(DomainType.SYNC_COMMITTEE, chain.rules.epoch_of(message.slot))
    _require_signed(state, validator, message.beacon_block_root, domain, message.signature)
    for place in places[message.validator_index]:
        chain.sync_messages.add(message.slot, message.beacon_block_root, place, message.signature)


def sync_contribution(chain: DevChain, slot: int, root: bytes, subcommittee: int) -> Record | None:
    """What a subcommittee's members signed, or None."""
    require(subcommittee < SUBCOMMITTEES, "subcommittee index")
    size = chain.rules.preset.sync_committee_size // SUBCOMMITTEES
    first = subcommittee * size
    known = chain.sync_messages.signatures(slot, root)
    own = {place - first: known[place] for place in sorted(known) if first <= place < first + size}
    if not own:
        return None
    return chain.rules.types.SyncCommitteeContribution(
        slot=slot,
        beacon_block_root=root,
        subcommittee_index=subcommittee,
        aggregation_bits=Bits.of(place in own for place in range(size)),
        signature=aggregate(list(own.values())),
    )


def submit_contribution(chain: DevChain, signed: Any) -> None:
    """Check a contribution's proof. Its signatures came as messages already: all members are ours."""
    message = signed.message
    contribution = message.contribution
    require(contribution.slot in (chain.slot, chain.slot - 1), "contribution is of now")
    require(contribution.subcommittee_index < SUBCOMMITTEES, "subcommittee index")
    state = chain.head_state(max(chain.slot, 0))
    epoch = chain.rules.epoch_of(contribution.slot)
    aggregator = validator_at(state, message.aggregator_index)
    selection = chain.rules.types.SyncAggregatorSelectionData(
        slot=contribution.slot, subcommittee_index=contribution.subcommittee_index
    )
    size = chain.rules.preset.sync_committee_size // SUBCOMMITTEES
    require(is_aggregator(size, message.selection_proof), "aggregator is selected")
    domain = state.domain(DomainType.SYNC_COMMITTEE_SELECTION_PROOF, epoch)
    root = selection.hash_tree_root()
    _require_signed(state, aggregator, root, domain, message.selection_proof)
    domain = state.domain(DomainType.CONTRIBUTION_AND_PROOF, epoch)
    _require_signed(state, aggregator, message.hash_tree_root(), domain, signed.signature)


def submit_operation(chain: DevChain, name: str, operation: Any) -> None:
    """Take an operation for the block field ``name`` if it applies to the head.

    Raises:
        TransitionInvalid: it does not.
    """
    state = chain.head_state(max(chain.slot, 0)).copy()
    _PROCESS[name](state, operation)
    chain.operations.add(name, operation)
    topic = {"proposer_slashings": "proposer_slashing", "attester_slashings": "attester_slashing"}
    topic |= {"voluntary_exits": "voluntary_exit"}
    chain.publish(topic.get(name, "bls_to_execution_change"), operation.to_json())
