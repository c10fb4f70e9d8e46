"""Fetcher: gets from the beacon node what this node would propose for a duty."""

from dataclasses import replace

from tetrarch.duties.ports import AggregatedSignatures
from tetrarch.duties.types import (
    AttesterDefinition,
    DefinitionSet,
    Duty,
    DutyType,
    ProposerDefinition,
    UnsignedAttestation,
    UnsignedData,
    UnsignedDataSet,
    UnsignedProposal,
    refuse_deprecated,
)
from tetrarch.errors import InvariantBroken
from tetrarch.ethereum.beacon_node.ports import (
    BUILDER_BOOST_ALWAYS,
    BUILDER_BOOST_NEVER,
    BeaconNode,
    BlockRequest,
)
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.values import AttestationData, Fork
from tetrarch.output import Output

VIEWS_MAX = 64  # slots; an instance may be decided as late as an epoch after its start


class Fetcher:
    """Input: ``fetch``. Output: ``fetched``. Pulls the randao from AggSigDB.

    Remembers the last few slots' attestation data: consensus compares a leader's value with
    our own head's chain (see ``value_check``).
    """

    def __init__(
        self,
        *,
        beacon_node: BeaconNode,
        chain: ChainSpec,
        aggregated: AggregatedSignatures,
        builder_api: bool,
        graffiti: bytes,
    ) -> None:
        self.fetched = Output[UnsignedDataSet]("fetched")
        self._beacon_node = beacon_node
        self._chain = chain
        self._aggregated = aggregated
        # Seed 001: the validator client's factor is overridden from the Builder API flag alone.
        self._boost = BUILDER_BOOST_ALWAYS if builder_api else BUILDER_BOOST_NEVER
        self._graffiti = graffiti
        self._views: dict[int, AttestationData] = {}

    async def fetch(self, definition_set: DefinitionSet) -> None:
        """Fetch the duty's data and emit it. Duties that need none are left alone.

        Raises:
            Transient: the beacon node was away; the edge's retry calls again.
        """
        duty = definition_set.duty
        refuse_deprecated(duty)
        if duty.type is DutyType.ATTESTER:
            await self.fetched.emit(await self._attestations(definition_set))
        elif duty.type is DutyType.PROPOSER:
            await self.fetched.emit(await self._proposal(definition_set))

    async def view(self, slot: int, *, fresh: bool = False) -> AttestationData:
        """Our beacon node's attestation data of ``slot`` (committee index 0)."""
        known = self._views.get(slot)
        if known is not None and not fresh:
            return known
        view = await self._beacon_node.attestation_data(slot, 0)
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
        proposal = await self._beacon_node.produce_block(
            BlockRequest(
                slot=definition.slot,
                randao_reveal=randao.signature,
                graffiti=self._graffiti,
                builder_boost_factor=self._boost,
            )
        )
        item = UnsignedProposal(definition=definition, proposal=proposal)
        return UnsignedDataSet(duty=definition_set.duty, items=(item,))
