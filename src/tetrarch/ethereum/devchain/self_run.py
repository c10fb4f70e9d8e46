"""The validators that the chain runs itself, with interop keys, each perfectly on time."""

from typing import Any

from tetrarch.ethereum.devchain.duties import AttesterAssignment
from tetrarch.ethereum.devchain.keys import interop_key
from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.spec.domains import DomainType, compute_signing_root
from tetrarch.ssz.bits import Bits
from tetrarch.ssz.container import Record


def sign_randao(state: State, validator: int) -> bytes:
    """The reveal of ``validator`` for the state's epoch."""
    root = compute_signing_root(state.epoch.to_bytes(32, "little"), state.domain(DomainType.RANDAO))
    return interop_key(validator).sign(root)


def sign_block(state: State, block: Any) -> Record:
    """``block``, signed by its proposer; ``state`` is in the block's epoch."""
    root = compute_signing_root(block.hash_tree_root(), state.domain(DomainType.BEACON_PROPOSER))
    signature = interop_key(block.proposer_index).sign(root)
    return state.rules.types.SignedBeaconBlock(message=block, signature=signature)


def sign_vote(state: State, data: Any, validator: int) -> bytes:
    """The signature of ``validator`` over attestation data."""
    domain = state.domain(DomainType.BEACON_ATTESTER, data.target.epoch)
    return interop_key(validator).sign(compute_signing_root(data.hash_tree_root(), domain))


def single_attestation(state: State, data: Any, assignment: AttesterAssignment) -> Record:
    """A vote in the shape that is submitted: SingleAttestation, or one bit before Electra."""
    types = state.rules.types
    signature = sign_vote(state, data, assignment.validator_index)
    if state.rules.is_electra:
        return types.SingleAttestation(
            committee_index=assignment.committee_index,
            attester_index=assignment.validator_index,
            data=data,
            signature=signature,
        )
    bits = Bits.single(assignment.place, assignment.committee_length)
    return types.Attestation(aggregation_bits=bits, data=data, signature=signature)
