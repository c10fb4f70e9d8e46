"""Scheduler: starts each duty on time.

Slots tick by the wall clock. An epoch is resolved in the last slot of the one before it (and
at once when that was missed); a failed resolution is tried again every slot (see
``epoch_duties``). When the chain was reorganized, epochs whose duties may be others now are
resolved again, once a slot at most. The sync committee is resolved an epoch ahead: its last
message of a period is the next committee's, and its selection proofs are made some slots before
they are needed.

A node that has just started also resolves the epoch before, after the current one: attestations
live for an epoch, so peers may still vote on some of them, and a validator client still asks for
them. None of its duties is started, and its proposals are over: the beacon node is not asked.
"""

import asyncio
from collections.abc import Mapping, Sequence

from tetrarch.clock import Clock
from tetrarch.duties.epoch_duties import SYNC_TYPES, EpochDuties, EpochResolver, sync_definitions
from tetrarch.duties.errors import DutyNotFound, DutyNotResolved, DutyTrimmed, DutyUnavailable
from tetrarch.duties.head_start import HeadStart
from tetrarch.duties.ports import Spawner
from tetrarch.duties.timing import PREPARED_SLOTS_AHEAD, start_s
from tetrarch.duties.types import (
    DefinitionSet,
    Duty,
    DutyDefinition,
    DutyType,
    PubKey,
    refuse_deprecated,
)
from tetrarch.errors import TetrarchError, Transient
from tetrarch.ethereum.beacon_node.errors import BeaconNodeAnswerInvalid
from tetrarch.ethereum.beacon_node.ports import BeaconNode, SyncDuty
from tetrarch.ethereum.beacon_nodes.event_keys import Head, Reorg
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.values import Fork
from tetrarch.observability.logs import Log
from tetrarch.output import Output

EPOCHS_KEPT = 3
SKIPPED_MEND = "keep the host awake, and give the node more processor time"
CLOCK_MEND = "set the clock by NTP that slews instead of stepping"
CORRECTIONS_MAX = 3  # of one epoch, for one root that a head names
CORRECTIONS_KEPT = 16
# What begins in a duty's own slot. What a validator client begins (reveals, selection proofs,
# votes for a head) starts here only where the node signs by itself.
STARTED_TYPES = (DutyType.ATTESTER, DutyType.PROPOSER, DutyType.AGGREGATOR)
STARTED_BY_SIGNER_TYPES = (DutyType.RANDAO,)
STARTED_SYNC_TYPES = (DutyType.SYNC_CONTRIBUTION,)
STARTED_SYNC_BY_SIGNER_TYPES = (DutyType.SYNC_MESSAGE,)
_PROPOSER_TYPES = frozenset({DutyType.PROPOSER, DutyType.RANDAO})


class Scheduler:
    """Inputs: ``head_seen``, ``reorganized``, ``doubted``. Outputs: ``slots`` (every slot, at its
    start), ``duties`` (each duty, at its offset), ``resolved`` (each epoch when its duties are
    known, or are others now, but for one that is over), ``sync_resolved`` (each epoch when its
    sync committee is known, or is another).

    The cluster's own INFO_SYNC starts with the last slot of each epoch, and has no definitions.
    With ``signs_by_itself`` randao reveals, selection proofs and sync messages start here, too.
    """

    def __init__(  # noqa: PLR0913 - a composition of ports
        self,
        *,
        beacon_node: BeaconNode,
        chain: ChainSpec,
        clock: Clock,
        pubkeys: Sequence[PubKey],
        signs_by_itself: bool,
        spawner: Spawner,
        log: Log,
        attest_on_head: bool = False,
    ) -> None:
        self.slots = Output[int]("slots")
        self.duties = Output[DefinitionSet]("duties")
        self.resolved = Output[int]("resolved")
        self.sync_resolved = Output[int]("sync_resolved")
        self._resolver = EpochResolver(
            beacon_node=beacon_node, chain=chain, pubkeys=pubkeys, log=log
        )
        self._chain = chain
        self._clock = clock
        self._signs_by_itself = signs_by_itself
        self._spawner = spawner
        self._log = log
        self._epochs: dict[int, EpochDuties] = {}
        self._sync: dict[int, tuple[SyncDuty, ...]] = {}  # the committee's members by epoch
        self._sync_asked: dict[int, frozenset[int]] = {}  # of which validators, by index
        self._resolving = asyncio.Lock()
        self._prepared_to = -1  # the last slot whose selection proofs were started
        self._head_start = HeadStart(chain=chain, enabled=attest_on_head)
        self._stale: dict[int, str] = {}  # epochs whose duties may be others now, and why
        self._tries: dict[tuple[int, bytes], int] = {}  # corrections, by epoch and root
        self._corrected_in = -1  # slot
        self._started: dict[Duty, None] = {}  # of this slot and the one before

    async def run(self) -> None:
        """Tick until cancelled. A node that wakes late jumps to the slot in progress."""
        slot = max(self._chain.slot_at(self._clock.wall_s()), 0)
        while True:
            slot = await self._start_of(slot)
            self._spawner.spawn(self._tick(slot), name=f"slot-{slot}")
            following = slot + 1
            current = self._chain.slot_at(self._clock.wall_s())
            if current > following:
                self._log.warning(
                    "slots_skipped", slot=slot, count=current - following, mend=SKIPPED_MEND
                )
            slot = max(following, current)

    async def head_seen(self, head: Head) -> None:
        """The chain has a new head: votes of its slot may begin, and duties may be others now."""
        slot_now = self._chain.slot_at(self._clock.wall_s())
        self._head_start.note(head.slot, slot_now=slot_now)
        epoch = self._chain.epoch_of(head.slot)
        for of_epoch, root in ((epoch, head.previous_root), (epoch + 1, head.current_root)):
            known = self._epochs.get(of_epoch)
            if known is not None and known.dependent_root not in (None, root):
                # A beacon node may be behind the head, or mean another block for good.
                tries = self._tries.get((of_epoch, root), 0)
                if tries < CORRECTIONS_MAX:
                    self._tries[of_epoch, root] = tries + 1
                    self._stale[of_epoch] = "head"
        while len(self._tries) > CORRECTIONS_KEPT:
            del self._tries[next(iter(self._tries))]
        self._correct_soon(slot_now)

    async def doubted(self, epoch: int) -> None:
        """What the beacon nodes said of ``epoch`` was one node's word: ask again."""
        self._stale[epoch] = "doubted"
        self._correct_soon(self._chain.slot_at(self._clock.wall_s()))

    async def reorganized(self, reorg: Reorg) -> None:
        """Blocks were replaced: duties that they decided may be others now."""
        for epoch in self._epochs:
            if reorg.ancestor_slot < self._chain.first_slot(epoch):  # the last say is a proposer's
                self._stale[epoch] = "reorg"
        self._correct_soon(self._chain.slot_at(self._clock.wall_s()))

    async def get_duty_definition(self, duty: Duty) -> DefinitionSet:
        """The definitions of ``duty``. Waits while its epoch is being resolved.

        Raises:
            DutyNotResolved: the epoch is not resolved (yet).
            DutyTrimmed: it is too long ago: older than what is kept, or than what is resolved.
            DutyNotFound: no validator of the cluster has this duty.
        """
        refuse_deprecated(duty)
        if self._known(duty) is None:
            if self._chain.epoch_of(duty.slot) < self._epoch_now() - 1:
                raise DutyTrimmed("look up duty", duty=duty)
            async with self._resolving:  # whoever resolves now may resolve this epoch
                pass
        definitions = self._known(duty)
        if definitions is None:
            raise DutyNotResolved("look up duty", duty=duty)
        if not definitions and self._is_over(duty):
            raise DutyTrimmed("look up duty", duty=duty)
        if not definitions:
            raise DutyNotFound("look up duty", duty=duty)
        return DefinitionSet(duty=duty, definitions=definitions)

    def pubkey_of(self, validator_index: int) -> PubKey | None:
        """The cluster's validator with that index, as far as it was ever resolved."""
        return self._resolver.validators.get(validator_index)

    def attests(self, slot: int) -> bool:
        """Whether one of the cluster's validators attests in ``slot``, as far as is resolved."""
        return bool(self._known(Duty(slot, DutyType.ATTESTER)))

    def definitions_of(self, epoch: int) -> tuple[DutyDefinition, ...]:
        """All definitions of a resolved epoch, in order of duty."""
        found = self._epochs.get(epoch, EpochDuties())
        return tuple(each for _, group in sorted(found.definitions.items()) for each in group)

    def sync_members_of(self, epoch: int) -> tuple[SyncDuty, ...]:
        """The cluster's members of the sync committee of a resolved epoch."""
        return self._sync.get(epoch, ())

    @property
    def validators(self) -> Mapping[int, PubKey]:
        """The cluster's validators by index, as far as they were ever resolved."""
        return self._resolver.validators

    @property
    def _indices(self) -> frozenset[int]:
        return frozenset(self._resolver.validators)

    def _known(self, duty: Duty) -> tuple[DutyDefinition, ...] | None:
        """What is resolved of ``duty``; None where its epoch is not."""
        if duty.type in SYNC_TYPES:
            if not self._chain.fork_at_slot(duty.slot).at_least(Fork.ALTAIR):
                return ()
            # Who signs in a slot is in the committee of the slot after it.
            members = self._sync.get(self._chain.epoch_of(duty.slot + 1))
            return None if members is None else sync_definitions(members, duty.slot)
        found = self._epochs.get(self._chain.epoch_of(duty.slot))
        return None if found is None else found.of(duty)

    def _is_over(self, duty: Duty) -> bool:
        """Whether there may be definitions, and nobody asked for them: it was too late."""
        found = self._epochs.get(self._chain.epoch_of(duty.slot))
        return found is not None and not found.has_proposals and duty.type in _PROPOSER_TYPES

    def _epoch_now(self) -> int:
        return self._chain.epoch_of(max(self._chain.slot_at(self._clock.wall_s()), 0))

    async def _start_of(self, slot: int) -> int:
        """Sleep until ``slot`` starts. Another slot, when the clock was set back meanwhile."""
        while (ahead_s := self._chain.slot_start_s(slot) - self._clock.wall_s()) > 0:
            current = max(self._chain.slot_at(self._clock.wall_s()), 0)
            if current + 1 < slot:
                self._log.warning(
                    "clock_set_back", slot=current, expected_slot=slot, mend=CLOCK_MEND
                )
                slot = current
            else:
                await asyncio.sleep(min(ahead_s, self._chain.slot_duration_ms / 1000))
        return slot

    async def _tick(self, slot: int) -> None:
        await self.slots.emit(slot)
        epoch = self._chain.epoch_of(slot)
        if self._chain.epoch_of(slot + 1) != epoch:  # needs nothing of the beacon node
            syncing = DefinitionSet(duty=Duty(slot, DutyType.INFO_SYNC), definitions=())
            self._spawner.spawn(self.duties.emit(syncing), name=f"start-{syncing.duty}")
        await self._resolve(epoch)
        self._start_all(slot, self._types_started)
        await self._resolve_sync(epoch)
        await self._resolve_sync(epoch + 1)
        self._start_all(slot, self._sync_types_started)
        await self._correct(slot)
        if self._chain.epoch_of(slot + 1) != epoch:
            await self._resolve(epoch + 1)
        if self._signs_by_itself:
            self._prepare(slot)
        if epoch > 0 and epoch in self._epochs:  # last of all: it must hold up nothing
            await self._resolve(epoch - 1, is_over=True)

    def _start_all(self, slot: int, types: tuple[DutyType, ...]) -> None:
        """Start the duties of ``slot``, each at its time."""
        duties = [duty for duty in (Duty(slot, each) for each in types) if self._known(duty)]
        for duty in sorted(duties, key=lambda duty: (start_s(duty, self._chain), -duty.type)):
            if duty not in self._started:  # a corrected epoch's duties come here again
                self._started[duty] = None
                self._spawner.spawn(self._start(duty), name=f"start-{duty}")
        for old in [duty for duty in self._started if duty.slot < slot - 1]:
            del self._started[old]

    def _prepare(self, slot: int) -> None:
        """Start selection proofs of the slots ahead, as far as these are resolved."""
        last = slot + PREPARED_SLOTS_AHEAD
        for ahead in range(max(self._prepared_to + 1, slot), last + 1):
            duties = [
                Duty(ahead, DutyType.PREPARE_AGGREGATOR),
                Duty(ahead, DutyType.PREPARE_SYNC_CONTRIBUTION),
            ]
            if any(self._known(duty) is None for duty in duties):
                return  # again in the next slot
            self._prepared_to = ahead
            for duty in duties:
                if self._known(duty):
                    self._spawner.spawn(self._start(duty), name=f"start-{duty}")

    async def _start(self, duty: Duty) -> None:
        await self._sleep_until_start(duty)
        try:
            definition_set = await self.get_duty_definition(duty)
        except (DutyUnavailable, Transient) as error:
            self._log.warning(
                "duty_not_started", duty=str(duty), reason=str(error), code=error.code
            )
            return
        await self.duties.emit(definition_set)

    async def _sleep_until_start(self, duty: Duty) -> None:
        # The wall clock may be set while we sleep, so look again until it is time.
        wall_s = start_s(duty, self._chain)
        while (remaining_s := wall_s - self._clock.wall_s()) > 0:
            wait_s = min(remaining_s, self._chain.slot_duration_ms / 1000)
            if await self._head_start.wait(duty, wait_s):
                return

    def _correct_soon(self, slot: int) -> None:
        """Now, or in the next slot when there was a correction in this one already."""
        if self._stale and self._corrected_in != slot:
            self._corrected_in = slot
            self._spawner.spawn(self._correct(slot), name=f"correct-{slot}")

    async def _correct(self, slot: int) -> None:
        """Resolve again what may be otherwise now, and start what this slot has in addition."""
        if not self._stale:
            return
        self._corrected_in = slot
        stale, self._stale = self._stale, {}
        now = self._chain.epoch_of(slot)
        # What is next first: this epoch, the one that comes, the one that is over.
        for epoch, cause in sorted(stale.items(), key=lambda each: (each[0] < now, each[0])):
            known, members = self._epochs.get(epoch), self._sync.get(epoch)
            if known is not None:
                await self._correct_duties(epoch, known, cause=cause)
            if members is not None:
                await self._correct_sync(epoch, members, cause=cause)
            self._start_all(slot, self._types_started + self._sync_types_started)
            if self._signs_by_itself:
                self._prepare(slot)

    async def _correct_duties(self, epoch: int, known: EpochDuties, *, cause: str) -> None:
        async with self._resolving:
            found = await self._ask(epoch, is_over=not known.has_proposals)
            if found is None:
                self._stale[epoch] = cause  # again in the next slot
                return
            self._epochs[epoch] = found
        if found.definitions == known.definitions:
            return
        self._log.warning("duties_corrected", epoch=epoch, cause=cause)
        self._prepared_to = min(self._prepared_to, self._corrected_in)
        if known.has_proposals:
            await self.resolved.emit(epoch)

    async def _correct_sync(self, epoch: int, known: tuple[SyncDuty, ...], *, cause: str) -> None:
        async with self._resolving:
            found = await self._ask_sync(epoch)
            if found is None:
                self._stale[epoch] = cause
                return
            self._sync[epoch] = found
        if set(found) == set(known):
            return
        self._log.warning("sync_committee_corrected", epoch=epoch, cause=cause)
        self._prepared_to = min(self._prepared_to, self._corrected_in)
        await self.sync_resolved.emit(epoch)

    @property
    def _types_started(self) -> tuple[DutyType, ...]:
        return STARTED_TYPES + (STARTED_BY_SIGNER_TYPES if self._signs_by_itself else ())

    @property
    def _sync_types_started(self) -> tuple[DutyType, ...]:
        by_signer = STARTED_SYNC_BY_SIGNER_TYPES if self._signs_by_itself else ()
        return by_signer + STARTED_SYNC_TYPES

    async def _resolve(self, epoch: int, *, is_over: bool = False) -> None:
        if epoch in self._epochs:
            return
        async with self._resolving:
            if epoch in self._epochs:
                return
            found = await self._ask(epoch, is_over=is_over)
            if found is None:
                return
            self._epochs[epoch] = found
        for old in [known for known in self._epochs if known <= epoch - EPOCHS_KEPT]:
            del self._epochs[old]
        if not is_over:
            await self.resolved.emit(epoch)

    async def _ask(self, epoch: int, *, is_over: bool) -> EpochDuties | None:
        try:
            return await self._resolver.duties(epoch, with_proposals=not is_over)
        except (Transient, BeaconNodeAnswerInvalid) as error:
            self._log.warning("epoch_not_resolved", epoch=epoch, reason=str(error), code=error.code)
        except TetrarchError as error:
            self._log.error("epoch_not_resolved", epoch=epoch, reason=str(error), code=error.code)
        return None

    async def _resolve_sync(self, epoch: int) -> None:
        """Apart from the rest: what is wrong with it must hold up neither votes nor blocks."""
        if epoch in self._sync or not self._epochs:
            if self._sync_asked.get(epoch, self._indices) != self._indices:
                self._stale.setdefault(epoch, "validators")  # not all were known when it was asked
            return
        if not self._chain.forks.at(epoch).fork.at_least(Fork.ALTAIR):
            return
        async with self._resolving:
            if epoch in self._sync:
                return
            members = await self._ask_sync(epoch)
            if members is None:
                return
            self._sync[epoch] = members
        for old in [known for known in self._sync if known <= epoch - EPOCHS_KEPT - 1]:
            del self._sync[old], self._sync_asked[old]
        await self.sync_resolved.emit(epoch)

    async def _ask_sync(self, epoch: int) -> tuple[SyncDuty, ...] | None:
        asked = self._indices
        try:
            members = await self._resolver.sync_members(epoch)
        except TetrarchError as error:
            self._log.warning(
                "sync_committee_not_resolved", epoch=epoch, reason=str(error), code=error.code
            )
            return None
        self._sync_asked[epoch] = asked
        return members
