"""What is checked before a vote is taken into the pools: the gossip rules, and the source.

Source: consensus-specs, phase0/p2p-interface.md, deneb and electra for what changed. Stricter in
one point: a vote whose source is not justified on its own chain could never be included, so it
is refused at once.
"""

from dataclasses import dataclass
from typing import Any

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.devchain.committees import committee, committee_count
from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.attestations import verify_attestation_signature
from tetrarch.ethereum.devchain.transition.errors import require
from tetrarch.ethereum.devchain.tree import BlockTree
from tetrarch.ethereum.spec.domains import DomainType, compute_signing_root
from tetrarch.ethereum.spec.values import Fork

CLOCK_DISPARITY_MS = 500


class UnknownBlock(InputInvalid):
    """The named block is not known."""

    code = "devchain_unknown_block"


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleVote:
    """One validator's vote, whichever shape it came in."""

    data: Any
    committee_index: int
    committee_size: int
    place: int
    validator_index: int
    signature: bytes


def check_vote_time(state: State, data: Any, *, now_slot: int, soon_slot: int) -> None:
    """Refuse data that is not of now: ``soon_slot`` counts half a second of clock difference."""
    rules = state.rules
    require(data.slot <= soon_slot, "attestation is not from the future", slot=data.slot)
    epoch = data.target.epoch
    require(epoch == rules.epoch_of(data.slot), "attestation slot is in its target epoch")
    if rules.fork.at_least(Fork.DENEB):
        oldest = max(rules.epoch_of(now_slot), 1) - 1
        require(epoch >= oldest, "attestation is of this epoch or the one before")
    else:
        require(now_slot <= data.slot + 32, "attestation is of the last 32 slots")


def resolve_single(state: State, attestation: Any) -> SingleVote:
    """Who votes, and where in its committee; ``state`` knows the committees of the vote's epoch."""
    data = attestation.data
    epoch = data.target.epoch
    if state.rules.is_electra:
        require(data.index == 0, "attestation index is 0")
        index, validator = attestation.committee_index, attestation.attester_index
        require(index < committee_count(state, epoch), "attestation committee")
        members = committee(state, data.slot, index)
        require(validator in members, "attester is in the committee")
        place = members.index(validator)
    else:
        index = data.index
        require(index < committee_count(state, epoch), "attestation committee")
        members = committee(state, data.slot, index)
        bits = attestation.aggregation_bits
        require(len(bits) == len(members), "number of aggregation bits")
        require(bits.count() == 1, "exactly one attester")
        place = bits.indices()[0]
        validator = members[place]
    return SingleVote(
        data=data,
        committee_index=index,
        committee_size=len(members),
        place=place,
        validator_index=validator,
        signature=attestation.signature,
    )


def verify_single(state: State, vote: SingleVote) -> None:
    """Refuse a vote that its validator did not sign."""
    verify_attestation_signature(state, vote.data, (vote.validator_index,), vote.signature)


def single_claim(state: State, vote: SingleVote) -> tuple[bytes, bytes, bytes]:
    """(key, message, signature) that ``verify_single`` asks for."""
    domain = state.domain(DomainType.BEACON_ATTESTER, vote.data.target.epoch)
    root = compute_signing_root(vote.data.hash_tree_root(), domain)
    return state.validators[vote.validator_index].pubkey, root, vote.signature


def check_vote_chain(tree: BlockTree, data: Any, *, finalized: bytes) -> None:
    """Refuse a vote whose blocks are unknown or do not belong together.

    Raises:
        UnknownBlock: the head that is voted for.
        TransitionInvalid: target, source or finality do not fit it.
    """
    root = data.beacon_block_root
    node = tree.get(root)
    if node is None:
        raise UnknownBlock("check attestation", root="0x" + root.hex())
    require(node.slot <= data.slot, "attested block is not later than the attestation")
    rules = tree.state_at(tree.genesis.root, 0).rules
    first = rules.first_slot(data.target.epoch)
    require(tree.ancestor(root, first).root == data.target.root, "attestation target")
    require(tree.is_ancestor(finalized, root), "attested block descends from the finalized one")
    state = tree.state_at(root, max(first, node.slot))
    require(data.source == state.current_justified_checkpoint, "attestation source")
