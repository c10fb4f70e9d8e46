"""What the node asks of a beacon node: the port, and the values that cross it.

``client.BeaconNodeClient`` speaks it over HTTP; the simulator provides a simulated one.
Every method may raise the three errors of ``errors.py``, and nothing else on a bad answer.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from tetrarch.ethereum.beacon_node.content import BlockContents
from tetrarch.ethereum.spec.aggregates import (
    Aggregate,
    SignedAggregateAndProof,
    SignedContributionAndProof,
    SyncCommitteeContribution,
)
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.domains import FAR_FUTURE_EPOCH
from tetrarch.ethereum.spec.messages import (
    SignedValidatorRegistration,
    SignedVoluntaryExit,
    SyncCommitteeMessage,
)
from tetrarch.ethereum.spec.proposals import Proposal, SignedProposal
from tetrarch.ethereum.spec.values import AttestationData, Checkpoint, Fork

BUILDER_BOOST_NEVER = 0
BUILDER_BOOST_ALWAYS = 2**64 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Genesis:
    """What identifies the chain."""

    time_s: int
    validators_root: bytes
    fork_version: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncStatus:
    """How far the beacon node is. ``el_offline``: it cannot reach its execution node."""

    head_slot: int
    sync_distance: int
    is_syncing: bool
    is_optimistic: bool
    el_offline: bool


class ValidatorStatus(StrEnum):
    """The beacon API's validator states."""

    PENDING_INITIALIZED = "pending_initialized"
    PENDING_QUEUED = "pending_queued"
    ACTIVE_ONGOING = "active_ongoing"
    ACTIVE_EXITING = "active_exiting"
    ACTIVE_SLASHED = "active_slashed"
    EXITED_UNSLASHED = "exited_unslashed"
    EXITED_SLASHED = "exited_slashed"
    WITHDRAWAL_POSSIBLE = "withdrawal_possible"
    WITHDRAWAL_DONE = "withdrawal_done"

    @property
    def is_active(self) -> bool:
        """Whether the validator has duties now."""
        return self.value.startswith("active")


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatorRecord:
    """One validator in one state. Its epochs may lie ahead of the state's."""

    index: int
    pubkey: bytes
    status: ValidatorStatus
    balance_gwei: int
    activation_epoch: int = 0
    exit_epoch: int = FAR_FUTURE_EPOCH

    def is_active_in(self, epoch: int) -> bool:
        """Whether it has duties in ``epoch``, as far as the state can know."""
        return self.activation_epoch <= epoch < self.exit_epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class AttesterDuty:
    """The answer that a validator attests in a slot."""

    pubkey: bytes
    slot: int
    validator_index: int
    committee_index: int
    committee_length: int
    committees_at_slot: int
    validator_committee_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AttesterDuties:
    """An epoch's attester duties of the asked validators, valid on the chain of one root."""

    epoch: int
    dependent_root: bytes
    duties: tuple[AttesterDuty, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposerDuty:
    """The answer that a validator proposes in a slot."""

    pubkey: bytes
    slot: int
    validator_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposerDuties:
    """An epoch's proposers, all of them, valid on the chain of one root."""

    epoch: int
    dependent_root: bytes
    duties: tuple[ProposerDuty, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncDuty:
    """The answer that a validator is in the sync committee; ``positions`` are its places."""

    pubkey: bytes
    validator_index: int
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncDuties:
    """Which of the asked validators are in the sync committee of an epoch."""

    epoch: int
    duties: tuple[SyncDuty, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRequest:
    """The arguments of block production. ``randao_reveal`` is the group's signature."""

    slot: int
    randao_reveal: bytes
    graffiti: bytes = bytes(32)
    builder_boost_factor: int = BUILDER_BOOST_NEVER


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationSubmission:
    """One validator's signed attestation, with all that either wire shape needs.

    Before Electra it goes out as an Attestation with one aggregation bit, from Electra on as a
    SingleAttestation.
    """

    data: AttestationData
    signature: bytes
    validator_index: int
    committee_index: int
    committee_length: int
    validator_committee_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposerPreparation:
    """Where a validator's block rewards go: ``fee_recipient`` is 20 bytes."""

    validator_index: int
    fee_recipient: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitteeSubscription:
    """Asks the beacon node to join the subnet of a committee."""

    validator_index: int
    slot: int
    committee_index: int
    committees_at_slot: int
    is_aggregator: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncSubscription:
    """Asks the beacon node to join the subnets of a sync committee member, up to an epoch."""

    validator_index: int
    positions: tuple[int, ...]  # places in the sync committee
    until_epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockSummary:
    """A block's place in the chain."""

    slot: int
    root: bytes
    parent_root: bytes
    proposer_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalityCheckpoints:
    """A state's view of what is justified and final."""

    previous_justified: Checkpoint
    current_justified: Checkpoint
    finalized: Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class BeaconEvent:
    """One server-sent event: its topic and the decoded JSON object."""

    topic: str
    data: Mapping[str, object] = field(hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyRequest:
    """A request to hand on unchanged. ``path`` begins with ``/`` and carries the query."""

    method: str
    path: str
    headers: Mapping[str, str] = field(hash=False)
    body: bytes = b""


class ProxyResponse(Protocol):
    """A beacon node's answer, headers first. Hop-by-hop headers are already gone."""

    @property
    def status(self) -> int:
        """HTTP status code."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """End-to-end headers."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives; for an event stream without end."""
        ...


class BeaconNode(BlockContents, Protocol):
    """One beacon node.

    Raises (all methods):
        BeaconNodeUnreachable, BeaconNodeRefused, BeaconNodeAnswerInvalid.
    """

    @property
    def name(self) -> str:
        """For logs and metrics: the address without credentials."""
        ...

    async def genesis(self) -> Genesis:
        """The chain's genesis."""
        ...

    async def chain_spec(self) -> ChainSpec:
        """The chain's constants, from genesis and ``config/spec``."""
        ...

    async def node_version(self) -> str:
        """The node's version string, at most 256 characters."""
        ...

    async def syncing(self) -> SyncStatus:
        """Whether the node follows the head of the chain."""
        ...

    async def validators(
        self, pubkeys: tuple[bytes, ...], *, state_id: str = "head"
    ) -> tuple[ValidatorRecord, ...]:
        """The known ones among ``pubkeys``, in no promised order; unknown ones are left out."""
        ...

    async def attester_duties(self, epoch: int, indices: tuple[int, ...]) -> AttesterDuties:
        """Attester duties of the validators ``indices`` in ``epoch``."""
        ...

    async def proposer_duties(self, epoch: int) -> ProposerDuties:
        """All proposers of ``epoch``."""
        ...

    async def sync_duties(self, epoch: int, indices: tuple[int, ...]) -> SyncDuties:
        """Which of the validators ``indices`` are in the sync committee of ``epoch``."""
        ...

    async def attestation_data(self, slot: int, committee_index: int) -> AttestationData:
        """What the node would attest to in ``slot``; its slot is ``slot``."""
        ...

    async def aggregate_attestation(
        self, fork: Fork, slot: int, data_root: bytes, committee_index: int
    ) -> Aggregate | None:
        """The best aggregate of a committee's votes with ``data_root``; None: it saw no vote."""
        ...

    async def sync_contribution(
        self, slot: int, subcommittee_index: int, beacon_block_root: bytes
    ) -> SyncCommitteeContribution | None:
        """The best contribution of a sync subcommittee; None: it saw no message."""
        ...

    async def produce_block(self, request: BlockRequest) -> Proposal:
        """An unsigned full or blinded block for ``request.slot``."""
        ...

    async def submit_attestations(
        self, fork: Fork, submissions: tuple[AttestationSubmission, ...]
    ) -> None:
        """Publish signed attestations of one fork."""
        ...

    async def submit_aggregates(
        self, fork: Fork, aggregates: tuple[SignedAggregateAndProof, ...]
    ) -> None:
        """Publish signed aggregates of one fork."""
        ...

    async def submit_sync_messages(self, messages: tuple[SyncCommitteeMessage, ...]) -> None:
        """Publish sync committee members' messages."""
        ...

    async def submit_contributions(
        self, contributions: tuple[SignedContributionAndProof, ...]
    ) -> None:
        """Publish signed contributions."""
        ...

    async def submit_exit(self, signed: SignedVoluntaryExit) -> None:
        """Publish a voluntary exit."""
        ...

    async def register_validators(
        self, registrations: tuple[SignedValidatorRegistration, ...]
    ) -> None:
        """Tell builders, through the node, where the validators' blocks pay."""
        ...

    async def publish_block(self, signed: SignedProposal) -> None:
        """Publish a signed full or blinded block."""
        ...

    async def prepare_beacon_proposer(self, preparations: tuple[ProposerPreparation, ...]) -> None:
        """Tell the node the fee recipients."""
        ...

    async def subscribe_committees(self, subscriptions: tuple[CommitteeSubscription, ...]) -> None:
        """Ask the node to join the committees' subnets."""
        ...

    async def subscribe_sync_committees(self, subscriptions: tuple[SyncSubscription, ...]) -> None:
        """Ask the node to join the sync subcommittees' subnets."""
        ...

    async def head(self) -> BlockSummary:
        """The head block."""
        ...

    async def block(self, block_id: str) -> BlockSummary | None:
        """The canonical block ``block_id`` (a slot, ``0x`` root, ``head``, ``finalized``), or None."""
        ...

    async def block_root(self, slot: int) -> bytes | None:
        """Root of the canonical block in ``slot`` itself; None for an empty slot."""
        ...

    async def finality_checkpoints(self, state_id: str = "head") -> FinalityCheckpoints:
        """What the state ``state_id`` holds for justified and final."""
        ...

    async def live_validators(self, epoch: int, indices: tuple[int, ...]) -> frozenset[int]:
        """Those of ``indices`` that were seen to vote in ``epoch``, this one or the one before."""
        ...

    def events(self, topics: tuple[str, ...]) -> AsyncGenerator[BeaconEvent, None]:
        """Server-sent events until the connection ends; the caller reconnects.

        Close it when done (``contextlib.aclosing``): it holds a connection.
        """
        ...

    def proxy(self, request: ProxyRequest) -> AbstractAsyncContextManager[ProxyResponse]:
        """Hand a request on as it is; the answer streams while the context is open."""
        ...
