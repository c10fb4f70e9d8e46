"""Broadcaster: completes group signatures to what the beacon node takes, and submits it.

Every node of the cluster submits; beacon nodes drop what they already have.
"""

from tetrarch.duties.ports import DecidedData
from tetrarch.duties.types import (
    DutyType,
    ProposalPayload,
    SignedDataSet,
    UnsignedAttestation,
    UnsignedProposal,
    refuse_deprecated,
)
from tetrarch.errors import Transient
from tetrarch.ethereum.beacon_node.ports import AttestationSubmission, BeaconNode
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.proposals import sign_proposal
from tetrarch.observability.logs import Log
from tetrarch.output import Output


class DecisionMissing(Transient):
    """The group signed something this node has not decided (yet): others submit it."""

    code = "decision_missing"


class Broadcaster:
    """Input: ``broadcast``. Output: ``submitted``, once the beacon node took it."""

    def __init__(
        self,
        *,
        beacon_node: BeaconNode,
        decided: DecidedData,
        chain: ChainSpec,
        log: Log,
    ) -> None:
        self.submitted = Output[SignedDataSet]("submitted")
        self._beacon_node = beacon_node
        self._decided = decided
        self._chain = chain
        self._log = log

    async def broadcast(self, signed_set: SignedDataSet) -> None:
        """Submit a duty's signed objects, all validators in one call.

        Raises:
            Transient: the beacon node was away, or our decision is still missing; the edge's
                retry calls again until the deadline.
        """
        refuse_deprecated(signed_set.duty)
        match signed_set.duty.type:
            case DutyType.ATTESTER:
                await self._attestations(signed_set)
            case DutyType.PROPOSER:
                await self._proposal(signed_set)
            case _:
                return  # a randao reveal goes into a block, not to the beacon node
        await self.submitted.emit(signed_set)

    async def _attestations(self, signed_set: SignedDataSet) -> None:
        data_set = await self._decided.decided(signed_set.duty)
        if data_set is None:
            raise DecisionMissing("submit attestations", duty=signed_set.duty)
        agreed = {
            item.pubkey: item for item in data_set.items if isinstance(item, UnsignedAttestation)
        }
        submissions = []
        for signed in signed_set.items:
            item = agreed.get(signed.pubkey)
            root = signed.payload.message_root()
            if item is None or item.data.hash_tree_root() != root:
                self._log.error("signed_without_decision", duty=str(signed_set.duty))
                continue
            definition = item.definition
            submissions.append(
                AttestationSubmission(
                    data=item.data,
                    signature=signed.signature,
                    validator_index=definition.validator_index,
                    committee_index=definition.committee_index,
                    committee_length=definition.committee_length,
                    validator_committee_index=definition.validator_committee_index,
                )
            )
        fork = self._chain.fork_at_slot(signed_set.duty.slot)
        await self._beacon_node.submit_attestations(fork, tuple(submissions))

    async def _proposal(self, signed_set: SignedDataSet) -> None:
        (signed,) = signed_set.items
        data_set = await self._decided.decided(signed_set.duty)
        if data_set is None:
            raise DecisionMissing("submit block", duty=signed_set.duty)
        (item,) = data_set.items
        if (
            not isinstance(item, UnsignedProposal)
            or not isinstance(signed.payload, ProposalPayload)
            or item.proposal.header != signed.payload.header
        ):
            self._log.error("signed_without_decision", duty=str(signed_set.duty))
            return
        await self._beacon_node.publish_block(sign_proposal(item.proposal, signed.signature))
