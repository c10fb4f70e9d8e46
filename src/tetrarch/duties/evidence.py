"""Evidence: what this node knows by itself about a value that a leader proposes.

It comes from our own schedule, beacon node, stores and keys; ``value_check`` judges by it. What
cannot be found out in time stays open: then the node does not vote, which is never wrong.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from tetrarch.duties.aggsigdb import AggSigDB
from tetrarch.duties.dutydb import DutyDB
from tetrarch.duties.features import ClusterFeatures
from tetrarch.duties.group_crypto import GroupCrypto
from tetrarch.duties.plausible import signing_root
from tetrarch.duties.ports import Compute, Definitions, History
from tetrarch.duties.selections import PROVEN_BY, ProofKey, Selections, heads_of
from tetrarch.duties.types import (
    DefinitionSet,
    Duty,
    DutyType,
    Payload,
    PubKey,
    RandaoPayload,
    SelectionPayload,
    SyncSelectionPayload,
    UnsignedAggregate,
    UnsignedAttestation,
    UnsignedContribution,
    UnsignedDataSet,
    UnsignedProposal,
)
from tetrarch.duties.value_check import Facts
from tetrarch.errors import TetrarchError
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.values import AttestationData
from tetrarch.network.versions import PLURAL_CONTRIBUTIONS
from tetrarch.observability.logs import Log

WAIT_DIVISOR = 24  # of a slot: how long a check waits for what is not here yet

View = Callable[..., Awaitable[AttestationData]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where this node's own knowledge of a duty comes from."""

    definitions: Definitions
    view: View
    decided: DutyDB
    aggregated: AggSigDB
    history: History
    features: ClusterFeatures
    payees: Mapping[PubKey, bytes] = field(default_factory=dict)  # where blocks pay their fees
    former_payee: Callable[[PubKey], bytes | None] = lambda _pubkey: None  # and may pay for a while


class Evidence:
    """Queries; nothing here is remembered."""

    def __init__(
        self,
        *,
        sources: Sources,
        chain: ChainSpec,
        compute: Compute,
        crypto: GroupCrypto,
        log: Log,
    ) -> None:
        self._sources = sources
        self._chain = chain
        self._compute = compute
        self._crypto = crypto
        self._log = log
        self._selections = Selections(aggregated=sources.aggregated, chain=chain)
        self._wait_s = chain.slot_duration_ms / 1000 / WAIT_DIVISOR

    async def own_view(self, duty: Duty, *, fresh: bool) -> AttestationData | None:
        """Our beacon node's attestation data of the slot, or None."""
        try:
            async with asyncio.timeout(self._wait_s):
                return await self._sources.view(duty.slot, fresh=fresh)
        except (TimeoutError, TetrarchError) as error:
            self._log.warning("own_view_missing", duty=str(duty), reason=str(error) or "timeout")
            return None

    async def of_block(self, data_set: UnsignedDataSet, facts: Facts) -> Facts:
        """The reveal it must carry, and whom it must pay."""
        (item,) = data_set.items
        return replace(
            facts,
            randao=await self._valid_randao(data_set),
            payee=self._sources.payees.get(item.pubkey),
            former_payee=self._sources.former_payee(item.pubkey),
            builder_api=self._sources.features.builder_api,
        )

    async def of_aggregates(self, data_set: UnsignedDataSet, facts: Facts) -> Facts | None:
        """What the cluster attests to in the slot; None while that is not known here."""
        voted = Duty(data_set.duty.slot, DutyType.ATTESTER)
        try:
            async with asyncio.timeout(self._wait_s):
                decided = await self._sources.decided.await_decided(voted)
        except TimeoutError:
            return None
        votes = {v.pubkey: v.data for v in decided.items if isinstance(v, UnsignedAttestation)}
        return replace(facts, votes=votes, proofs=await self._right_proofs(data_set))

    async def of_contributions(self, data_set: UnsignedDataSet, facts: Facts) -> Facts | None:
        """The heads that the cluster's members voted for; None while one is not known here."""
        duty = Duty(data_set.duty.slot, DutyType.SYNC_MESSAGE)
        keys = {(item.pubkey, 0) for item in data_set.items}
        signed = await self._sources.aggregated.collect(duty, sorted(keys), wait_s=self._wait_s)
        if len(signed) < len(keys):
            return None
        heads = heads_of(signed.values())
        return replace(facts, heads=heads, proofs=await self._right_proofs(data_set))

    async def left_out(self, data_set: UnsignedDataSet, definitions: DefinitionSet) -> int:
        """How many validators were drawn, as far as we know, and are not in the set."""
        selected = await self._selections.selected(definitions)
        if not self._sources.features.may_send(PLURAL_CONTRIBUTIONS):
            present = {item.pubkey for item in data_set.items}
            return len({pubkey for pubkey, _ in selected.drawn} - present)
        proposed = {(item.pubkey, item.sub_index) for item in data_set.items}
        return sum(key not in proposed for key in selected.drawn)

    async def _right_proofs(self, data_set: UnsignedDataSet) -> frozenset[ProofKey]:
        """Whose selection proof is the group's signature: ours, or one that verifies."""
        proven = Duty(data_set.duty.slot, PROVEN_BY[data_set.duty.type])
        stored = await self._sources.aggregated.signed_of(proven)
        right: set[ProofKey] = set()
        for item in data_set.items:
            if not isinstance(item, UnsignedAggregate | UnsignedContribution):
                continue
            key, proof = (item.pubkey, item.sub_index), item.message.selection_proof
            known = stored.get(key)
            payload: Payload = (
                SelectionPayload(slot=proven.slot)
                if isinstance(item, UnsignedAggregate)
                else SyncSelectionPayload(slot=proven.slot, subcommittee_index=item.sub_index)
            )
            if known is None:
                is_right = await self._verifies(item.pubkey, payload, proof)
            else:
                is_right = known.signature == proof
            if is_right:
                right.add(key)
        return frozenset(right)

    async def _valid_randao(self, data_set: UnsignedDataSet) -> bytes:
        """The one valid reveal, as far as the value's is it; empty when it is not."""
        (item,) = data_set.items
        if not isinstance(item, UnsignedProposal):
            return b""
        slot, reveal = data_set.duty.slot, item.proposal.randao_reveal
        found = await self._sources.aggregated.find(Duty(slot, DutyType.RANDAO), item.pubkey)
        if found is not None:
            return found.signature
        payload = RandaoPayload(epoch=self._chain.epoch_of(slot))
        return reveal if await self._verifies(item.pubkey, payload, reveal) else b""

    async def _verifies(self, pubkey: PubKey, payload: Payload, signature: bytes) -> bool:
        root = signing_root(payload, self._chain)
        return await self._compute.run(
            lambda: self._crypto.verifies(pubkey, root, signature), cost_ms=2
        )
