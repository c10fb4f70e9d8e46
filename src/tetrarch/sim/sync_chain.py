"""The simulated chain's sync committee, and the aggregates of what its beacon nodes have seen. Pure.

Who is in the committee is drawn from the seed, once for each of its periods.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from random import Random

from tetrarch.ethereum.spec.aggregates import SyncCommitteeContribution
from tetrarch.ethereum.spec.attestations import SlotAttestation
from tetrarch.ethereum.spec.presets import MINIMAL
from tetrarch.ethereum.spec.selection import subcommittee_size
from tetrarch.ethereum.spec.values import AttestationData
from tetrarch.ssz.bits import Bits

COMMITTEE_LENGTH = 32
MEMBER_PROBABILITY = 0.6


def sync_positions(seed: int, epoch: int, position: int) -> tuple[int, ...]:
    """The places of validator number ``position`` in the committee of ``epoch``; mostly one."""
    period = epoch // MINIMAL.epochs_per_sync_committee_period
    rng = Random(f"{seed}/sync/{period}/{position}")
    if rng.random() > MEMBER_PROBABILITY:
        return ()
    size = MINIMAL.sync_committee_size
    return tuple(sorted(rng.sample(range(size), k=rng.choice((1, 1, 2)))))


def aggregate(
    data: AttestationData, committee_index: int, places: Sequence[int]
) -> SlotAttestation | None:
    """The votes of a committee's members at ``places``, or None without any."""
    if not places:
        return None
    return SlotAttestation(
        preset=MINIMAL.name,
        aggregation_bits=_bits(places, COMMITTEE_LENGTH),
        data=data,
        signature=_signature(data.hash_tree_root(), committee_index, places),
        committee_bits=Bits.single(committee_index, MINIMAL.max_committees_per_slot),
    )


def contribution(
    slot: int, subcommittee_index: int, root: bytes, places: Iterable[int]
) -> SyncCommitteeContribution | None:
    """The messages of members at ``places`` of the whole committee; None without any of it."""
    size = subcommittee_size(MINIMAL.name)
    own = sorted(place % size for place in places if place // size == subcommittee_index)
    if not own:
        return None
    return SyncCommitteeContribution(
        preset=MINIMAL.name,
        slot=slot,
        beacon_block_root=root,
        subcommittee_index=subcommittee_index,
        aggregation_bits=_bits(own, size),
        signature=_signature(root, subcommittee_index, own),
    )


def _bits(places: Sequence[int], length: int) -> Bits:
    return Bits.of(place in places for place in range(length))


def _signature(root: bytes, index: int, places: Sequence[int]) -> bytes:
    """Not checked by anybody here; equal for equal content."""
    return sha256(root + bytes([index, *places])).digest() * 3
