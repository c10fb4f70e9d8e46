"""Resolution: asks the beacon node which of the cluster's validators have which duties in an epoch.

Validators that it does not know, or that are not active in that epoch, are skipped; one that
becomes active in it has its first duties there. Only the sync committee keeps its members until
its end, also those that have left meanwhile.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tetrarch.duties.types import (
    AttesterDefinition,
    Duty,
    DutyDefinition,
    DutyType,
    ProposerDefinition,
    PubKey,
    SyncCommitteeDefinition,
)
from tetrarch.ethereum.beacon_node.errors import BeaconNodeAnswerInvalid
from tetrarch.ethereum.beacon_node.ports import BeaconNode, ProposerDuty, SyncDuty
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.observability.logs import Log

GENESIS_SLOT = 0  # its block is the genesis block: nobody proposes it
# Whose definitions a duty has: who attests may aggregate, a reveal is due wherever a block is.
DEFINED_BY = {
    DutyType.ATTESTER: DutyType.ATTESTER,
    DutyType.PREPARE_AGGREGATOR: DutyType.ATTESTER,
    DutyType.AGGREGATOR: DutyType.ATTESTER,
    DutyType.PROPOSER: DutyType.PROPOSER,
    DutyType.RANDAO: DutyType.PROPOSER,
}
SYNC_TYPES = frozenset(
    {DutyType.SYNC_MESSAGE, DutyType.PREPARE_SYNC_CONTRIBUTION, DutyType.SYNC_CONTRIBUTION}
)


@dataclass(frozen=True, slots=True)
class EpochDuties:
    """One resolved epoch: its duties. Of an epoch that was over there are no proposals."""

    definitions: dict[Duty, tuple[DutyDefinition, ...]] = field(default_factory=dict)
    has_proposals: bool = True
    dependent_root: bytes | None = None  # the block that decided who attests; None: nobody does

    def of(self, duty: Duty) -> tuple[DutyDefinition, ...]:
        """The definitions of ``duty``, which is no sync committee's; none: it is nobody's."""
        kind = DEFINED_BY.get(duty.type)
        return () if kind is None else self.definitions.get(Duty(duty.slot, kind), ())


def sync_definitions(members: Sequence[SyncDuty], slot: int) -> tuple[SyncCommitteeDefinition, ...]:
    """What the sync committee's ``members`` have to do in ``slot``, by public key."""
    definitions = (
        SyncCommitteeDefinition(
            pubkey=PubKey(member.pubkey),
            slot=slot,
            validator_index=member.validator_index,
            positions=member.positions,
        )
        for member in members
    )
    return tuple(sorted(definitions, key=lambda each: each.pubkey))


class EpochResolver:
    """Resolves epochs, and remembers which validator has which index."""

    def __init__(
        self, *, beacon_node: BeaconNode, chain: ChainSpec, pubkeys: Sequence[PubKey], log: Log
    ) -> None:
        self._beacon_node = beacon_node
        self._chain = chain
        self._pubkeys = tuple(sorted(pubkeys))
        self._log = log
        self._validators: dict[int, PubKey] = {}
        self._skipped: frozenset[PubKey] = frozenset()

    @property
    def validators(self) -> Mapping[int, PubKey]:
        """The cluster's validators by index, as far as they were ever resolved."""
        return self._validators

    async def duties(self, epoch: int, *, with_proposals: bool) -> EpochDuties:
        """Who attests and proposes in ``epoch``.

        Raises:
            BeaconNodeAnswerInvalid: it cannot be so.
            Transient: the beacon node is away.
        """
        records = await self._beacon_node.validators(self._pubkeys)
        active = {
            record.index: PubKey(record.pubkey) for record in records if record.is_active_in(epoch)
        }
        self._note_skipped(active)
        self._validators.update({record.index: PubKey(record.pubkey) for record in records})
        if not active:
            return EpochDuties()
        attesters = await self._beacon_node.attester_duties(epoch, tuple(sorted(active)))
        proposers: tuple[ProposerDuty, ...] = ()
        if with_proposals:
            proposers = (await self._beacon_node.proposer_duties(epoch)).duties
        definitions: dict[Duty, list[DutyDefinition]] = {}
        for attester in attesters.duties:
            self._check(active, attester.validator_index, attester.pubkey, attester.slot, epoch)
            definitions.setdefault(Duty(attester.slot, DutyType.ATTESTER), []).append(
                AttesterDefinition(
                    pubkey=PubKey(attester.pubkey),
                    slot=attester.slot,
                    validator_index=attester.validator_index,
                    committee_index=attester.committee_index,
                    committee_length=attester.committee_length,
                    committees_at_slot=attester.committees_at_slot,
                    validator_committee_index=attester.validator_committee_index,
                )
            )
        for proposer in proposers:
            if proposer.validator_index not in active or proposer.slot == GENESIS_SLOT:
                continue
            self._check(active, proposer.validator_index, proposer.pubkey, proposer.slot, epoch)
            definitions.setdefault(Duty(proposer.slot, DutyType.PROPOSER), []).append(
                ProposerDefinition(
                    pubkey=PubKey(proposer.pubkey),
                    slot=proposer.slot,
                    validator_index=proposer.validator_index,
                )
            )
        _check_unique(definitions)
        return EpochDuties(
            {
                duty: tuple(sorted(items, key=lambda item: item.pubkey))
                for duty, items in definitions.items()
            },
            has_proposals=with_proposals,
            dependent_root=attesters.dependent_root,
        )

    async def sync_members(self, epoch: int) -> tuple[SyncDuty, ...]:
        """Who is in the sync committee of ``epoch``. Ask after ``duties``, which learns indices.

        Raises: as ``duties``.
        """
        if not self._validators:
            return ()
        answer = await self._beacon_node.sync_duties(epoch, tuple(sorted(self._validators)))
        seen: set[int] = set()
        for member in answer.duties:
            index = member.validator_index
            if self._validators.get(index) != member.pubkey or index in seen:
                raise BeaconNodeAnswerInvalid("resolve duties", validator_index=index, epoch=epoch)
            seen.add(index)
        return answer.duties

    def _check(
        self, active: dict[int, PubKey], index: int, pubkey: bytes, slot: int, epoch: int
    ) -> None:
        if active.get(index) != pubkey or self._chain.epoch_of(slot) != epoch:
            raise BeaconNodeAnswerInvalid("resolve duties", validator_index=index, slot=slot)

    def _note_skipped(self, active: dict[int, PubKey]) -> None:
        skipped = frozenset(self._pubkeys) - frozenset(active.values())
        if skipped != self._skipped:
            self._log.warning(
                "validators_skipped", count=len(skipped), reason="unknown or not active"
            )
            self._skipped = skipped


def _check_unique(definitions: dict[Duty, list[DutyDefinition]]) -> None:
    """A slot has one proposer, and a validator attests once in an epoch."""
    attesters: set[PubKey] = set()
    for duty, items in definitions.items():
        if duty.type is DutyType.PROPOSER and len(items) > 1:
            raise BeaconNodeAnswerInvalid("resolve duties", slot=duty.slot, reason="two proposers")
        for item in items if duty.type is DutyType.ATTESTER else ():
            if item.pubkey in attesters:
                raise BeaconNodeAnswerInvalid(
                    "resolve duties", slot=duty.slot, reason="a validator attests twice"
                )
            attesters.add(item.pubkey)
