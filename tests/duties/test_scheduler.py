"""The schedule: epochs resolved ahead, duties started on time, and a beacon node that may fail."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.duties.duty_world import (
    CHAIN,
    RecordingLog,
    ScriptedBeaconNode,
    Validators,
    chain_of,
    recorded,
    sleep_until,
)

from tetrarch.duties.errors import DutyNotFound, DutyNotResolved, DutyTrimmed
from tetrarch.duties.scheduler import CORRECTIONS_MAX, EPOCHS_KEPT, Scheduler
from tetrarch.duties.types import (
    DeprecatedDutyBuilderProposer,
    Duty,
    DutyType,
    PubKey,
    SyncCommitteeDefinition,
)
from tetrarch.ethereum.beacon_node.errors import BeaconNodeUnreachable
from tetrarch.ethereum.beacon_node.ports import SyncDuty, ValidatorStatus
from tetrarch.ethereum.beacon_nodes.event_keys import Head, Reorg
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.values import Fork
from tetrarch.sim.loop import SimClock, simulate
from tetrarch.supervision import Supervisor

VALIDATORS = Validators(3)
FIRST, SECOND, THIRD = VALIDATORS.pubkeys
AWAY = BeaconNodeUnreachable("ask")
OLD, NEW = bytes(32), b"r" * 32  # on which an epoch's duties depend


class World:
    """One scheduler on virtual time, which starts at the beginning of a slot."""

    def __init__(
        self,
        tasks: Supervisor,
        *,
        start_slot: int,
        signs_by_itself: bool,
        chain: ChainSpec,
        attest_on_head: bool,
    ) -> None:
        self.clock = SimClock(asyncio.get_running_loop(), offset_s=12.0 * start_slot)
        self.node = ScriptedBeaconNode(VALIDATORS.pubkeys)
        self.log = RecordingLog()
        self.scheduler = Scheduler(
            beacon_node=self.node,  # type: ignore[arg-type]  # only what a scheduler calls
            chain=chain,
            clock=self.clock,
            pubkeys=VALIDATORS.pubkeys,
            signs_by_itself=signs_by_itself,
            spawner=tasks,
            log=self.log,
            attest_on_head=attest_on_head,
        )
        self.slots = recorded(self.scheduler.slots)
        self.resolved = recorded(self.scheduler.resolved)
        self.started: list[tuple[Duty, Any]] = []  # votes, blocks and reveals
        self.others: list[tuple[Duty, float]] = []
        self.scheduler.duties.subscribe(self._on_duty)
        self._tasks = tasks

    def start(self) -> None:
        self._tasks.spawn(self.scheduler.run(), name="scheduler")

    async def until(self, slot: float) -> None:
        """Sleep until ``slot`` by the wall clock."""
        await sleep_until(slot, self.clock)

    async def head(self, slot: int, *, previous: bytes = OLD, current: bytes = OLD) -> None:
        """The chain tells of a new head."""
        head = Head(slot=slot, previous_root=previous, current_root=current)
        await self.scheduler.head_seen(head)
        await asyncio.sleep(0.1)

    @property
    def duties(self) -> list[Duty]:
        return [duty for duty, _ in self.started]

    async def _on_duty(self, definition_set) -> None:
        duty = definition_set.duty
        after_s = self.clock.wall_s() - CHAIN.slot_start_s(duty.slot)
        first = (DutyType.ATTESTER, DutyType.PROPOSER, DutyType.RANDAO)
        (self.started if duty.type in first else self.others).append((duty, after_s))


def play(
    scenario: Callable[[World], Awaitable[None]],
    *,
    start_slot: int = 0,
    signs_by_itself: bool = True,
    chain: ChainSpec = CHAIN,
    attest_on_head: bool = True,
) -> None:
    async def main() -> None:
        async with Supervisor(RecordingLog()) as tasks:
            world = World(
                tasks,
                start_slot=start_slot,
                signs_by_itself=signs_by_itself,
                chain=chain,
                attest_on_head=attest_on_head,
            )
            await scenario(world)
            tasks.stop()

    simulate(main, seed="scheduler")


def attester(slot: int) -> Duty:
    return Duty(slot, DutyType.ATTESTER)


def proposer(slot: int) -> Duty:
    return Duty(slot, DutyType.PROPOSER)


def test_next_epoch_is_resolved_in_the_last_slot_even_without_duty() -> None:
    async def scenario(world: World) -> None:
        world.start()
        await world.until(6.9)
        assert world.resolved == [0]
        await world.until(7.1)
        assert world.resolved == [0, 1]
        await world.until(15.1)
        assert world.resolved == [0, 1, 2], "each epoch once"
        assert world.duties == []

    play(scenario)


def test_attesters_start_at_a_third_of_the_slot_and_proposers_at_once() -> None:
    async def scenario(world: World) -> None:
        world.node.attests(FIRST, 3)
        world.node.attests(SECOND, 3)
        world.node.proposes(THIRD, 3)
        world.start()
        await world.until(4)
        times = [(duty.type, round(after_s, 2)) for duty, after_s in world.started]
        assert times == [
            (DutyType.RANDAO, 0.0),
            (DutyType.PROPOSER, 0.0),
            (DutyType.ATTESTER, 4.0),
        ]
        found = await world.scheduler.get_duty_definition(attester(3))
        assert [each.pubkey for each in found.definitions] == [FIRST, SECOND]

    play(scenario)


def test_randao_waits_for_the_validator_client_where_one_signs() -> None:
    async def scenario(world: World) -> None:
        world.node.proposes(FIRST, 3)
        world.start()
        await world.until(4)
        assert world.duties == [proposer(3)]
        found = await world.scheduler.get_duty_definition(Duty(3, DutyType.RANDAO))
        assert [each.pubkey for each in found.definitions] == [FIRST], "but its query is answered"

    play(scenario, signs_by_itself=False)


@pytest.mark.parametrize("call", ["validators", "attester_duties", "proposer_duties"])
def test_failed_resolution_is_tried_again_in_the_next_slot(call: str) -> None:
    async def scenario(world: World) -> None:
        world.node.attests(FIRST, 2)
        world.node.failing[call] = AWAY
        world.start()
        await world.until(1.5)
        assert world.resolved == []
        with pytest.raises(DutyNotResolved):
            await world.scheduler.get_duty_definition(attester(2))
        world.node.failing.clear()
        await world.until(3)
        assert world.resolved == [0]
        assert world.duties == [attester(2)]

    play(scenario)


def test_failure_in_the_last_slot_is_made_up_for_in_the_first() -> None:
    async def scenario(world: World) -> None:
        world.node.attests(FIRST, 8)
        world.start()
        await world.until(6.5)
        world.node.failing["attester_duties"] = AWAY
        await world.until(7.5)
        world.node.failing.clear()
        await world.until(9)
        assert world.resolved == [0, 1]
        assert world.duties == [attester(8)]

    play(scenario)


def test_slow_resolution_starts_the_duty_late_rather_than_never() -> None:
    async def scenario(world: World) -> None:
        world.node.attests(FIRST, 0)
        world.node.delay_s = 5.0
        world.start()
        await world.until(2)
        assert world.duties == [attester(0)]

    play(scenario)


def test_unknown_and_inactive_validators_are_skipped_with_one_warning() -> None:
    async def scenario(world: World) -> None:
        del world.node.statuses[SECOND]
        world.node.statuses[THIRD] = ValidatorStatus.PENDING_QUEUED
        for pubkey in VALIDATORS.pubkeys:
            world.node.attests(pubkey, 1)
            world.node.proposes(pubkey, 2)
        world.node.proposers = [d for d in world.node.proposers if d.pubkey != SECOND]
        world.node.proposers.pop(0)  # one proposer per slot: the inactive one's
        world.start()
        await world.until(9)
        assert world.node.called("attester_duties")[0] == (0, (100,))
        assert world.duties == [attester(1)]
        found = await world.scheduler.get_duty_definition(attester(1))
        assert [each.pubkey for each in found.definitions] == [FIRST]
        assert [line["count"] for line in world.log.find("validators_skipped")] == [2]

    play(scenario)


def test_validator_that_becomes_active_has_duties_from_the_next_epoch() -> None:
    async def scenario(world: World) -> None:
        world.node.statuses = dict.fromkeys(VALIDATORS.pubkeys, ValidatorStatus.PENDING_QUEUED)
        world.node.attests(FIRST, 9)
        world.start()
        await world.until(5)
        assert world.resolved == [0]
        assert world.node.called("attester_duties") == []
        world.node.statuses[FIRST] = ValidatorStatus.ACTIVE_ONGOING
        await world.until(10)
        assert world.duties == [attester(9)]

    play(scenario)


def test_validator_attests_from_the_first_slot_of_its_activation_epoch_to_its_last() -> None:
    """What the head says in the epoch before must be enough: the epoch is resolved there."""

    async def scenario(world: World) -> None:
        world.node.statuses = {
            FIRST: ValidatorStatus.PENDING_QUEUED,
            SECOND: ValidatorStatus.ACTIVE_EXITING,
        }
        world.node.activations[FIRST] = 1
        world.node.exits[SECOND] = 2
        for slot in (7, 8, 16):
            world.node.attests(FIRST, slot)
            world.node.attests(SECOND, slot)
        world.start()
        await world.until(17)
        for slot, pubkeys in ((7, {SECOND}), (8, {FIRST, SECOND}), (16, {FIRST})):
            found = await world.scheduler.get_duty_definition(attester(slot))
            assert {each.pubkey for each in found.definitions} == pubkeys
        assert world.duties == [attester(7), attester(8), attester(16)]

    play(scenario)


def test_vote_starts_with_the_slots_block_where_that_comes_before_a_third() -> None:
    async def scenario(world: World) -> None:
        for slot in (9, 10, 11):
            world.node.attests(VALIDATORS.pubkeys[slot - 9], slot)
        world.start()
        await world.until(9.1)
        await world.head(9)
        await world.until(10.1)
        await world.head(9)  # again: it is not this slot's
        await world.until(12)
        assert world.started == [
            (attester(9), pytest.approx(1.2, abs=0.01)),
            (attester(10), pytest.approx(4, abs=0.01)),
            (attester(11), pytest.approx(4, abs=0.01)),
        ]

    play(scenario, start_slot=8)


@pytest.mark.parametrize("slot", [1, 8])
def test_vote_waits_for_a_third_in_an_epochs_first_slot_or_if_told_to(slot: int) -> None:
    async def scenario(world: World) -> None:
        world.node.attests(FIRST, slot)
        world.node.proposes(SECOND, slot)
        world.start()
        await world.until(slot + 0.05)
        await world.head(slot)
        await world.until(slot + 1)
        assert (attester(slot), pytest.approx(4, abs=0.01)) in world.started

    play(scenario, attest_on_head=slot == 8)


def test_head_before_its_epoch_is_resolved_starts_the_vote_once_it_is() -> None:
    async def scenario(world: World) -> None:
        world.node.attests(FIRST, 9)
        world.node.delay_s = 1.0
        world.start()
        await world.until(9)
        await world.head(9)
        await world.until(10)
        assert world.started == [(attester(9), pytest.approx(3, abs=0.3))]

    play(scenario, start_slot=9)


@pytest.mark.parametrize("told_by", ["head", "reorg"])
def test_reorganized_duties_are_corrected_and_each_starts_once(told_by: str) -> None:
    async def scenario(world: World) -> None:
        world.node.attests(FIRST, 10)
        world.node.attests(SECOND, 11)
        world.start()
        await world.until(10.1)
        world.node.attesters.clear()
        world.node.dependent_root = NEW
        world.node.attests(SECOND, 10)  # it moved to this slot
        world.node.attests(FIRST, 12)  # and this one away from it
        if told_by == "head":
            await world.head(10, previous=NEW)
        else:
            await world.scheduler.reorganized(Reorg(slot=10, ancestor_slot=7))
            await asyncio.sleep(0.1)
        found = await world.scheduler.get_duty_definition(attester(10))
        assert [each.pubkey for each in found.definitions] == [SECOND]
        await world.until(14)
        assert world.duties == [attester(10), attester(12)]
        assert world.resolved == [1, 1], "who prepares duties hears of the new ones"
        assert [line["epoch"] for line in world.log.find("duties_corrected")] == [1]

    play(scenario, start_slot=8)


def test_duty_that_a_reorg_brings_into_this_slot_starts_in_it() -> None:
    async def scenario(world: World) -> None:
        world.node.attests(FIRST, 12)
        world.start()
        await world.until(10.1)
        world.node.attesters.clear()
        world.node.dependent_root = NEW
        world.node.attests(FIRST, 10)
        world.node.proposes(SECOND, 10)
        await world.scheduler.reorganized(Reorg(slot=10, ancestor_slot=7))
        await world.until(11)
        assert set(world.duties) == {attester(10), proposer(10), Duty(10, DutyType.RANDAO)}

    play(scenario, start_slot=8)


def test_reorg_that_decided_no_duties_costs_no_question() -> None:
    async def scenario(world: World) -> None:
        world.node.attests(FIRST, 12)
        world.start()
        await world.until(10.1)
        world.node.calls.clear()
        await world.scheduler.reorganized(Reorg(slot=10, ancestor_slot=8))
        await world.head(10)
        await world.until(11)
        assert world.node.called("attester_duties") == []

    play(scenario, start_slot=8)


def test_beacon_node_that_names_ever_new_reorgs_is_asked_once_a_slot() -> None:
    async def scenario(world: World) -> None:
        world.node.attests(FIRST, 12)
        world.start()
        await world.until(10.1)
        world.node.calls.clear()
        for number in range(50):
            await world.scheduler.reorganized(Reorg(slot=10, ancestor_slot=7))
            await world.head(10, previous=bytes([number]) * 32)
        await world.until(10.9)
        assert len(world.node.called("attester_duties")) == 1
        await world.until(13)
        assert attester(12) in world.duties

    play(scenario, start_slot=8)


def test_root_that_the_beacon_node_never_agrees_with_is_given_up() -> None:
    async def scenario(world: World) -> None:
        world.node.attests(FIRST, 15)
        world.start()
        await world.until(9)
        world.node.calls.clear()
        for slot in range(9, 15):
            await world.until(slot + 0.2)
            await world.head(slot, previous=NEW)
        assert len(world.node.called("attester_duties")) == CORRECTIONS_MAX

    play(scenario, start_slot=8)


def test_correction_that_fails_is_tried_again_in_the_next_slot() -> None:
    async def scenario(world: World) -> None:
        world.node.attests(FIRST, 10)
        world.start()
        await world.until(9.1)
        world.node.failing["attester_duties"] = AWAY
        await world.head(9, previous=NEW)
        found = await world.scheduler.get_duty_definition(attester(10))
        assert found.definitions, "what was known serves until then"
        del world.node.failing["attester_duties"]
        world.node.attesters.clear()
        world.node.dependent_root = NEW
        world.node.attests(FIRST, 11)
        await world.until(12)
        assert world.duties == [attester(11)]

    play(scenario, start_slot=8)


def test_doubtful_epoch_is_asked_for_again_sync_committee_included() -> None:
    """A lone liar was believed: once others answer, what it left out has its duties."""

    async def scenario(world: World) -> None:
        statuses, world.node.statuses = world.node.statuses, {}
        world.node.attests(FIRST, 11)
        index = world.node.indices[SECOND]
        world.node.members = [SyncDuty(pubkey=SECOND, validator_index=index, positions=(3,))]
        world.start()
        await world.until(10.1)
        assert world.scheduler.sync_members_of(1) == ()
        world.node.statuses = statuses
        await world.scheduler.doubted(1)
        await world.until(12)
        assert world.duties == [attester(11)]
        assert Duty(11, DutyType.SYNC_MESSAGE) in [duty for duty, _ in world.others]
        assert Duty(12, DutyType.PREPARE_SYNC_CONTRIBUTION) in [duty for duty, _ in world.others]
        assert world.log.find("sync_committee_corrected")

    play(scenario, start_slot=8)


def test_sync_committee_asked_for_while_validators_were_unknown_is_asked_for_again() -> None:
    """Nobody doubts an answer that never was asked for: the question itself was too small."""

    async def scenario(world: World) -> None:
        statuses, world.node.statuses = world.node.statuses, {}
        index = world.node.indices[SECOND]
        world.node.members = [SyncDuty(pubkey=SECOND, validator_index=index, positions=(3,))]
        world.start()
        await world.until(22.1)
        assert world.scheduler.sync_members_of(3) == ()
        world.node.statuses = statuses
        await world.until(26)
        assert Duty(25, DutyType.SYNC_MESSAGE) in [duty for duty, _ in world.others]
        assert world.log.find("sync_committee_corrected")

    play(scenario, start_slot=8)


def test_node_that_wakes_late_jumps_to_the_slot_in_progress() -> None:
    async def scenario(world: World) -> None:
        world.start()
        await world.until(2.5)
        world.clock.offset_s += 12 * 10  # the host was asleep
        await world.until(14.1)
        assert world.slots == [0, 1, 2, 3, 13, 14]
        (told,) = world.log.find("slots_skipped")
        assert (told["slot"], told["count"]) == (3, 9)
        assert told["mend"]
        assert world.resolved == [0, 1], "slot 13 is in an epoch that nobody had resolved"

    play(scenario)


def test_clock_set_back_does_not_silence_the_node() -> None:
    async def scenario(world: World) -> None:
        world.start()
        await world.until(20.5)
        world.clock.offset_s -= 12 * 10
        await world.until(12.5)
        assert world.slots == [20, 11, 12]
        assert len(world.log.find("clock_set_back")) == 1

    play(scenario, start_slot=20)


def test_clock_set_back_by_many_epochs_does_not_silence_the_node() -> None:
    async def scenario(world: World) -> None:
        world.node.attests(FIRST, 12)
        world.start()
        await world.until(80.5)
        world.clock.offset_s -= 12 * 70
        await world.until(13)
        assert world.duties == [attester(12)]
        assert world.resolved == [10, 1]

    play(scenario, start_slot=80)


def test_before_genesis_nothing_ticks() -> None:
    async def scenario(world: World) -> None:
        world.start()
        await world.until(-0.5)
        assert world.slots == []
        await world.until(1.5)
        assert world.slots == [0, 1]

    play(scenario, start_slot=-3)


def test_queries_fail_by_what_the_caller_must_do() -> None:
    async def scenario(world: World) -> None:
        world.node.attests(FIRST, 81)
        scheduler = world.scheduler
        with pytest.raises(DutyNotResolved):
            await scheduler.get_duty_definition(attester(81))
        world.start()
        await world.until(81)
        assert (await scheduler.get_duty_definition(attester(81))).duty == attester(81)
        with pytest.raises(DutyNotFound):
            await scheduler.get_duty_definition(attester(82))
        with pytest.raises(DutyNotFound):
            await scheduler.get_duty_definition(Duty(81, DutyType.RANDAO))
        with pytest.raises(DutyNotResolved):
            await scheduler.get_duty_definition(attester(800))
        with pytest.raises(DutyTrimmed):
            await scheduler.get_duty_definition(attester(1))
        with pytest.raises(DeprecatedDutyBuilderProposer):
            await scheduler.get_duty_definition(Duty(81, DutyType.BUILDER_PROPOSER))

    play(scenario, start_slot=80)


def test_query_waits_for_the_resolution_that_is_under_way() -> None:
    async def scenario(world: World) -> None:
        world.node.attests(FIRST, 1)
        world.node.delay_s = 1.0
        world.start()
        await asyncio.sleep(0.5)
        found = await world.scheduler.get_duty_definition(attester(1))
        assert found.definitions[0].pubkey == FIRST

    play(scenario)


def test_only_the_latest_epochs_are_kept() -> None:
    async def scenario(world: World) -> None:
        for epoch in range(9):
            world.node.attests(FIRST, 8 * epoch)
        world.start()
        await world.until(8 * 6 + 1)
        kept = [epoch for epoch in range(9) if world.scheduler.definitions_of(epoch)]
        assert kept == [4, 5, 6]
        assert len(kept) == EPOCHS_KEPT

    play(scenario)


@pytest.mark.parametrize("start_slot", [8, 12, 15])
def test_started_node_also_knows_the_epoch_before_and_starts_none_of_its_duties(
    start_slot: int,
) -> None:
    async def scenario(world: World) -> None:
        world.node.attests(FIRST, 7)
        world.node.proposes(SECOND, 6)
        world.node.attests(FIRST, 15)
        world.start()
        await world.until(16.5)
        found = await world.scheduler.get_duty_definition(attester(7))
        assert [each.pubkey for each in found.definitions] == [FIRST]
        assert world.duties == [attester(15)]
        assert world.resolved == [1, 2], "nothing is to be prepared for what is over"
        assert sorted(world.node.called("attester_duties")) == [
            (epoch, (100, 101, 102)) for epoch in (0, 1, 2)
        ]
        assert world.node.called("attester_duties")[0][0] == 1, "the current one first"
        assert world.node.called("proposer_duties") == [(1,), (2,)]
        with pytest.raises(DutyNotFound):
            await world.scheduler.get_duty_definition(attester(6))
        for over in (proposer(6), Duty(6, DutyType.RANDAO)):
            with pytest.raises(DutyTrimmed):
                await world.scheduler.get_duty_definition(over)

    play(scenario, start_slot=start_slot)


class _TroubleWith:
    """The beacon node's attester duties, with trouble for those of one epoch."""

    def __init__(self, world: World, epoch: int, trouble: Callable[[], Awaitable[None]]) -> None:
        self._answer = world.node.attester_duties
        self._epoch = epoch
        self._trouble = trouble
        world.node.attester_duties = self  # type: ignore[method-assign,assignment]  # a bad node

    async def __call__(self, epoch: int, indices: tuple[int, ...]) -> object:
        if epoch == self._epoch:
            await self._trouble()
        return await self._answer(epoch, indices)


def test_epoch_before_that_cannot_be_resolved_is_tried_again_every_slot() -> None:
    async def scenario(world: World) -> None:
        async def away() -> None:
            if world.clock.wall_s() < CHAIN.slot_start_s(11):
                raise AWAY

        _TroubleWith(world, 0, away)
        world.node.attests(FIRST, 7)
        world.node.attests(SECOND, 10)
        world.start()
        await world.until(10.9)
        assert world.duties == [attester(10)]
        assert [line["epoch"] for line in world.log.find("epoch_not_resolved")] == [0, 0]
        with pytest.raises(DutyNotResolved):
            await world.scheduler.get_duty_definition(attester(7))
        await world.until(11.1)
        assert (await world.scheduler.get_duty_definition(attester(7))).duty == attester(7)
        assert world.resolved == [1]

    play(scenario, start_slot=9)


def test_slow_answer_about_the_epoch_before_delays_nothing() -> None:
    async def scenario(world: World) -> None:
        async def slow() -> None:
            await asyncio.sleep(30)

        _TroubleWith(world, 0, slow)
        world.node.attests(FIRST, 7)
        world.node.attests(FIRST, 9)
        world.node.attests(SECOND, 10)
        world.start()
        await world.until(9.1)
        query = asyncio.ensure_future(world.scheduler.get_duty_definition(attester(7)))
        await world.until(11)
        assert [(duty.slot, round(after_s, 2)) for duty, after_s in world.started] == [
            (9, 4.0),
            (10, 4.0),
        ]
        assert (await query).duty == attester(7), "who asks for it waits"

    play(scenario, start_slot=9)


def test_epoch_before_is_not_asked_for_while_the_current_one_is_unknown() -> None:
    async def scenario(world: World) -> None:
        world.node.failing["attester_duties"] = AWAY
        world.start()
        await world.until(10.9)
        assert {epoch for epoch, _ in world.node.called("attester_duties")} == {1}
        world.node.failing.clear()
        await world.until(11.5)
        assert [epoch for epoch, _ in world.node.called("attester_duties")][-2:] == [1, 0]

    play(scenario, start_slot=9)


def test_started_node_keeps_no_more_epochs_than_others() -> None:
    async def scenario(world: World) -> None:
        for epoch in range(5):
            world.node.attests(FIRST, 8 * epoch)
        world.start()

        def kept() -> list[int]:
            return [epoch for epoch in range(9) if world.scheduler.definitions_of(epoch)]

        await world.until(15.5)
        assert kept() == [0, 1, 2]
        await world.until(23.5)
        assert kept() == [1, 2, 3]
        with pytest.raises(DutyTrimmed):
            await world.scheduler.get_duty_definition(attester(0))

    play(scenario, start_slot=15)


def test_genesis_block_is_nobodys_duty() -> None:
    async def scenario(world: World) -> None:
        world.node.proposes(FIRST, 0)
        world.start()
        await world.until(1)
        assert world.duties == []

    play(scenario)


@pytest.mark.parametrize("answer", ["two proposers", "attests twice", "other key", "other epoch"])
def test_rubbish_from_the_beacon_node_is_not_believed_and_asked_for_again(answer: str) -> None:
    async def scenario(world: World) -> None:
        node = world.node
        match answer:
            case "two proposers":
                node.proposes(FIRST, 3)
                node.proposes(SECOND, 3)
            case "attests twice":
                node.attests(FIRST, 3)
                node.attests(FIRST, 3, committee_index=1)
            case "other key":
                node.attests(FIRST, 3, validator_index=node.indices[SECOND])
            case _:
                node.attests(FIRST, 3)
                duties = node.attester_duties

                async def shifted(epoch, indices):
                    del epoch
                    return await duties(0, indices)

                node.attester_duties = shifted  # type: ignore[method-assign]  # a lying node
                world.clock.offset_s += 12 * 8
        world.start()
        first = 8 if answer == "other epoch" else 0
        await world.until(first + 2.5)
        assert world.resolved == []
        assert len(world.log.find("epoch_not_resolved")) == 3, "once in each slot"
        node.attesters.clear()
        node.proposers.clear()
        await world.until(first + 4)
        assert world.resolved == [first // 8]

    play(scenario)


def test_foreign_proposers_are_left_out() -> None:
    async def scenario(world: World) -> None:
        (foreign,) = set(Validators(4).pubkeys) - set(VALIDATORS.pubkeys)
        world.node.proposes(foreign, 3)
        world.node.proposes(FIRST, 4)
        world.start()
        await world.until(5)
        assert proposer(3) not in world.duties
        assert proposer(4) in world.duties

    play(scenario)


# --- aggregators and the sync committee ---------------------------------------------------------


def member(pubkey: PubKey, *positions: int) -> SyncDuty:
    return SyncDuty(
        pubkey=pubkey,
        validator_index=100 + VALIDATORS.pubkeys.index(pubkey),
        positions=positions,
    )


def of_type(world: World, duty_type: DutyType) -> list[tuple[int, float]]:
    return [
        (duty.slot, round(after_s / 12, 2))
        for duty, after_s in world.others
        if duty.type is duty_type
    ]


@pytest.mark.parametrize("signs_by_itself", [True, False])
def test_aggregators_start_at_two_thirds_and_their_proofs_slots_ahead(
    signs_by_itself: bool,
) -> None:
    async def scenario(world: World) -> None:
        world.node.attests(FIRST, 5)
        world.start()
        await world.until(6)
        assert of_type(world, DutyType.AGGREGATOR) == [(5, 0.67)]
        proofs = [(5, -2.5)] if signs_by_itself else []
        assert of_type(world, DutyType.PREPARE_AGGREGATOR) == proofs

    play(scenario, signs_by_itself=signs_by_itself)


def test_proofs_for_the_slots_after_a_start_are_made_at_once() -> None:
    async def scenario(world: World) -> None:
        for pubkey, slot in zip(VALIDATORS.pubkeys, (4, 5, 6), strict=True):
            world.node.attests(pubkey, slot)
        world.start()
        await world.until(7)
        starts = of_type(world, DutyType.PREPARE_AGGREGATOR)
        assert starts == [(4, 0.0), (5, -1.0), (6, -2.0)]

    play(scenario, start_slot=4)


def test_proofs_of_the_next_epoch_are_made_once_it_is_resolved() -> None:
    async def scenario(world: World) -> None:
        world.node.attests(FIRST, 8)
        world.node.attests(SECOND, 10)
        world.start()
        await world.until(10)
        assert of_type(world, DutyType.PREPARE_AGGREGATOR) == [(8, -1.0), (10, -2.5)]

    play(scenario)


@pytest.mark.parametrize("signs_by_itself", [True, False])
def test_sync_committee_members_have_duties_in_every_slot(signs_by_itself: bool) -> None:
    async def scenario(world: World) -> None:
        world.node.members.append(member(SECOND, 3, 17))
        world.start()
        await world.until(7.3)
        contributions = [(slot, 0.67) for slot in range(4, 7)]
        assert of_type(world, DutyType.SYNC_CONTRIBUTION) == contributions
        messages = [(slot, 0.33) for slot in range(4, 7)] if signs_by_itself else []
        assert of_type(world, DutyType.SYNC_MESSAGE) == messages
        if signs_by_itself:
            proofs = of_type(world, DutyType.PREPARE_SYNC_CONTRIBUTION)
            assert [slot for slot, _ in proofs] == list(range(4, 10)), "across the epoch's edge"
        found = await world.scheduler.get_duty_definition(Duty(6, DutyType.SYNC_CONTRIBUTION))
        (definition,) = found.definitions
        assert isinstance(definition, SyncCommitteeDefinition)
        assert (definition.pubkey, definition.slot, definition.positions) == (SECOND, 6, (3, 17))

    play(scenario, start_slot=4, signs_by_itself=signs_by_itself)


def test_last_slot_of_an_epoch_belongs_to_the_next_committee() -> None:
    async def scenario(world: World) -> None:
        world.node.members.append(member(FIRST, 1))
        world.start()
        await world.until(0.2)
        world.node.members[:] = []  # asked later: not in it any more
        await world.until(8.2)
        assert {epoch for epoch, _ in world.node.called("sync_duties")} == {0, 1, 2}
        with pytest.raises(DutyNotFound):
            await world.scheduler.get_duty_definition(Duty(15, DutyType.SYNC_MESSAGE))
        found = await world.scheduler.get_duty_definition(Duty(14, DutyType.SYNC_MESSAGE))
        assert len(found.definitions) == 1

    play(scenario)


def test_sync_committee_that_cannot_be_asked_for_holds_up_nothing() -> None:
    async def scenario(world: World) -> None:
        world.node.attests(FIRST, 1)
        world.node.members.append(member(FIRST, 1))
        world.node.failing["sync_duties"] = AWAY
        world.start()
        await world.until(2.9)
        assert attester(1) in world.duties
        assert of_type(world, DutyType.SYNC_MESSAGE) == []
        with pytest.raises(DutyNotResolved):
            await world.scheduler.get_duty_definition(Duty(2, DutyType.SYNC_MESSAGE))
        del world.node.failing["sync_duties"]
        await world.until(4)
        assert of_type(world, DutyType.SYNC_MESSAGE) == [(3, 0.33)]

    play(scenario)


@pytest.mark.parametrize("wrong", ["foreign", "twice", "another key"])
def test_impossible_sync_committee_is_not_believed(wrong: str) -> None:
    async def scenario(world: World) -> None:
        right = member(FIRST, 1)
        world.node.members += {
            "foreign": [replace(right, validator_index=102)],
            "twice": [right, right],
            "another key": [replace(right, pubkey=SECOND)],
        }[wrong]
        world.start()
        await world.until(0.5)
        assert len(world.log.find("sync_committee_not_resolved")) == 2, "this epoch's and the next"
        assert of_type(world, DutyType.SYNC_CONTRIBUTION) == []

    play(scenario)


def test_before_altair_there_is_no_sync_committee() -> None:
    async def scenario(world: World) -> None:
        world.node.members.append(member(FIRST, 1))
        world.start()
        await world.until(1)
        assert world.node.called("sync_duties") == []
        with pytest.raises(DutyNotFound):
            await world.scheduler.get_duty_definition(Duty(0, DutyType.SYNC_MESSAGE))

    play(scenario, chain=chain_of(Fork.PHASE0))
