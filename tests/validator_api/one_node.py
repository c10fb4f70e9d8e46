"""The validator API and the beacon node client around one validator client: a cluster of one.

Shares are whole keys (threshold 1), and the workflow between the two is a page long: what the
client asks for is fetched, what it signs is published. It tells a fault at the edges apart from
a fault of the workflow.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from tetrarch.crypto.bls import SecretKey
from tetrarch.duties.errors import DutyNotFound
from tetrarch.duties.plausible import signing_root
from tetrarch.duties.types import (
    AggregatePayload,
    AttestationPayload,
    AttesterDefinition,
    ContributionPayload,
    DefinitionSet,
    Duty,
    DutyType,
    ExitPayload,
    PartialSet,
    ProposerDefinition,
    PubKey,
    RandaoPayload,
    SelectionPayload,
    ShareIndex,
    SignedData,
    SyncCommitteeDefinition,
    SyncMessagePayload,
    SyncSelectionPayload,
    UnsignedAggregate,
    UnsignedContribution,
    UnsignedData,
    UnsignedDataSet,
)
from tetrarch.duties.waiting import Waiters
from tetrarch.ethereum.beacon_node.ports import (
    AttestationSubmission,
    BeaconNode,
    BlockRequest,
    SyncDuty,
)
from tetrarch.ethereum.spec.aggregates import (
    Aggregate,
    AggregateAndProof,
    ContributionAndProof,
    SignedAggregateAndProof,
    SignedContributionAndProof,
    SyncCommitteeContribution,
)
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.messages import SignedVoluntaryExit, SyncCommitteeMessage
from tetrarch.ethereum.spec.proposals import Proposal, sign_proposal
from tetrarch.ethereum.spec.selection import is_aggregator, is_sync_aggregator, subcommittees_of
from tetrarch.ethereum.spec.values import AttestationData, Fork

SYNC_TYPES = (
    DutyType.SYNC_MESSAGE,
    DutyType.PREPARE_SYNC_CONTRIBUTION,
    DutyType.SYNC_CONTRIBUTION,
)
_SAME_AS = {
    DutyType.RANDAO: DutyType.PROPOSER,
    DutyType.PREPARE_AGGREGATOR: DutyType.ATTESTER,
    DutyType.AGGREGATOR: DutyType.ATTESTER,
}


class OneNode:
    """Ports ``Duties``, ``DecidedData``, ``GroupSignatures``, ``Proofs``, ``Keys`` and ``Compute``, and the handler of partials."""

    share_index = ShareIndex(1)

    def __init__(
        self,
        beacon_node: BeaconNode,
        chain: ChainSpec,
        pubkeys: tuple[bytes, ...],
        *,
        secrets: Mapping[bytes, SecretKey] | None = None,
    ) -> None:
        """With ``secrets`` a client that asks for no selections gets aggregates all the same."""
        self._secrets = secrets or {}
        self._beacon_node = beacon_node
        self._chain = chain
        self._pubkeys = pubkeys
        self._epochs: dict[int, dict[Duty, list[Any]]] = {}
        self._data: dict[int, AttestationData] = {}
        self._reveals = Waiters[int, bytes]()
        self._signed: dict[tuple[Duty, PubKey, int], SignedData] = {}
        self._decided: dict[Duty, UnsignedDataSet] = {}
        self._indices: dict[int, PubKey] = {}
        self._sync: dict[int, tuple[SyncDuty, ...]] = {}
        self.done: Counter[DutyType] = Counter()  # what the beacon node has taken
        self._blocks: dict[int, tuple[PubKey, Proposal]] = {}
        self._lock = asyncio.Lock()
        self.attested: set[tuple[int, PubKey]] = set()
        self.proposed: dict[int, bytes] = {}

    def share_of(self, root: PubKey) -> bytes | None:
        return root if root in self._pubkeys else None

    def root_of(self, share: bytes) -> PubKey | None:
        return PubKey(share) if share in self._pubkeys else None

    def owner_of(self, share: bytes) -> ShareIndex | None:
        return self.share_index if share in self._pubkeys else None

    async def run(self, function: Callable[[], Any], /, *, cost_ms: float = 0.0) -> Any:
        del cost_ms
        return await asyncio.to_thread(function)

    async def get_duty_definition(self, duty: Duty) -> DefinitionSet:
        async with self._lock:
            epoch = self._chain.epoch_of(duty.slot)
            if epoch not in self._epochs:
                self._epochs[epoch] = await self._resolve(epoch)
        found: Any = self._epochs[epoch].get(Duty(duty.slot, _SAME_AS.get(duty.type, duty.type)))
        if duty.type in SYNC_TYPES:
            found = await self._sync_members(duty.slot)
        if not found:
            raise DutyNotFound("look up duty", duty=duty)
        return DefinitionSet(duty=duty, definitions=tuple(found))

    def pubkey_of(self, validator_index: int) -> PubKey | None:
        return self._indices.get(validator_index)

    def has_proofs(self, duty: Duty) -> bool:
        proven = DutyType.PREPARE_SYNC_CONTRIBUTION
        if duty.type is DutyType.AGGREGATOR:
            proven = DutyType.PREPARE_AGGREGATOR
        handed_in = any(key[0] == Duty(duty.slot, proven) for key in self._signed)
        return handed_in or bool(self._secrets)

    async def signed_of(self, duty: Duty) -> dict[tuple[PubKey, int], SignedData]:
        return {key[1:]: each for key, each in self._signed.items() if key[0] == duty}

    async def await_signed(self, duty: Duty, pubkey: PubKey, *, sub_index: int = 0) -> SignedData:
        # Shares are whole keys: the group's signature is there once the client's is.
        return self._signed[duty, pubkey, sub_index]

    async def await_decided(self, duty: Duty) -> UnsignedDataSet:
        if duty not in self._decided:
            is_aggregate = duty.type is DutyType.AGGREGATOR
            items = await (self._aggregates(duty) if is_aggregate else self._contributions(duty))
            self._decided[duty] = UnsignedDataSet(duty=duty, items=tuple(items))
        return self._decided[duty]

    async def await_agg_attestation(
        self, slot: int, data_root: bytes, committee_index: int | None = None
    ) -> Aggregate:
        for item in (await self.await_decided(Duty(slot, DutyType.AGGREGATOR))).items:
            assert isinstance(item, UnsignedAggregate)
            found = item.message.aggregate
            is_of = committee_index in (None, found.committee_index)
            if is_of and found.data.hash_tree_root() == data_root:
                return found
        raise DutyNotFound("await aggregate", slot=slot)

    async def await_sync_contribution(
        self, slot: int, subcommittee_index: int, beacon_block_root: bytes
    ) -> SyncCommitteeContribution:
        for item in (await self.await_decided(Duty(slot, DutyType.SYNC_CONTRIBUTION))).items:
            assert isinstance(item, UnsignedContribution)
            found = item.message.contribution
            if (found.subcommittee_index, found.beacon_block_root) == (
                subcommittee_index,
                beacon_block_root,
            ):
                return found
        raise DutyNotFound("await contribution", slot=slot)

    async def _aggregates(self, duty: Duty) -> list[UnsignedData]:
        """The beacon node's best aggregate for everyone whose proof draws it."""
        slot, fork = duty.slot, self._chain.fork_at_slot(duty.slot)
        items: list[UnsignedData] = []
        for each in (await self.get_duty_definition(duty)).definitions:
            assert isinstance(each, AttesterDefinition)
            proof = self._proof(each.pubkey, SelectionPayload(slot=slot))
            if not is_aggregator(each.committee_length, proof):
                continue
            index = 0 if fork.at_least(Fork.ELECTRA) else each.committee_index
            root = (await self.await_attestation(slot, index)).hash_tree_root()
            found = await self._beacon_node.aggregate_attestation(
                fork, slot, root, each.committee_index
            )
            assert found is not None
            message = AggregateAndProof(
                fork=fork,
                preset=self._chain.preset,
                aggregator_index=each.validator_index,
                aggregate=found,
                selection_proof=proof,
            )
            items.append(UnsignedAggregate(pubkey=each.pubkey, message=message))
        return items

    async def _contributions(self, duty: Duty) -> list[UnsignedData]:
        slot, preset = duty.slot, self._chain.preset
        items: list[UnsignedData] = []
        for each in (await self.get_duty_definition(duty)).definitions:
            assert isinstance(each, SyncCommitteeDefinition)
            for place in subcommittees_of(each.positions, preset=preset):
                payload = SyncSelectionPayload(slot=slot, subcommittee_index=place)
                proof = self._proof(each.pubkey, payload)
                if not is_sync_aggregator(proof, preset=preset):
                    continue
                voted = self._signed.get((Duty(slot, DutyType.SYNC_MESSAGE), each.pubkey, 0))
                if voted is None:
                    continue
                vote = voted.payload
                assert isinstance(vote, SyncMessagePayload)
                found = await self._beacon_node.sync_contribution(
                    slot, place, vote.beacon_block_root
                )
                assert found is not None
                message = ContributionAndProof(
                    aggregator_index=each.validator_index, contribution=found, selection_proof=proof
                )
                items.append(UnsignedContribution(pubkey=each.pubkey, message=message))
        return items

    def _proof(self, pubkey: PubKey, payload: SelectionPayload | SyncSelectionPayload) -> bytes:
        key = (Duty(payload.slot, payload.DUTY_TYPE), pubkey, payload.sub_index)
        if key not in self._signed and pubkey in self._secrets:
            return self._secrets[pubkey].sign(signing_root(payload, self._chain))
        return self._signed[key].signature

    def due(self, *, epoch: int) -> set[tuple[int, PubKey]]:
        """The attester duties of a resolved epoch, as ``attested`` has them."""
        found = self._epochs[epoch].items()
        return {
            (duty.slot, each.pubkey)
            for duty, definitions in found
            for each in definitions
            if duty.type is DutyType.ATTESTER
        }

    async def _sync_members(self, slot: int) -> list[SyncCommitteeDefinition]:
        """Who signs in a slot is in the committee of the slot after it."""
        epoch = self._chain.epoch_of(slot + 1)
        if epoch not in self._sync:
            found = await self._beacon_node.sync_duties(epoch, tuple(sorted(self._indices)))
            self._sync[epoch] = found.duties
        return [
            SyncCommitteeDefinition(
                pubkey=PubKey(each.pubkey),
                slot=slot,
                validator_index=each.validator_index,
                positions=each.positions,
            )
            for each in self._sync[epoch]
        ]

    async def _resolve(self, epoch: int) -> dict[Duty, list[Any]]:
        records = await self._beacon_node.validators(self._pubkeys)
        self._indices.update({record.index: PubKey(record.pubkey) for record in records})
        indices = tuple(record.index for record in records if record.status.is_active)
        found: dict[Duty, list[Any]] = {}
        for each in (await self._beacon_node.attester_duties(epoch, indices)).duties:
            definition = AttesterDefinition(
                pubkey=PubKey(each.pubkey),
                slot=each.slot,
                validator_index=each.validator_index,
                committee_index=each.committee_index,
                committee_length=each.committee_length,
                committees_at_slot=each.committees_at_slot,
                validator_committee_index=each.validator_committee_index,
            )
            found.setdefault(Duty(each.slot, DutyType.ATTESTER), []).append(definition)
        for proposer in (await self._beacon_node.proposer_duties(epoch)).duties:
            if proposer.pubkey in self._pubkeys:
                found[Duty(proposer.slot, DutyType.PROPOSER)] = [
                    ProposerDefinition(
                        pubkey=PubKey(proposer.pubkey),
                        slot=proposer.slot,
                        validator_index=proposer.validator_index,
                    )
                ]
        return found

    async def await_attestation(self, slot: int, committee_index: int) -> AttestationData:
        async with self._lock:
            if slot not in self._data:
                self._data[slot] = await self._beacon_node.attestation_data(slot, committee_index)
        data = self._data[slot]
        return AttestationData(
            slot=slot,
            index=committee_index,
            beacon_block_root=data.beacon_block_root,
            source=data.source,
            target=data.target,
        )

    async def pub_key_by_attestation(
        self, slot: int, committee_index: int, validator_committee_index: int
    ) -> PubKey:
        for each in (await self.get_duty_definition(Duty(slot, DutyType.ATTESTER))).definitions:
            if isinstance(each, AttesterDefinition) and (
                (each.committee_index, each.validator_committee_index)
                == (committee_index, validator_committee_index)
            ):
                return each.pubkey
        raise DutyNotFound("find validator")

    async def await_beacon_block(self, slot: int) -> tuple[PubKey, Proposal]:
        async def present() -> bytes | None:
            return None

        if slot not in self._blocks:
            await self._reveals.wait(slot, present)
        return self._blocks[slot]

    async def take(self, partials: PartialSet) -> None:
        """What the workflow would do with partials of the only share: publish them."""
        for partial in partials.partials:
            signed = SignedData(
                pubkey=partial.pubkey, payload=partial.payload, signature=partial.signature
            )
            self._signed[partials.duty, partial.pubkey, partial.sub_index] = signed
        if partials.duty.type in (DutyType.ATTESTER, DutyType.PROPOSER, DutyType.RANDAO):
            await self._publish_main(partials)
        else:
            await self._publish_others(partials)

    async def _publish_others(self, partials: PartialSet) -> None:
        node, fork = self._beacon_node, self._chain.fork_at_slot(partials.duty.slot)
        indices = {pubkey: index for index, pubkey in self._indices.items()}
        for partial in partials.partials:
            payload, signature = partial.payload, partial.signature
            match payload:
                case AggregatePayload():
                    aggregate = SignedAggregateAndProof(
                        message=payload.message, signature=signature
                    )
                    await node.submit_aggregates(fork, (aggregate,))
                case SyncMessagePayload():
                    message = SyncCommitteeMessage(
                        slot=payload.slot,
                        beacon_block_root=payload.beacon_block_root,
                        validator_index=indices[partial.pubkey],
                        signature=signature,
                    )
                    await node.submit_sync_messages((message,))
                case ContributionPayload():
                    contribution = SignedContributionAndProof(
                        message=payload.message, signature=signature
                    )
                    await node.submit_contributions((contribution,))
                case ExitPayload():
                    leaving = SignedVoluntaryExit(message=payload.message, signature=signature)
                    await node.submit_exit(leaving)
                case _:
                    pass  # a selection proof: it is handed out
            self.done[partials.duty.type] += 1

    async def _publish_main(self, partials: PartialSet) -> None:
        definitions = await self.get_duty_definition(partials.duty)
        by_key = {each.pubkey: each for each in definitions.definitions}
        submissions = []
        slot = partials.duty.slot
        for partial in partials.partials:
            definition = by_key[partial.pubkey]
            if isinstance(partial.payload, RandaoPayload):
                request = BlockRequest(slot=slot, randao_reveal=partial.signature)
                # The await for the block begins after this handler: make it first.
                proposal = await self._beacon_node.produce_block(request)
                self._blocks[slot] = (partial.pubkey, proposal)
                self._reveals.announce(slot, partial.signature)
            elif isinstance(partial.payload, AttestationPayload):
                assert isinstance(definition, AttesterDefinition)
                submissions.append(
                    AttestationSubmission(
                        data=partial.payload.data,
                        signature=partial.signature,
                        validator_index=definition.validator_index,
                        committee_index=definition.committee_index,
                        committee_length=definition.committee_length,
                        validator_committee_index=definition.validator_committee_index,
                    )
                )
                self.attested.add((slot, partial.pubkey))
            else:
                proposal = self._blocks[slot][1]
                await self._beacon_node.publish_block(sign_proposal(proposal, partial.signature))
                self.proposed[slot] = proposal.hash_tree_root()
        if submissions:
            fork = self._chain.fork_at_slot(slot)
            await self._beacon_node.submit_attestations(fork, tuple(submissions))
