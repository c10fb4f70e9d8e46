"""Scheduler: finds out which validators have duties, and starts each duty on time.

Slots tick by the wall clock. An epoch is resolved in the last slot of the one before it (and
at once when that was missed); a failed resolution is tried again every slot. Validators that
the beacon node does not know, or that are not active at its head, are skipped.

A node that has just started also resolves the epoch before, after the current one: attestations
live for an epoch, so peers may still vote on some of them, and a validator client still asks for
them. None of its duties is started, and its proposals are over: the beacon node is not asked.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tetrarch.clock import Clock
from tetrarch.duties.errors import DutyNotFound, DutyNotResolved, DutyTrimmed
from tetrarch.duties.ports import Spawner
from tetrarch.duties.timing import start_s
from tetrarch.duties.types import (
    AttesterDefinition,
    DefinitionSet,
    Duty,
    DutyDefinition,
    DutyType,
    ProposerDefinition,
    PubKey,
    refuse_deprecated,
)
from tetrarch.errors import TetrarchError, Transient
from tetrarch.ethereum.beacon_node.errors import BeaconNodeAnswerInvalid
from tetrarch.ethereum.beacon_node.ports import BeaconNode, ProposerDuty
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.observability.logs import Log
from tetrarch.output import Output

EPOCHS_KEPT = 3
GENESIS_SLOT = 0  # its block is the genesis block: nobody proposes it
_SAME_AS = {DutyType.RANDAO: DutyType.PROPOSER}  # a reveal is due wherever a block is


@dataclass(frozen=True, slots=True)
class _Epoch:
    """One resolved epoch: its duties. Of an epoch that was over there are no proposals."""

    definitions: dict[Duty, tuple[DutyDefinition, ...]] = field(default_factory=dict)
    has_proposals: bool = True


class Scheduler:
    """Outputs: ``slots`` (every slot, at its start), ``duties`` (each duty, at its offset),
    ``resolved`` (each epoch once its duties are known, but for one that is over).

    With ``signs_by_itself`` a RANDAO duty starts with each proposal; otherwise the validator
    client's request starts it.
    """

    def __init__(
        self,
        *,
        beacon_node: BeaconNode,
        chain: ChainSpec,
        clock: Clock,
        pubkeys: Sequence[PubKey],
        signs_by_itself: bool,
        spawner: Spawner,
        log: Log,
    ) -> None:
        self.slots = Output[int]("slots")
        self.duties = Output[DefinitionSet]("duties")
        self.resolved = Output[int]("resolved")
        self._beacon_node = beacon_node
        self._chain = chain
        self._clock = clock
        self._pubkeys = tuple(sorted(pubkeys))
        self._signs_by_itself = signs_by_itself
        self._spawner = spawner
        self._log = log
        self._epochs: dict[int, _Epoch] = {}
        self._resolving = asyncio.Lock()
        self._validators: dict[int, PubKey] = {}
        self._skipped: frozenset[PubKey] = frozenset()

    async def run(self) -> None:
        """Tick until cancelled. A node that wakes late jumps to the slot in progress."""
        slot = max(self._chain.slot_at(self._clock.wall_s()), 0)
        while True:
            slot = await self._start_of(slot)
            self._spawner.spawn(self._tick(slot), name=f"slot-{slot}")
            following = slot + 1
            current = self._chain.slot_at(self._clock.wall_s())
            if current > following:
                self._log.warning("slots_skipped", slot=slot, count=current - following)
            slot = max(following, current)

    async def get_duty_definition(self, duty: Duty) -> DefinitionSet:
        """The definitions of ``duty``. Waits while its epoch is being resolved.

        Raises:
            DutyNotResolved: the epoch is not resolved (yet).
            DutyTrimmed: it is too long ago: older than what is kept, or than what is resolved.
            DutyNotFound: no validator of the cluster has this duty.
        """
        refuse_deprecated(duty)
        epoch = self._chain.epoch_of(duty.slot)
        if epoch not in self._epochs:
            if epoch < self._epoch_now() - 1:
                raise DutyTrimmed("look up duty", duty=duty)
            async with self._resolving:  # whoever resolves now may resolve this epoch
                pass
        found = self._epochs.get(epoch)
        if found is None:
            raise DutyNotResolved("look up duty", duty=duty)
        key = Duty(duty.slot, _SAME_AS.get(duty.type, duty.type))
        definitions = found.definitions.get(key)
        if not definitions and key.type is DutyType.PROPOSER and not found.has_proposals:
            raise DutyTrimmed("look up duty", duty=duty)
        if not definitions:
            raise DutyNotFound("look up duty", duty=duty)
        return DefinitionSet(duty=duty, definitions=definitions)

    def pubkey_of(self, validator_index: int) -> PubKey | None:
        """The cluster's validator with that index, as far as it was ever resolved."""
        return self._validators.get(validator_index)

    def definitions_of(self, epoch: int) -> tuple[DutyDefinition, ...]:
        """All definitions of a resolved epoch, in order of duty."""
        found = self._epochs.get(epoch, _Epoch())
        return tuple(each for _, group in sorted(found.definitions.items()) for each in group)

    @property
    def validators(self) -> Mapping[int, PubKey]:
        """The cluster's validators by index, as far as they were ever resolved."""
        return self._validators

    def _epoch_now(self) -> int:
        return self._chain.epoch_of(max(self._chain.slot_at(self._clock.wall_s()), 0))

    async def _start_of(self, slot: int) -> int:
        """Sleep until ``slot`` starts. Another slot, when the clock was set back meanwhile."""
        while (ahead_s := self._chain.slot_start_s(slot) - self._clock.wall_s()) > 0:
            current = max(self._chain.slot_at(self._clock.wall_s()), 0)
            if current + 1 < slot:
                self._log.warning("clock_set_back", slot=current, expected_slot=slot)
                slot = current
            else:
                await asyncio.sleep(min(ahead_s, self._chain.slot_duration_ms / 1000))
        return slot

    async def _tick(self, slot: int) -> None:
        await self.slots.emit(slot)
        epoch = self._chain.epoch_of(slot)
        await self._resolve(epoch)
        for duty in self._duties_in(slot):
            self._spawner.spawn(self._start(duty), name=f"start-{duty}")
        if self._chain.epoch_of(slot + 1) != epoch:
            await self._resolve(epoch + 1)
        if epoch > 0 and epoch in self._epochs:  # last of all: it must hold up nothing
            await self._resolve(epoch - 1, is_over=True)

    def _duties_in(self, slot: int) -> list[Duty]:
        found = self._epochs.get(self._chain.epoch_of(slot))
        if found is None:
            return []
        duties = [duty for duty in found.definitions if duty.slot == slot]
        if self._signs_by_itself and Duty(slot, DutyType.PROPOSER) in found.definitions:
            duties.append(Duty(slot, DutyType.RANDAO))
        return sorted(duties, key=lambda duty: (start_s(duty, self._chain), -duty.type))

    async def _start(self, duty: Duty) -> None:
        await self._sleep_until(start_s(duty, self._chain))
        try:
            definition_set = await self.get_duty_definition(duty)
        except Transient as error:
            self._log.warning("duty_not_started", duty=str(duty), reason=str(error))
            return
        await self.duties.emit(definition_set)

    async def _sleep_until(self, wall_s: float) -> None:
        # The wall clock may be set while we sleep, so look again until it is time.
        while (remaining_s := wall_s - self._clock.wall_s()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(remaining_s, self._chain.slot_duration_ms / 1000))

    async def _resolve(self, epoch: int, *, is_over: bool = False) -> None:
        if epoch in self._epochs:
            return
        async with self._resolving:
            if epoch in self._epochs:
                return
            try:
                self._epochs[epoch] = await self._fetch_epoch(epoch, with_proposals=not is_over)
            except (Transient, BeaconNodeAnswerInvalid) as error:
                self._log.warning("epoch_not_resolved", epoch=epoch, reason=str(error))
                return
            except TetrarchError as error:
                self._log.error("epoch_not_resolved", epoch=epoch, reason=str(error))
                return
        for old in [known for known in self._epochs if known <= epoch - EPOCHS_KEPT]:
            del self._epochs[old]
        if not is_over:
            await self.resolved.emit(epoch)

    async def _fetch_epoch(self, epoch: int, *, with_proposals: bool) -> _Epoch:
        records = await self._beacon_node.validators(self._pubkeys)
        active = {
            record.index: PubKey(record.pubkey) for record in records if record.status.is_active
        }
        self._note_skipped(active)
        self._validators.update({record.index: PubKey(record.pubkey) for record in records})
        if not active:
            return _Epoch()
        indices = tuple(sorted(active))
        attesters = await self._beacon_node.attester_duties(epoch, indices)
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
        return _Epoch(
            {
                duty: tuple(sorted(items, key=lambda item: item.pubkey))
                for duty, items in definitions.items()
            },
            has_proposals=with_proposals,
        )

    def _check(
        self, active: dict[int, PubKey], index: int, pubkey: bytes, slot: int, epoch: int
    ) -> None:
        if active.get(index) != pubkey or self._chain.epoch_of(slot) != epoch:
            raise BeaconNodeAnswerInvalid("resolve duties", validator_index=index, slot=slot)

    def _note_skipped(self, active: dict[int, PubKey]) -> None:
        skipped = frozenset(self._pubkeys) - frozenset(active.values())
        if skipped != self._skipped:
            self._log.warning(
                "validators_skipped", count=len(skipped), reason="unknown or not active at head"
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
