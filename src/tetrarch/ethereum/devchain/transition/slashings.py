"""Proof that a validator signed what it must not: proposer and attester slashings.

Source: consensus-specs, phase0/beacon-chain.md.
"""

from itertools import pairwise
from typing import Any

from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.attestations import verify_attestation_signature
from tetrarch.ethereum.devchain.transition.errors import require
from tetrarch.ethereum.devchain.transition.validators import is_slashable, slash, validator_at
from tetrarch.ethereum.spec.domains import DomainType, compute_signing_root


def process_proposer_slashing(state: State, slashing: Any) -> None:
    """Slash who signed two headers for one slot."""
    signed = (slashing.signed_header_1, slashing.signed_header_2)
    first, second = (each.message for each in signed)
    require(first.slot == second.slot, "headers of one slot")
    require(first.proposer_index == second.proposer_index, "headers of one proposer")
    require(first != second, "headers differ")
    proposer = validator_at(state, first.proposer_index)
    require(is_slashable(proposer, state.epoch), "proposer is slashable")
    domain = state.domain(DomainType.BEACON_PROPOSER, state.rules.epoch_of(first.slot))
    for each in signed:
        root = compute_signing_root(each.message.hash_tree_root(), domain)
        require(state.rules.verify(proposer.pubkey, root, each.signature), "header signature")
    slash(state, first.proposer_index)


def is_slashable_pair(first: Any, second: Any) -> bool:
    """Whether two attestation data contradict: a double vote, or the first surrounds the second."""
    if first != second and first.target.epoch == second.target.epoch:
        return True
    return bool(
        first.source.epoch < second.source.epoch and second.target.epoch < first.target.epoch
    )


def process_attester_slashing(state: State, slashing: Any) -> None:
    """Slash everybody who signed both of two contradicting attestations."""
    first, second = slashing.attestation_1, slashing.attestation_2
    require(is_slashable_pair(first.data, second.data), "attestations contradict")
    for each in (first, second):
        _check_indexed(state, each)
    both = set(first.attesting_indices) & set(second.attesting_indices)
    slashed = [
        index for index in sorted(both) if is_slashable(state.validators[index], state.epoch)
    ]
    require(bool(slashed), "somebody is slashed")
    for index in slashed:
        slash(state, index)


def _check_indexed(state: State, indexed: Any) -> None:
    indices = indexed.attesting_indices
    ascending = all(low < high for low, high in pairwise(indices))
    require(bool(indices) and ascending, "attesting indices ascend")
    validator_at(state, indices[-1])
    verify_attestation_signature(state, indexed.data, indices, indexed.signature)
