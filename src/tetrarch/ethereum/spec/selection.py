"""Who aggregates: the lottery that selection proofs decide. Pure.

Source: consensus-specs phase0/validator.md (is_aggregator) and altair/validator.md
(is_sync_committee_aggregator, SyncAggregatorSelectionData).
"""

from hashlib import sha256

from tetrarch.ethereum.spec.altair import SYNC_COMMITTEE_SUBNET_COUNT
from tetrarch.ethereum.spec.presets import preset_named
from tetrarch.ethereum.spec.values import uint64_root

TARGET_AGGREGATORS_PER_COMMITTEE = 16
TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE = 16


def is_aggregator(committee_length: int, selection_proof: bytes) -> bool:
    """Whether this proof (96 bytes, the group's) selects its validator of a beacon committee."""
    return _is_drawn(selection_proof, committee_length // TARGET_AGGREGATORS_PER_COMMITTEE)


def is_sync_aggregator(selection_proof: bytes, *, preset: str) -> bool:
    """Whether this proof selects its validator of a sync subcommittee."""
    size = subcommittee_size(preset)
    return _is_drawn(selection_proof, size // TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE)


def subcommittee_size(preset: str) -> int:
    """Members of one sync subcommittee."""
    return preset_named(preset).sync_committee_size // SYNC_COMMITTEE_SUBNET_COUNT


def subcommittees_of(positions: tuple[int, ...], *, preset: str) -> tuple[int, ...]:
    """Ascending: the subcommittees that a member with these places in the committee is in."""
    size = subcommittee_size(preset)
    return tuple(sorted({position // size for position in positions}))


def sync_selection_root(slot: int, subcommittee_index: int) -> bytes:
    """Hash tree root of SyncAggregatorSelectionData, 32 bytes."""
    return sha256(uint64_root(slot) + uint64_root(subcommittee_index)).digest()


def _is_drawn(selection_proof: bytes, modulo: int) -> bool:
    number = int.from_bytes(sha256(selection_proof).digest()[:8], "little")
    return number % max(1, modulo) == 0
