"""What the validator API asks of the node. Each Protocol is owned here, by its consumer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tetrarch.clock import Clock
from tetrarch.duties.ports import Compute
from tetrarch.duties.types import (
    DefinitionSet,
    Duty,
    PubKey,
    ShareIndex,
    SignedData,
    UnsignedDataSet,
)
from tetrarch.entropy import Entropy
from tetrarch.ethereum.beacon_node.ports import BeaconNode
from tetrarch.ethereum.spec.aggregates import Aggregate, SyncCommitteeContribution
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.proposals import Proposal
from tetrarch.ethereum.spec.values import AttestationData


class Duties(Protocol):
    """Query: the scheduler's resolved duties."""

    async def get_duty_definition(self, duty: Duty) -> DefinitionSet:
        """What is to be done for ``duty``; raises one of ``duties.errors``."""
        ...

    def pubkey_of(self, validator_index: int) -> PubKey | None:
        """The cluster's validator with that index, as far as it was ever resolved."""
        ...


class DecidedData(Protocol):
    """Query: DutyDB. The awaits block until the data is there or the caller is cancelled."""

    async def await_beacon_block(self, slot: int) -> tuple[PubKey, Proposal]:
        """The agreed block of ``slot`` and its proposer's root key."""
        ...

    async def await_attestation(self, slot: int, committee_index: int) -> AttestationData:
        """The agreed data for any committee of a slot in which the cluster attests."""
        ...

    async def pub_key_by_attestation(
        self, slot: int, committee_index: int, validator_committee_index: int
    ) -> PubKey:
        """The root key of the validator at that place; raises ``DutyNotFound`` for another's."""
        ...

    async def await_decided(self, duty: Duty) -> UnsignedDataSet:
        """All that the cluster agreed on for ``duty``."""
        ...

    async def await_agg_attestation(
        self, slot: int, data_root: bytes, committee_index: int | None = None
    ) -> Aggregate:
        """The agreed aggregate of the votes with that root; raises ``DutyNotFound`` for none."""
        ...

    async def await_sync_contribution(
        self, slot: int, subcommittee_index: int, beacon_block_root: bytes
    ) -> SyncCommitteeContribution:
        """The agreed contribution for that head; raises ``DutyNotFound`` for none."""
        ...


class GroupSignatures(Protocol):
    """Query: AggSigDB."""

    async def signed_of(self, duty: Duty) -> dict[tuple[PubKey, int], SignedData]:
        """All group signatures of ``duty`` by now, by root key and sub-index. One read."""
        ...

    async def await_signed(self, duty: Duty, pubkey: PubKey, *, sub_index: int = 0) -> SignedData:
        """Wait until the group's signature is there, or until the caller gives up."""
        ...


class Proofs(Protocol):
    """Query: which selection proofs our validator clients have handed in."""

    def has_proofs(self, duty: Duty) -> bool:
        """Whether any was for an AGGREGATOR or SYNC_CONTRIBUTION duty."""
        ...


class Keys(Protocol):
    """Which key share stands for which validator. ``duties.keys.ClusterKeys``."""

    @property
    def share_index(self) -> ShareIndex:
        """The share that this node's validator client holds."""
        ...

    def share_of(self, root: PubKey) -> bytes | None:
        """Our public share of the validator ``root``, or None for a foreign one."""
        ...

    def root_of(self, share: bytes) -> PubKey | None:
        """The validator of which ``share`` is this node's public share, or None."""
        ...

    def owner_of(self, share: bytes) -> ShareIndex | None:
        """Which operator of the cluster holds the public share ``share``, or None."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """All that the validator API is built on."""

    duties: Duties
    decided: DecidedData
    aggregated: GroupSignatures
    proofs: Proofs
    keys: Keys
    beacon_node: BeaconNode
    chain: ChainSpec
    clock: Clock
    compute: Compute
    entropy: Entropy
    held_reason: Callable[[], str | None] = lambda: None  # why nothing contradictable is signed yet
