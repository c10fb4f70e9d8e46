"""The validator API and the beacon node client around one validator client: a cluster of one.

Shares are whole keys (threshold 1), and the workflow between the two is a page long: what the
client asks for is fetched, what it signs is published. It tells a fault at the edges apart from
a fault of the workflow.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from tetrarch.duties.errors import DutyNotFound
from tetrarch.duties.types import (
    AttestationPayload,
    AttesterDefinition,
    DefinitionSet,
    Duty,
    DutyType,
    PartialSet,
    ProposerDefinition,
    PubKey,
    RandaoPayload,
    ShareIndex,
)
from tetrarch.duties.waiting import Waiters
from tetrarch.ethereum.beacon_node.ports import AttestationSubmission, BeaconNode, BlockRequest
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.proposals import Proposal, sign_proposal
from tetrarch.ethereum.spec.values import AttestationData


class OneNode:
    """Ports ``Duties``, ``DecidedData``, ``Keys`` and ``Compute``, and the handler of partials."""

    share_index = ShareIndex(1)

    def __init__(
        self, beacon_node: BeaconNode, chain: ChainSpec, pubkeys: tuple[bytes, ...]
    ) -> None:
        self._beacon_node = beacon_node
        self._chain = chain
        self._pubkeys = pubkeys
        self._epochs: dict[int, dict[Duty, list[Any]]] = {}
        self._data: dict[int, AttestationData] = {}
        self._reveals = Waiters[int, bytes]()
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
        found = self._epochs[epoch].get(duty)
        if not found:
            raise DutyNotFound("look up duty", duty=duty)
        return DefinitionSet(duty=duty, definitions=tuple(found))

    def due(self, *, epoch: int) -> set[tuple[int, PubKey]]:
        """The attester duties of a resolved epoch, as ``attested`` has them."""
        found = self._epochs[epoch].items()
        return {
            (duty.slot, each.pubkey)
            for duty, definitions in found
            for each in definitions
            if duty.type is DutyType.ATTESTER
        }

    async def _resolve(self, epoch: int) -> dict[Duty, list[Any]]:
        records = await self._beacon_node.validators(self._pubkeys)
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
        definitions = await self.get_duty_definition(
            Duty(
                partials.duty.slot,
                DutyType.PROPOSER if partials.duty.type is DutyType.RANDAO else partials.duty.type,
            )
        )
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
