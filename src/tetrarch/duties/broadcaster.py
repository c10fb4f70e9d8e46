"""Broadcaster: completes group signatures to what the beacon node takes, and submits it.

Every node of the cluster submits; beacon nodes drop what they already have.
"""

from collections.abc import Awaitable
from dataclasses import replace

from tetrarch.duties.ports import DecidedData, Definitions
from tetrarch.duties.retry import Refusal
from tetrarch.duties.types import (
    AggregatePayload,
    AttestationPayload,
    ContributionPayload,
    Duty,
    DutyType,
    ProposalPayload,
    SignedData,
    SignedDataSet,
    SyncCommitteeDefinition,
    SyncMessagePayload,
    UnsignedAttestation,
    UnsignedProposal,
    refuse_deprecated,
)
from tetrarch.errors import TetrarchError, Transient
from tetrarch.ethereum.beacon_node.errors import BeaconNodeRefused
from tetrarch.ethereum.beacon_node.ports import AttestationSubmission, BeaconNode
from tetrarch.ethereum.spec.aggregates import SignedAggregateAndProof, SignedContributionAndProof
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.messages import SyncCommitteeMessage
from tetrarch.ethereum.spec.proposals import sign_proposal
from tetrarch.observability.logs import Log
from tetrarch.output import Output


class DecisionMissing(Transient):
    """The group signed something this node has not decided (yet): others submit it."""

    code = "decision_missing"


class SignedWithoutDecision(TetrarchError):
    """The group signed another object than this node decided: nothing of it is submitted."""

    code = "signed_without_decision"


class SubmissionRefused(Refusal):
    """The beacon node says that what the group signed is wrong, or knows too little to take it."""

    code = "submission_refused"


class Broadcaster:
    """Input: ``broadcast``. Output: ``submitted``, once the beacon node took it."""

    def __init__(
        self,
        *,
        beacon_node: BeaconNode,
        decided: DecidedData,
        definitions: Definitions,
        chain: ChainSpec,
        log: Log,
    ) -> None:
        self.submitted = Output[SignedDataSet]("submitted")
        self._beacon_node = beacon_node
        self._decided = decided
        self._definitions = definitions
        self._chain = chain
        self._log = log

    async def broadcast(self, signed_set: SignedDataSet) -> None:
        """Submit a duty's signed objects, all validators in one call.

        Raises:
            Transient: the beacon node was away, or our decision is still missing; the edge's
                retry calls again until the deadline.
            SubmissionRefused: the beacon node refused it; worth a few tries.
            SignedWithoutDecision: nothing of the set is what we decided.
        """
        refuse_deprecated(signed_set.duty)
        match signed_set.duty.type:
            case DutyType.ATTESTER:
                items = await self._attestations(signed_set)
            case DutyType.PROPOSER:
                items = await self._proposal(signed_set)
            case DutyType.SYNC_MESSAGE:
                items = await self._sync_messages(signed_set)
            case DutyType.AGGREGATOR:
                items = await self._aggregates(signed_set)
            case DutyType.SYNC_CONTRIBUTION:
                items = await self._contributions(signed_set)
            case _:
                return  # a reveal goes into a block; exits and registrations wait for their time
        await self.submitted.emit(replace(signed_set, items=items))

    async def _attestations(self, signed_set: SignedDataSet) -> tuple[SignedData, ...]:
        data_set = await self._decided.decided(signed_set.duty)
        if data_set is None:
            raise DecisionMissing("submit attestations", duty=signed_set.duty)
        agreed = {
            item.pubkey: item for item in data_set.items if isinstance(item, UnsignedAttestation)
        }
        matching = [
            (agreed[signed.pubkey], signed)
            for signed in signed_set.items
            if signed.pubkey in agreed
            and signed.payload == AttestationPayload(data=agreed[signed.pubkey].data)
        ]
        if len(matching) < len(signed_set.items):
            self._log.error("signed_without_decision", duty=str(signed_set.duty))
        if not matching:
            raise SignedWithoutDecision("submit attestations", duty=signed_set.duty)
        fork = self._chain.fork_at_slot(signed_set.duty.slot)
        submissions = tuple(_submission(item, signed) for item, signed in matching)
        await _taken(signed_set.duty, self._beacon_node.submit_attestations(fork, submissions))
        return tuple(signed for _, signed in matching)

    async def _proposal(self, signed_set: SignedDataSet) -> tuple[SignedData, ...]:
        data_set = await self._decided.decided(signed_set.duty)
        if data_set is None:
            raise DecisionMissing("submit block", duty=signed_set.duty)
        (item,) = data_set.items
        for signed in signed_set.items:
            if (
                isinstance(item, UnsignedProposal)
                and isinstance(signed.payload, ProposalPayload)
                and signed.pubkey == item.pubkey
                and signed.payload.header == item.proposal.header
            ):
                block = sign_proposal(item.proposal, signed.signature)
                await _taken(signed_set.duty, self._beacon_node.publish_block(block))
                return (signed,)
        self._log.error("signed_without_decision", duty=str(signed_set.duty))
        raise SignedWithoutDecision("submit block", duty=signed_set.duty)

    async def _sync_messages(self, signed_set: SignedDataSet) -> tuple[SignedData, ...]:
        definitions = (await self._definitions.get_duty_definition(signed_set.duty)).definitions
        indices = {
            each.pubkey: each.validator_index
            for each in definitions
            if isinstance(each, SyncCommitteeDefinition)
        }
        messages, items = [], []
        for signed in signed_set.items:
            if signed.pubkey in indices and isinstance(signed.payload, SyncMessagePayload):
                items.append(signed)
                messages.append(
                    SyncCommitteeMessage(
                        slot=signed.payload.slot,
                        beacon_block_root=signed.payload.beacon_block_root,
                        validator_index=indices[signed.pubkey],
                        signature=signed.signature,
                    )
                )
        if messages:
            submission = self._beacon_node.submit_sync_messages(tuple(messages))
            await _taken(signed_set.duty, submission)
        return tuple(items)

    async def _aggregates(self, signed_set: SignedDataSet) -> tuple[SignedData, ...]:
        aggregates = tuple(
            SignedAggregateAndProof(message=signed.payload.message, signature=signed.signature)
            for signed in signed_set.items
            if isinstance(signed.payload, AggregatePayload)
        )
        fork = self._chain.fork_at_slot(signed_set.duty.slot)
        await _taken(signed_set.duty, self._beacon_node.submit_aggregates(fork, aggregates))
        return signed_set.items

    async def _contributions(self, signed_set: SignedDataSet) -> tuple[SignedData, ...]:
        contributions = tuple(
            SignedContributionAndProof(message=signed.payload.message, signature=signed.signature)
            for signed in signed_set.items
            if isinstance(signed.payload, ContributionPayload)
        )
        await _taken(signed_set.duty, self._beacon_node.submit_contributions(contributions))
        return signed_set.items


async def _taken(duty: Duty, submission: Awaitable[None]) -> None:
    try:
        await submission
    except BeaconNodeRefused as error:
        if error.already_known:
            return  # from another node of the cluster, which was quicker
        if not error.blames_request:
            raise
        raise SubmissionRefused(
            "submit", duty=duty, status=error.status, message=error.message
        ) from error


def _submission(item: UnsignedAttestation, signed: SignedData) -> AttestationSubmission:
    definition = item.definition
    return AttestationSubmission(
        data=item.data,
        signature=signed.signature,
        validator_index=definition.validator_index,
        committee_index=definition.committee_index,
        committee_length=definition.committee_length,
        validator_committee_index=definition.validator_committee_index,
    )
