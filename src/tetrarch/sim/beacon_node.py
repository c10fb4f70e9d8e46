"""A node's own view of the simulated chain: late, wrong or missing, as its faults say."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from random import Random

from tetrarch.clock import Clock
from tetrarch.duties.types import (
    AggregatePayload,
    AttestationPayload,
    ContributionPayload,
    Duty,
    DutyType,
    ExitPayload,
    Payload,
    ProposalPayload,
    PubKey,
    SyncMessagePayload,
)
from tetrarch.errors import InvariantBroken, invariant
from tetrarch.ethereum.beacon_node.content import BlockContent
from tetrarch.ethereum.beacon_node.errors import BeaconNodeUnreachable
from tetrarch.ethereum.beacon_node.ports import (
    AttestationSubmission,
    AttesterDuties,
    AttesterDuty,
    BeaconEvent,
    BlockRequest,
    BlockSummary,
    CommitteeSubscription,
    FinalityCheckpoints,
    Genesis,
    ProposerDuties,
    ProposerDuty,
    ProposerPreparation,
    ProxyRequest,
    ProxyResponse,
    SyncDuties,
    SyncDuty,
    SyncStatus,
    SyncSubscription,
    ValidatorRecord,
    ValidatorStatus,
)
from tetrarch.ethereum.spec.aggregates import (
    Aggregate,
    SignedAggregateAndProof,
    SignedContributionAndProof,
    SyncCommitteeContribution,
)
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.messages import (
    SignedValidatorRegistration,
    SignedVoluntaryExit,
    SyncCommitteeMessage,
)
from tetrarch.ethereum.spec.proposals import Proposal, SignedProposal
from tetrarch.ethereum.spec.values import AttestationData, Fork
from tetrarch.sim.chain import FIRST_INDEX, MAIN, SLOTS_PER_EPOCH, VERSION, SimChain, Submission
from tetrarch.sim.sync_chain import aggregate, contribution


def slot_duty(payload: Payload) -> Duty:
    """The duty that a submitted aggregate, message, contribution or exit belongs to."""
    match payload:
        case SyncMessagePayload() | AggregatePayload() | ContributionPayload():
            slot = payload.slot
        case ExitPayload(message=exit_):
            slot = exit_.epoch * SLOTS_PER_EPOCH
        case _:
            raise InvariantBroken("votes and blocks say their duty themselves")
    return Duty(slot, payload.DUTY_TYPE)


@dataclass(frozen=True, slots=True, kw_only=True)
class BeaconFaults:
    """What one beacon node does wrong until the world heals."""

    delay_s: tuple[float, float] = (0.002, 0.02)
    head_lag: int = 0  # slots whose blocks it has not seen yet
    error_rate: float = 0.0
    view_error_rate: float = 0.0  # of attestation data alone
    submit_error_rate: float = 0.0  # of what is submitted alone
    forked: bool = False  # it follows another chain: other targets, older sources
    selective: bool = False  # of the validators that attest in one slot it tells of the first alone


class SimBeaconNode:
    """One node's beacon node; satisfies ``ethereum.beacon_node.ports.BeaconNode``."""

    def __init__(
        self, chain: SimChain, *, node: int, label: str, clock: Clock, rng: Random
    ) -> None:
        self.faults = BeaconFaults()
        self._chain = chain
        self._node = node
        self._label = label
        self._blocks = 0
        self._recipients: dict[int, bytes] = {}
        self._parent_root: bytes | None = None  # of its blocks; None: the right one
        self._clock = clock
        self._rng = rng

    @property
    def name(self) -> str:
        """See ``BeaconNode``."""
        return f"beacon-{self._label}"

    async def _answer(self, *, error_rate: float = 0.0) -> None:
        await asyncio.sleep(self._rng.uniform(*self.faults.delay_s))
        if self._rng.random() < max(self.faults.error_rate, error_rate):
            raise BeaconNodeUnreachable("ask beacon node", node=self._node)

    async def genesis(self) -> Genesis:
        """See ``BeaconNode``."""
        spec = self._chain.spec
        return Genesis(
            time_s=spec.genesis_time_s,
            validators_root=spec.forks.genesis_validators_root,
            fork_version=VERSION,
        )

    async def chain_spec(self) -> ChainSpec:
        """See ``BeaconNode``."""
        return self._chain.spec

    async def node_version(self) -> str:
        """See ``BeaconNode``."""
        return "simulated"

    async def syncing(self) -> SyncStatus:
        """See ``BeaconNode``."""
        await self._answer()
        return SyncStatus(
            head_slot=self._chain.spec.slot_at(self._clock.wall_s()),
            sync_distance=0,
            is_syncing=False,
            is_optimistic=False,
            el_offline=False,
        )

    async def validators(
        self, pubkeys: tuple[bytes, ...], *, state_id: str = "head"
    ) -> tuple[ValidatorRecord, ...]:
        """See ``BeaconNode``."""
        invariant(state_id == "head", "the workflow asks for the head")
        await self._answer()
        return tuple(
            ValidatorRecord(
                index=self._chain.index_of(pubkey),
                pubkey=pubkey,
                status=ValidatorStatus.ACTIVE_ONGOING,
                balance_gwei=32_000_000_000,
            )
            for pubkey in pubkeys
        )

    async def attester_duties(self, epoch: int, indices: tuple[int, ...]) -> AttesterDuties:
        """See ``BeaconNode``."""
        await self._answer()
        duties = []
        told: set[int] = set()
        for index in indices:
            pubkey = self._chain.pubkey_of(index)
            if pubkey is None:
                continue
            duty = self._chain.attester(epoch, index - FIRST_INDEX)
            if self.faults.selective and duty.slot in told:
                continue
            told.add(duty.slot)
            duties.append(
                AttesterDuty(
                    pubkey=pubkey,
                    slot=duty.slot,
                    validator_index=index,
                    committee_index=duty.committee_index,
                    committee_length=duty.committee_length,
                    committees_at_slot=duty.committees_at_slot,
                    validator_committee_index=duty.validator_committee_index,
                )
            )
        root = self._chain.dependent_root(epoch, branch=self._branch)
        return AttesterDuties(epoch=epoch, dependent_root=root, duties=tuple(duties))

    async def proposer_duties(self, epoch: int) -> ProposerDuties:
        """See ``BeaconNode``."""
        await self._answer()
        duties = []
        for slot in range(epoch * SLOTS_PER_EPOCH, (epoch + 1) * SLOTS_PER_EPOCH):
            position = self._chain.proposer(slot)
            if position is not None:
                duties.append(
                    ProposerDuty(
                        pubkey=self._chain.pubkeys[position],
                        slot=slot,
                        validator_index=FIRST_INDEX + position,
                    )
                )
        return ProposerDuties(epoch=epoch, dependent_root=bytes(32), duties=tuple(duties))

    async def attestation_data(self, slot: int, committee_index: int) -> AttestationData:
        """See ``BeaconNode``."""
        invariant(committee_index == 0, "Electra's index is 0")
        await self._answer(error_rate=self.faults.view_error_rate)
        return self._chain.attestation_data(slot, lag=self.faults.head_lag, branch=self._branch)

    async def sync_duties(self, epoch: int, indices: tuple[int, ...]) -> SyncDuties:
        """See ``BeaconNode``."""
        await self._answer()
        duties = []
        for index in indices:
            pubkey = self._chain.pubkey_of(index)
            positions = self._chain.sync_positions(epoch, index - FIRST_INDEX)
            if pubkey is not None and positions:
                duties.append(SyncDuty(pubkey=pubkey, validator_index=index, positions=positions))
        return SyncDuties(epoch=epoch, duties=tuple(duties))

    async def aggregate_attestation(
        self, fork: Fork, slot: int, data_root: bytes, committee_index: int
    ) -> Aggregate | None:
        """See ``BeaconNode``."""
        invariant(fork is Fork.ELECTRA, "the chain is Electra")
        await self._answer()
        seen = self._chain.votes(slot, data_root)
        places = [place for place in seen if place % 2 == committee_index]
        data = next(iter(seen.values()), None)
        return None if data is None else aggregate(data, committee_index, places)

    async def sync_contribution(
        self, slot: int, subcommittee_index: int, beacon_block_root: bytes
    ) -> SyncCommitteeContribution | None:
        """See ``BeaconNode``."""
        await self._answer()
        places = self._chain.sync_votes(slot, beacon_block_root)
        return contribution(slot, subcommittee_index, beacon_block_root, places)

    async def produce_block(self, request: BlockRequest) -> Proposal:
        """See ``BeaconNode``."""
        await self._answer()
        position = self._chain.proposer(request.slot)
        if position is None:
            raise BeaconNodeUnreachable("produce block", node=self._node, slot=request.slot)
        self._blocks += 1  # no two are equal: the mempool changes
        text = f"{self._label} number {self._blocks}"
        pays = self._recipients.get(FIRST_INDEX + position, bytes(20))
        return self._chain.block(
            request, position=position, text=text, pays=pays, parent_root=self._parent_root
        )

    async def submit_attestations(
        self, fork: Fork, submissions: tuple[AttestationSubmission, ...]
    ) -> None:
        """See ``BeaconNode``."""
        invariant(fork is Fork.ELECTRA, "the chain is Electra")
        await self._answer(error_rate=self.faults.submit_error_rate)
        for each in submissions:
            pubkey = self._chain.pubkey_of(each.validator_index)
            invariant(pubkey is not None, "attestations are of the cluster's validators")
            if pubkey is not None:
                duty = Duty(each.data.slot, DutyType.ATTESTER)
                self._submit(duty, pubkey, AttestationPayload(data=each.data), each.signature)

    async def submit_aggregates(
        self, fork: Fork, aggregates: tuple[SignedAggregateAndProof, ...]
    ) -> None:
        """See ``BeaconNode``."""
        invariant(fork is Fork.ELECTRA, "the chain is Electra")
        await self._answer(error_rate=self.faults.submit_error_rate)
        for each in aggregates:
            payload = AggregatePayload(message=each.message)
            self._submit_for(each.message.aggregator_index, payload, each.signature)

    async def submit_sync_messages(self, messages: tuple[SyncCommitteeMessage, ...]) -> None:
        """See ``BeaconNode``."""
        await self._answer(error_rate=self.faults.submit_error_rate)
        for each in messages:
            root = each.beacon_block_root
            payload = SyncMessagePayload(slot=each.slot, beacon_block_root=root)
            self._submit_for(each.validator_index, payload, each.signature)

    async def submit_contributions(
        self, contributions: tuple[SignedContributionAndProof, ...]
    ) -> None:
        """See ``BeaconNode``."""
        await self._answer(error_rate=self.faults.submit_error_rate)
        for each in contributions:
            payload = ContributionPayload(message=each.message)
            self._submit_for(each.message.aggregator_index, payload, each.signature)

    async def submit_exit(self, signed: SignedVoluntaryExit) -> None:
        """See ``BeaconNode``."""
        await self._answer(error_rate=self.faults.submit_error_rate)
        message = signed.message
        self._submit_for(message.validator_index, ExitPayload(message=message), signed.signature)

    async def register_validators(
        self, registrations: tuple[SignedValidatorRegistration, ...]
    ) -> None:
        """See ``BeaconNode``."""
        await self._answer(error_rate=self.faults.submit_error_rate)
        self._chain.registered += ((self._node, each) for each in registrations)

    async def publish_block(self, signed: SignedProposal) -> None:
        """See ``BeaconNode``."""
        await self._answer(error_rate=self.faults.submit_error_rate)
        header = signed.header
        pubkey = self._chain.pubkey_of(header.proposer_index)
        invariant(pubkey is not None, "blocks are of the cluster's validators")
        if pubkey is not None:
            duty = Duty(header.slot, DutyType.PROPOSER)
            payload = ProposalPayload(fork=signed.fork, blinded=signed.blinded, header=header)
            self._submit(duty, pubkey, payload, signed.signature)

    def _submit_for(self, index: int, payload: Payload, signature: bytes) -> None:
        pubkey = self._chain.pubkey_of(index)
        invariant(pubkey is not None, "submissions are of the cluster's validators")
        if pubkey is not None:
            self._submit(slot_duty(payload), pubkey, payload, signature)

    def _submit(self, duty: Duty, pubkey: PubKey, payload: Payload, signature: bytes) -> None:
        self._chain.submit(
            Submission(
                node=self._node,
                duty=duty,
                pubkey=pubkey,
                payload=payload,
                signature=signature,
                at_s=asyncio.get_running_loop().time(),
            )
        )

    async def prepare_beacon_proposer(self, preparations: tuple[ProposerPreparation, ...]) -> None:
        """See ``BeaconNode``."""
        await self._answer()
        self._recipients.update((each.validator_index, each.fee_recipient) for each in preparations)

    async def subscribe_committees(self, subscriptions: tuple[CommitteeSubscription, ...]) -> None:
        """See ``BeaconNode``."""
        del subscriptions
        await self._answer()

    async def subscribe_sync_committees(self, subscriptions: tuple[SyncSubscription, ...]) -> None:
        """See ``BeaconNode``."""
        del subscriptions
        await self._answer()

    async def head(self) -> BlockSummary:
        """See ``BeaconNode``."""
        await self._answer(error_rate=self.faults.view_error_rate)
        slot = max(self._chain.spec.slot_at(self._clock.wall_s()) - self.faults.head_lag, 0)
        return BlockSummary(
            slot=slot,
            root=self._chain.root(slot, branch=self._branch),
            parent_root=self._chain.root(max(slot - 1, 0), branch=self._branch),
            proposer_index=0,
        )

    async def block(self, block_id: str) -> BlockSummary | None:
        """See ``BeaconNode``."""
        raise BeaconNodeUnreachable("ask block", node=self._node, block_id=block_id)

    async def block_root(self, slot: int) -> bytes | None:
        """See ``BeaconNode``."""
        return self._chain.root(slot) if self._chain.has_block(slot) else None

    async def block_content(self, root: bytes) -> BlockContent | None:
        """See ``BeaconNode``: the checkers see all that is submitted, and nodes do not look."""
        del root
        return None

    async def committee_lengths(self, slot: int) -> tuple[int, ...]:
        """See ``BeaconNode``."""
        raise BeaconNodeUnreachable("ask committees", node=self._node, slot=slot)

    async def finality_checkpoints(self, state_id: str = "head") -> FinalityCheckpoints:
        """See ``BeaconNode``."""
        invariant(state_id == "head", "the workflow asks for the head")
        await self._answer()
        slot = self._chain.spec.slot_at(self._clock.wall_s())
        data = self._chain.attestation_data(slot, lag=self.faults.head_lag, branch=self._branch)
        return FinalityCheckpoints(
            previous_justified=data.source, current_justified=data.source, finalized=data.source
        )

    async def events(self, topics: tuple[str, ...]) -> AsyncGenerator[BeaconEvent, None]:
        """See ``BeaconNode``. Heads alone: the chain itself has no reorgs."""
        invariant("head" in topics, "the workflow listens to heads")
        slot = self._chain.spec.slot_at(self._clock.wall_s())
        while True:
            slot += 1
            seen_s = self._chain.spec.slot_start_s(slot) + self._chain.arrival_s(slot)
            await asyncio.sleep(max(seen_s - self._clock.wall_s(), 0.0))
            await self._answer()
            seen = slot - self.faults.head_lag
            if self._chain.has_block(seen):
                data = self._chain.head_data(seen, branch=self._branch)
                yield BeaconEvent(topic="head", data=data)

    @property
    def _branch(self) -> str:
        return "fork" if self.faults.forked else MAIN

    async def live_validators(self, epoch: int, indices: tuple[int, ...]) -> frozenset[int]:
        """See ``BeaconNode``; nobody here looks for doppelgangers."""
        raise BeaconNodeUnreachable("ask liveness", node=self._node, epoch=epoch, of=len(indices))

    def proxy(self, request: ProxyRequest) -> AbstractAsyncContextManager[ProxyResponse]:
        """See ``BeaconNode``."""
        raise BeaconNodeUnreachable("proxy", node=self._node, path=request.path)
