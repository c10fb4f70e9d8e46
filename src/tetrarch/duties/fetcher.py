"""Fetcher: gets from the beacon node what this node would propose for a duty."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tetrarch.duties.errors import FeeRecipientWrong
from tetrarch.duties.features import ClusterFeatures
from tetrarch.duties.ports import AggregatedSignatures
from tetrarch.duties.proof_fetcher import ProofFetcher
from tetrarch.duties.types import (
    AttesterDefinition,
    DefinitionSet,
    Duty,
    DutyType,
    ProposerDefinition,
    PubKey,
    SyncHead,
    UnsignedAttestation,
    UnsignedData,
    UnsignedDataSet,
    UnsignedProposal,
    refuse_deprecated,
)
from tetrarch.duties.value_check import pays_another
from tetrarch.errors import InvariantBroken
from tetrarch.ethereum.beacon_node.ports import (
    BUILDER_BOOST_ALWAYS,
    BUILDER_BOOST_NEVER,
    BeaconNode,
    BlockRequest,
    ProposerPreparation,
)
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.proposals import Proposal
from tetrarch.ethereum.spec.values import AttestationData, Fork
from tetrarch.observability.logs import Log
from tetrarch.output import Output

PAYEE_MEND = "see that the beacon node takes fee recipients from its API; no block is proposed"
VIEWS_MAX = 64  # slots; an instance may be decided as late as an epoch after its start


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockSettings:
    """What blocks are asked for. ``payees``: where they must pay their fees, where that is set."""

    features: ClusterFeatures
    graffiti: bytes = bytes(32)
    payees: Mapping[PubKey, bytes] = field(default_factory=dict)


class Fetcher:
    """Input: ``fetch``. Outputs: ``fetched`` (what we would propose), ``needed`` (a duty that
    must be agreed on, though it is not fetched yet), ``heads`` (sync messages to sign), ``idle``
    (nobody is drawn for the duty: nothing is to be done).

    Pulls the randao and selection proofs from AggSigDB.

    Remembers the last few slots' attestation data: consensus compares a leader's value with
    our own head's chain (see ``value_check``).
    """

    def __init__(
        self,
        *,
        beacon_node: BeaconNode,
        chain: ChainSpec,
        aggregated: AggregatedSignatures,
        blocks: BlockSettings,
        proofs: ProofFetcher,
        log: Log,
    ) -> None:
        self.fetched = Output[UnsignedDataSet]("fetched")
        self.needed = Output[DefinitionSet]("needed")
        self.heads = Output[SyncHead]("heads")
        self.idle = Output[Duty]("idle")
        self._proofs = proofs
        self._beacon_node = beacon_node
        self._chain = chain
        self._aggregated = aggregated
        self._features = blocks.features
        self._graffiti = blocks.graffiti
        self._payees = blocks.payees
        self._log = log
        self._views: dict[int, AttestationData] = {}
        self._asked: dict[int, asyncio.Future[AttestationData | None]] = {}  # not answered yet

    async def fetch(self, definition_set: DefinitionSet) -> None:
        """Fetch the duty's data and emit it. Duties that need none are left alone.

        Raises:
            Transient: the beacon node was away; the edge's retry calls again.
            FeeRecipientWrong: its block pays somebody else, whatever it is told.
        """
        duty = definition_set.duty
        refuse_deprecated(duty)
        if duty.type is DutyType.ATTESTER:
            await self.fetched.emit(await self._attestations(definition_set))
        elif duty.type is DutyType.PROPOSER:
            await self.fetched.emit(await self._proposal(definition_set))
        elif duty.type is DutyType.SYNC_MESSAGE:
            await self.heads.emit(await self._proofs.head(definition_set))
        elif duty.type in (DutyType.AGGREGATOR, DutyType.SYNC_CONTRIBUTION):
            await self._aggregate(definition_set)

    async def _aggregate(self, definition_set: DefinitionSet) -> None:
        """Nobody is drawn in most slots: then there is nothing to agree on."""
        selected = await self._proofs.selected(definition_set)
        if not selected.drawn:
            await self.idle.emit(definition_set.duty)
            return
        await self.needed.emit(definition_set)
        if definition_set.duty.type is DutyType.AGGREGATOR:
            made = await self._proofs.aggregates(definition_set, selected)
        else:
            made = await self._proofs.contributions(definition_set, selected)
        await self.fetched.emit(made)

    async def view(self, slot: int, *, fresh: bool = False) -> AttestationData:
        """Our beacon node's attestation data of ``slot`` (committee index 0).

        Unless ``fresh``, a question that is being asked already is not asked twice.
        """
        known = self._views.get(slot)
        if known is not None and not fresh:
            return known
        asked = self._asked.get(slot)
        if asked is not None and not fresh:
            answer = await asyncio.shield(asked)  # giving up must not take it from the others
            if answer is not None:
                return answer
        asking = self._asked[slot] = asyncio.get_running_loop().create_future()
        try:
            view = await self._beacon_node.attestation_data(slot, 0)
            asking.set_result(view)
        finally:
            if not asking.done():
                asking.set_result(None)
            if self._asked.get(slot) is asking:
                del self._asked[slot]
        self._views[slot] = view
        while len(self._views) > VIEWS_MAX:
            del self._views[min(self._views)]
        return view

    async def _attestations(self, definition_set: DefinitionSet) -> UnsignedDataSet:
        # One question per slot: the committees' data differ in the index alone, and asking for
        # each would mix the heads of different moments.
        slot = definition_set.duty.slot
        data = await self.view(slot, fresh=True)
        electra = self._chain.fork_at_slot(slot).at_least(Fork.ELECTRA)
        items: list[UnsignedData] = []
        for definition in definition_set.definitions:
            if not isinstance(definition, AttesterDefinition):
                raise InvariantBroken("an attester duty has attester definitions")
            index = 0 if electra else definition.committee_index
            items.append(
                UnsignedAttestation(definition=definition, data=replace(data, index=index))
            )
        return UnsignedDataSet(duty=definition_set.duty, items=tuple(items))

    async def _proposal(self, definition_set: DefinitionSet) -> UnsignedDataSet:
        (definition,) = definition_set.definitions
        if not isinstance(definition, ProposerDefinition):
            raise InvariantBroken("a proposer duty has a proposer definition")
        randao = await self._aggregated.await_signed(
            Duty(definition.slot, DutyType.RANDAO), definition.pubkey
        )
        request = BlockRequest(
            slot=definition.slot,
            randao_reveal=randao.signature,
            graffiti=self._graffiti,
            # Seed 001: the validator client's factor is overridden from the cluster's flag alone.
            builder_boost_factor=BUILDER_BOOST_ALWAYS
            if self._features.builder_api
            else BUILDER_BOOST_NEVER,
        )
        proposal = await self._block(request, definition)
        item = UnsignedProposal(definition=definition, proposal=proposal)
        return UnsignedDataSet(duty=definition_set.duty, items=(item,))

    async def _block(self, request: BlockRequest, definition: ProposerDefinition) -> Proposal:
        """A block that pays the right address: the other nodes would vote for no other."""
        payee = self._payees.get(definition.pubkey)
        proposal = await self._beacon_node.produce_block(request)
        if payee is None or not pays_another(proposal, payee):
            return proposal
        # It may have been started anew since the epoch was prepared, and remember nothing.
        told = ProposerPreparation(validator_index=definition.validator_index, fee_recipient=payee)
        await self._beacon_node.prepare_beacon_proposer((told,))
        proposal = await self._beacon_node.produce_block(request)
        if not pays_another(proposal, payee):
            return proposal
        wrong = {"slot": request.slot, "pays": proposal.fee_recipient, "configured": payee}
        self._log.error("fee_recipient_wrong", **wrong, mend=PAYEE_MEND)
        raise FeeRecipientWrong("produce block", slot=request.slot)
