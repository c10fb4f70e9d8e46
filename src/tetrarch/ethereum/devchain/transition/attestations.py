"""Attestations in a block, in both shapes: one committee each, and Electra's many at once.

Source: consensus-specs, altair, deneb (EIP-7045) and electra (EIP-7549), process_attestation.
"""

from typing import Any

from tetrarch.ethereum.devchain.committees import committee, committee_count, proposer_index
from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.errors import require, uint64
from tetrarch.ethereum.devchain.transition.participation import (
    FLAG_WEIGHTS,
    base_reward_per_increment,
    participation_field,
    timely_flags,
)
from tetrarch.ethereum.devchain.transition.validators import (
    PROPOSER_WEIGHT,
    WEIGHT_DENOMINATOR,
    increase_balance,
)
from tetrarch.ethereum.spec.domains import DomainType, compute_signing_root
from tetrarch.ethereum.spec.values import Fork


def check_attestation_data(state: State, data: Any) -> None:
    """Refuse data whose slot, epochs or index cannot be in a block of the state's slot."""
    preset = state.rules.preset
    epoch = data.target.epoch
    require(epoch in (state.previous_epoch, state.epoch), "attestation target epoch")
    require(epoch == state.rules.epoch_of(data.slot), "attestation slot is in its target epoch")
    require(data.slot + preset.min_attestation_inclusion_delay <= state.slot, "attestation is past")
    if not state.rules.fork.at_least(Fork.DENEB):
        require(state.slot <= data.slot + preset.slots_per_epoch, "attestation is recent")
    if state.rules.is_electra:
        require(data.index == 0, "attestation index is 0")
    else:
        require(data.index < committee_count(state, epoch), "attestation committee")


def attesting_indices(state: State, attestation: Any) -> tuple[int, ...]:
    """Validators that an attestation's bits name, in committee order.

    Raises:
        TransitionInvalid: a committee does not exist or is not represented, or the number of
            bits is wrong.
    """
    bits, slot = attestation.aggregation_bits, attestation.data.slot
    if not state.rules.is_electra:
        members = committee(state, slot, attestation.data.index)
        require(len(bits) == len(members), "number of aggregation bits")
        return tuple(members[place] for place in bits.indices())
    attesters: list[int] = []
    offset = 0
    for index in attestation.committee_bits.indices():
        members = committee(state, slot, index)
        require(offset + len(members) <= len(bits), "number of aggregation bits")
        present = [each for place, each in enumerate(members) if bits[offset + place]]
        require(bool(present), "every committee attests")
        attesters += present
        offset += len(members)
    require(len(bits) == offset, "number of aggregation bits")
    return tuple(attesters)


def verify_attestation_signature(
    state: State, data: Any, attesters: tuple[int, ...], signature: bytes
) -> None:
    """Refuse unless ``attesters``, at least one, together signed ``data``."""
    indices = sorted(set(attesters))
    require(bool(indices), "somebody attests")
    domain = state.domain(DomainType.BEACON_ATTESTER, data.target.epoch)
    root = compute_signing_root(data.hash_tree_root(), domain)
    keys = tuple(state.validators[index].pubkey for index in indices)
    require(state.rules.verify_aggregate(keys, root, signature), "attestation signature")


def process_attestation(state: State, attestation: Any) -> None:
    """Count an attestation's votes and pay the proposer for the new ones."""
    data = attestation.data
    check_attestation_data(state, data)
    attesters = attesting_indices(state, attestation)
    flags = timely_flags(state, data, state.slot - data.slot)
    verify_attestation_signature(state, data, attesters, attestation.signature)
    participation = state.mutable(participation_field(state, data.target.epoch))
    increment = state.rules.preset.effective_balance_increment
    per_increment = base_reward_per_increment(state)
    numerator = 0
    for index in dict.fromkeys(attesters):
        base = state.validators[index].effective_balance // increment * per_increment
        for flag in flags:
            if not participation[index] >> flag & 1:
                participation[index] |= 1 << flag
                numerator += base * FLAG_WEIGHTS[flag]
    denominator = (WEIGHT_DENOMINATOR - PROPOSER_WEIGHT) * WEIGHT_DENOMINATOR // PROPOSER_WEIGHT
    increase_balance(state, proposer_index(state), uint64(numerator) // denominator)
