"""Fetching for aggregators and the sync committee: what they would vouch for, and the head.

What an aggregator signs depends on earlier duties of its slot: the proof that it was drawn, the
vote that the cluster agreed on, or the head that it voted for.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from tetrarch.duties.aggsigdb import AggSigDB
from tetrarch.duties.dutydb import DutyDB
from tetrarch.duties.features import ClusterFeatures
from tetrarch.duties.selections import ProofSource, Selected, Selections, sync_heads
from tetrarch.duties.types import (
    AttesterDefinition,
    DefinitionSet,
    Duty,
    DutyType,
    SyncCommitteeDefinition,
    SyncHead,
    UnsignedAggregate,
    UnsignedAttestation,
    UnsignedContribution,
    UnsignedData,
    UnsignedDataSet,
)
from tetrarch.errors import InvariantBroken, Transient
from tetrarch.ethereum.beacon_node.ports import BeaconNode
from tetrarch.ethereum.spec.aggregates import (
    AggregateAndProof,
    ContributionAndProof,
)
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.network.versions import PLURAL_CONTRIBUTIONS
from tetrarch.observability.logs import Log

K = TypeVar("K", bound=Hashable)
Made = TypeVar("Made")
PROOF_WAIT_DIVISOR = 12  # of a slot: how long late selection proofs are waited for
SUBMITTED_WAIT_DIVISOR = 12  # of a slot: how long the slot's votes and messages are waited for


class SelectionsMissing(Transient):
    """No selection proof of the slot is there yet."""

    code = "selections_missing"


class NothingToAggregate(Transient):
    """The beacon node has seen none of the votes that are to be aggregated yet."""

    code = "nothing_to_aggregate"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofFetcher:
    """Reads the stores, asks the beacon node. Stateless."""

    beacon_node: BeaconNode
    chain: ChainSpec
    decided: DutyDB
    aggregated: AggSigDB
    source: ProofSource
    features: ClusterFeatures
    attests: Callable[[int], bool]  # whether the cluster has attesters in a slot
    log: Log

    async def selected(self, definition_set: DefinitionSet) -> Selected:
        """Who is drawn for the duty; nobody where our validator client asks for no selections.

        Raises:
            SelectionsMissing: no proof is there yet, and our own part of them was made.
        """
        wait_s = self.chain.slot_duration_ms / 1000 / PROOF_WAIT_DIVISOR
        selections = Selections(aggregated=self.aggregated, chain=self.chain)
        found = await selections.selected(definition_set, wait_s=wait_s)
        if found.drawn or not found.missing:
            self.source.note_answered()
        elif self.source.has_proofs(definition_set.duty):
            raise SelectionsMissing("fetch", duty=definition_set.duty, missing=found.missing)
        else:
            self.source.note_unasked(definition_set.duty)
        return found

    async def aggregates(
        self, definition_set: DefinitionSet, selected: Selected
    ) -> UnsignedDataSet:
        """An aggregate for each drawn validator: one question for each committee, all at once.

        Raises:
            NothingToAggregate: the beacon node has none of them yet.
        """
        duty = definition_set.duty
        fork, preset = self.chain.fork_at_slot(duty.slot), self.chain.preset
        votes = await self.decided.await_decided(Duty(duty.slot, DutyType.ATTESTER))
        data = {v.pubkey: v.data for v in votes.items if isinstance(v, UnsignedAttestation)}
        members = {d.pubkey: d for d in definition_set.definitions}
        wanted: list[tuple[AttesterDefinition, bytes, tuple[bytes, int]]] = []
        for (pubkey, _), proof in sorted(selected.drawn.items()):
            definition = members[pubkey]
            if not isinstance(definition, AttesterDefinition):
                raise InvariantBroken("an aggregator duty has attester definitions")
            vote = data.get(definition.pubkey)
            if vote is not None:
                key = vote.hash_tree_root(), definition.committee_index
                wanted.append((definition, proof, key))
        made = await _ask_each(
            (key for _, _, key in wanted),
            lambda key: self.beacon_node.aggregate_attestation(fork, duty.slot, *key),
        )
        items: list[UnsignedData] = []
        for definition, proof, key in wanted:
            aggregate = made[key]
            if aggregate is None:
                continue
            message = AggregateAndProof(
                fork=fork,
                preset=preset,
                aggregator_index=definition.validator_index,
                aggregate=aggregate,
                selection_proof=proof,
            )
            items.append(UnsignedAggregate(pubkey=definition.pubkey, message=message))
        return self._made(duty, items, selected)

    async def contributions(
        self, definition_set: DefinitionSet, selected: Selected
    ) -> UnsignedDataSet:
        """A contribution for each drawn validator and subcommittee.

        Until all nodes take several for one validator, only its first.

        Raises:
            NothingToAggregate: the cluster's own messages are not there yet, or the beacon node
                has none.
        """
        duty = definition_set.duty
        # The beacon node makes contributions of what it was given: nothing is to be had before.
        await self._await_submitted(Duty(duty.slot, DutyType.SYNC_MESSAGE))
        heads = await sync_heads(self.aggregated, duty.slot)
        wanted = [
            (pubkey, proof, (subcommittee_index, heads[pubkey]))
            for (pubkey, subcommittee_index), proof in sorted(selected.drawn.items())
            if pubkey in heads
        ]
        made = await _ask_each(
            (key for _, _, key in wanted),
            lambda key: self.beacon_node.sync_contribution(duty.slot, *key),
        )
        items: list[UnsignedData] = []
        members = {
            each.pubkey: each
            for each in definition_set.definitions
            if isinstance(each, SyncCommitteeDefinition)
        }
        one_each = not self.features.may_send(PLURAL_CONTRIBUTIONS)
        for pubkey, proof, key in wanted:
            contribution = made[key]
            if contribution is None or (one_each and items and items[-1].pubkey == pubkey):
                continue
            message = ContributionAndProof(
                aggregator_index=members[pubkey].validator_index,
                contribution=contribution,
                selection_proof=proof,
            )
            items.append(UnsignedContribution(pubkey=pubkey, message=message))
        return self._made(duty, items, selected)

    async def head(self, definition_set: DefinitionSet) -> SyncHead:
        """What the cluster's sync committee members vote for in the slot.

        The head of the slot's agreed vote, where there is one in time: so all nodes sign the same.
        Else our own beacon node's head. Votes go out first: they are worth more, and both would
        be late if they shared the processors.
        """
        duty = definition_set.duty
        definitions = tuple(
            each for each in definition_set.definitions if isinstance(each, SyncCommitteeDefinition)
        )
        return SyncHead(
            duty=duty,
            definitions=definitions,
            beacon_block_root=await self._agreed_head(duty.slot)
            or (await self.beacon_node.head()).root,
        )

    async def _agreed_head(self, slot: int) -> bytes | None:
        if not self.attests(slot):
            return None
        voted = Duty(slot, DutyType.ATTESTER)
        await self._await_submitted(voted)
        votes = await self.decided.decided(voted)
        if votes is None:
            return None
        heads = {
            v.data.beacon_block_root for v in votes.items if isinstance(v, UnsignedAttestation)
        }
        return heads.pop() if len(heads) == 1 else None

    async def _await_submitted(self, duty: Duty) -> None:
        """Wait a little for what should be submitted by now."""
        wait_s = self.chain.slot_duration_ms / 1000 / SUBMITTED_WAIT_DIVISOR
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self.aggregated.await_submitted(duty)

    def _made(self, duty: Duty, items: list[UnsignedData], selected: Selected) -> UnsignedDataSet:
        if not items:
            raise NothingToAggregate("fetch", duty=duty)
        if len(items) < len(selected.drawn):
            left_out = len(selected.drawn) - len(items)
            self.log.warning("aggregates_missing", duty=str(duty), validators=left_out)
        return UnsignedDataSet(duty=duty, items=tuple(items))


async def _ask_each(keys: Iterable[K], ask: Callable[[K], Awaitable[Made]]) -> dict[K, Made]:
    """Each once, and all at the same time: a slow beacon node delays them together."""
    once = tuple(dict.fromkeys(keys))
    answers = await asyncio.gather(*map(ask, once))
    return dict(zip(once, answers, strict=True))
