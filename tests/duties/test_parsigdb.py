"""Partial signatures: what is kept, sent on, combined, refused, and what a crash leaves."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.duties.duty_world import (
    CHAIN,
    GENESIS_S,
    FixedClock,
    RecordingLog,
    Validators,
    database,
    spoilt,
)

from tetrarch.duties.deadline import Deadlines
from tetrarch.duties.parsigdb import LASTING_MAX, Equivocation, ParSigDB, Status
from tetrarch.duties.types import (
    Duty,
    DutyType,
    ExitPayload,
    MatchedSet,
    PartialSet,
    PartialSignature,
    ShareIndex,
    SignedData,
    SignedDataSet,
)
from tetrarch.errors import InvariantBroken, OperatorError, TetrarchError
from tetrarch.ethereum.spec.messages import VoluntaryExit
from tetrarch.storage.errors import StorageFull

VALIDATORS = Validators(2)
SLOT = 9
DUTY = Duty(SLOT, DutyType.ATTESTER)


class World:
    """One ParSigDB with its outputs recorded."""

    def __init__(self, storage: Any = None) -> None:
        self.clock = FixedClock(GENESIS_S + 12 * SLOT + 4)
        self.log = RecordingLog()
        self.storage = storage or database()
        deadlines = Deadlines(chain=CHAIN, clock=self.clock)
        self.db = ParSigDB(
            storage=self.storage,
            threshold=3,
            clock=self.clock,
            is_open=deadlines.is_open,
            log=self.log,
        )
        self.out: dict[str, list[Any]] = {}
        for name in ("internal_stored", "threshold_reached", "needed", "late", "accepted"):
            getattr(self.db, name).subscribe(self._recorder(name))

    def _recorder(self, name: str) -> Callable[[Any], Awaitable[None]]:
        async def record(value: Any) -> None:
            self.out.setdefault(name, []).append(value)

        return record

    async def step(self) -> None:
        await self.db.broadcast_once()
        await self.db.store_once()
        await self.db.aggregate_once()

    async def statuses(self) -> list[int]:
        rows = await self.storage.read(
            lambda c: c.execute("SELECT status FROM parsigdb ORDER BY id").fetchall()
        )
        return [row[0] for row in rows]


def signed(matched: MatchedSet) -> SignedDataSet:
    return SignedDataSet(
        duty=matched.duty,
        items=tuple(
            SignedData(pubkey=m.pubkey, payload=m.payload, signature=bytes(96))
            for m in matched.matches
        ),
    )


def run(scenario: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario(World())

    asyncio.run(main())


def test_own_partials_are_sent_once_and_marked() -> None:
    async def scenario(world: World) -> None:
        await world.db.store_internal(VALIDATORS.partials(1))
        assert await world.statuses() == [Status.INTERNAL] * 2
        await world.step()
        await world.step()
        assert world.out["internal_stored"] == [VALIDATORS.partials(1)]
        assert await world.statuses() == [Status.BROADCASTED] * 2

    run(scenario)


def test_threshold_is_emitted_once_for_all_validators_together() -> None:
    async def scenario(world: World) -> None:
        for share in (1, 2):
            await world.db.store_external(VALIDATORS.partials(share))
            await world.step()
        assert "threshold_reached" not in world.out
        await world.db.store_external(VALIDATORS.partials(4))
        await world.step()
        await world.step()
        (matched,) = world.out["threshold_reached"]
        assert [m.pubkey for m in matched.matches] == list(VALIDATORS.pubkeys)
        assert [share for share, _ in matched.matches[0].signatures] == [1, 2, 4]

    run(scenario)


def test_partial_after_the_threshold_is_late_even_before_the_group_signature() -> None:
    async def scenario(world: World) -> None:
        for share in (1, 2, 3, 4):
            await world.db.store_external(VALIDATORS.partials(share))
        assert [len(each.partials) for each in world.out["needed"]] == [2, 2, 2]
        assert world.out["accepted"] == world.out["needed"]
        await world.db.store_once()
        assert [late.partials for late in world.out["late"]] == [VALIDATORS.partials(4).partials]
        await world.db.aggregate_once()
        (matched,) = world.out["threshold_reached"]
        shares = [share for share, _ in matched.matches[0].signatures]
        assert shares == [1, 2, 3, 4], "one of the first may prove to be false"

    run(scenario)


def test_partial_is_not_done_on_disk_before_the_group_signature_is() -> None:
    """Else a crash in between would lose the group signature for good."""

    async def scenario(world: World) -> None:
        for share in (1, 2, 3):
            await world.db.store_external(VALIDATORS.partials(share))
        await world.db.aggregate_once()
        (matched,) = world.out["threshold_reached"]
        await world.db.note_aggregated(signed(matched))
        await world.db.store_external(VALIDATORS.partials(4))
        await world.db.store_once()
        assert await world.statuses() == [Status.BROADCASTED] * 8
        false = replace(VALIDATORS.partials(1), partials=VALIDATORS.partials(1).partials[:1])
        await world.db.reject(false)
        await world.db.aggregate_once()
        assert len(world.out["threshold_reached"]) == 1, "it is made, if not yet durable"
        await world.db.mark_aggregated(signed(matched))
        found = await world.statuses()
        assert found.count(Status.AGGREGATED) == 7
        assert found.count(Status.EXPIRED) == 1

    run(scenario)


def test_own_partials_that_are_not_needed_are_not_prepared() -> None:
    async def scenario(world: World) -> None:
        for share in (2, 3, 4):
            await world.db.store_external(VALIDATORS.partials(share))
        await world.db.store_internal(VALIDATORS.partials(1))
        assert len(world.out["needed"]) == 3
        assert world.out["accepted"][-1] == VALIDATORS.partials(1), "we did take part"

    run(scenario)


def test_partials_over_different_roots_do_not_add_up() -> None:
    async def scenario(world: World) -> None:
        await world.db.store_external(VALIDATORS.partials(1))
        await world.db.store_external(VALIDATORS.partials(2))
        await world.db.store_external(VALIDATORS.partials(3, head=b"x" * 32))
        await world.step()
        assert "threshold_reached" not in world.out

    run(scenario)


def test_late_partial_is_stored_and_verified_but_never_aggregated_again() -> None:
    async def scenario(world: World) -> None:
        for share in (1, 2, 3):
            await world.db.store_external(VALIDATORS.partials(share))
        await world.step()
        (matched,) = world.out["threshold_reached"]
        await world.db.mark_aggregated(signed(matched))
        await world.db.store_external(VALIDATORS.partials(4))
        await world.step()
        assert len(world.out["threshold_reached"]) == 1
        assert world.out["late"][0].partials == VALIDATORS.partials(4).partials
        assert len(await world.statuses()) == 8

    run(scenario)


def test_own_conflicting_partial_is_refused_and_not_sent() -> None:
    async def scenario(world: World) -> None:
        await world.db.store_internal(VALIDATORS.partials(1))
        with pytest.raises(Equivocation):
            await world.db.store_internal(VALIDATORS.partials(1, head=b"x" * 32))
        await world.step()
        assert world.out["internal_stored"] == [VALIDATORS.partials(1)]

    run(scenario)


def test_peers_second_partial_does_not_replace_its_first() -> None:
    async def scenario(world: World) -> None:
        await world.db.store_external(VALIDATORS.partials(2))
        await world.db.store_external(VALIDATORS.partials(2, head=b"x" * 32))
        await world.db.store_external(VALIDATORS.partials(1))
        await world.db.store_external(VALIDATORS.partials(3))
        await world.step()
        assert len(world.out["threshold_reached"]) == 1

    run(scenario)


def test_rejected_partials_are_replaced_by_others() -> None:
    async def scenario(world: World) -> None:
        false = spoilt(VALIDATORS.partials(3), VALIDATORS.partials(4))
        for partial_set in (VALIDATORS.partials(1), VALIDATORS.partials(2), false):
            await world.db.store_external(partial_set)
        await world.step()
        await world.db.reject(false)
        await world.step()
        assert len(world.out["threshold_reached"]) == 1, "two right partials are not enough"
        await world.db.store_external(VALIDATORS.partials(4))
        await world.step()
        second = world.out["threshold_reached"][1]
        assert [share for share, _ in second.matches[0].signatures] == [1, 2, 4]
        assert (await world.statuses()).count(Status.EXPIRED) == 2

    run(scenario)


def test_nothing_is_taken_after_the_deadline_and_the_rest_expires() -> None:
    async def scenario(world: World) -> None:
        await world.db.store_external(VALIDATORS.partials(1))
        await world.step()
        world.clock.now_s += 12 * 9
        await world.db.store_external(VALIDATORS.partials(2))
        await world.db.expire(DUTY)
        assert await world.statuses() == [Status.EXPIRED] * 2
        assert world.db.open_duties() == ()

    run(scenario)


@pytest.mark.parametrize("after_commit", [False, True])
def test_crash_loses_nothing_that_was_acknowledged(after_commit: bool) -> None:
    async def main() -> None:
        before = World()
        await before.db.store_internal(VALIDATORS.partials(1))
        for share in (2, 3):
            await before.db.store_external(VALIDATORS.partials(share))
        await before.db.store_once()
        before.storage.crash(after_commit=after_commit)

        after = World(before.storage.reopen())
        await after.db.load()
        await after.step()
        assert after.out["internal_stored"] == [VALIDATORS.partials(1)], "not sent before: now"
        assert len(after.out["threshold_reached"]) == 1

    asyncio.run(main())


def test_restart_does_not_aggregate_again() -> None:
    async def main() -> None:
        before = World()
        for share in (1, 2, 3):
            await before.db.store_external(VALIDATORS.partials(share))
        await before.step()
        await before.db.mark_aggregated(signed(before.out["threshold_reached"][0]))
        before.storage.crash()

        after = World(before.storage.reopen())
        await after.db.load()
        await after.step()
        assert "threshold_reached" not in after.out

    asyncio.run(main())


def test_full_disk_refuses_own_partials_until_there_is_room() -> None:
    async def scenario(world: World) -> None:
        world.storage.full = True
        with pytest.raises(StorageFull):
            await world.db.store_internal(VALIDATORS.partials(1))
        await world.step()
        assert "internal_stored" not in world.out
        world.storage.full = False
        await world.db.store_internal(VALIDATORS.partials(1))
        await world.step()
        assert world.out["internal_stored"] == [VALIDATORS.partials(1)]

    run(scenario)


def test_every_index_of_the_seed_exists() -> None:
    async def scenario(world: World) -> None:
        rows = await world.storage.read(
            lambda c: c.execute(
                "SELECT name FROM sqlite_master WHERE type = 'index' AND name NOT LIKE 'sqlite_%'"
            ).fetchall()
        )
        assert {row[0] for row in rows} >= {
            "parsigdb_unique",
            "parsigdb_status",
            "dutydb_unique",
            "dutydb_committee",
            "dutydb_one_proposer",
        }

    run(scenario)


# --- what goes wrong around it -----------------------------------------------------------------

OTHER_DUTY = Duty(10, DutyType.ATTESTER)


class Refusal(TetrarchError):
    """What AggSigDB says to a different object under a known key."""


def fail_on(world: World, duty: Duty, *errors: Exception) -> None:
    """Let the aggregation of ``duty`` fail with ``errors``, one after the other."""
    waiting = list(errors)

    async def fail(matched: MatchedSet) -> None:
        if matched.duty == duty and waiting:
            raise waiting.pop(0)

    world.db.threshold_reached.subscribe(fail)


async def reach_threshold(world: World, slot: int) -> None:
    for share in (2, 3, 4):
        await world.db.store_external(VALIDATORS.partials(share, slot))


def test_duty_whose_aggregation_fails_holds_up_no_other_and_is_tried_again() -> None:
    async def scenario(world: World) -> None:
        world.clock.now_s += 12
        fail_on(world, DUTY, StorageFull("write"))
        await reach_threshold(world, SLOT)
        await reach_threshold(world, 10)
        await world.step()
        assert [m.duty for m in world.out["threshold_reached"]] == [DUTY, OTHER_DUTY]
        await world.step()
        assert [m.duty for m in world.out["threshold_reached"]][2:] == [DUTY]

    run(scenario)


def test_aggregation_that_cannot_succeed_is_logged_and_left() -> None:
    async def scenario(world: World) -> None:
        fail_on(world, DUTY, Refusal("store group signature"))
        await reach_threshold(world, SLOT)
        await world.step()
        await world.step()
        assert len(world.out["threshold_reached"]) == 1

    run(scenario)


@pytest.mark.parametrize("error", [InvariantBroken("two is two"), OperatorError("write disk")])
def test_broken_invariant_and_broken_disk_come_out_of_the_worker(error: Any) -> None:
    async def scenario(world: World) -> None:
        fail_on(world, DUTY, error)
        await reach_threshold(world, SLOT)
        with pytest.raises(type(error)):
            async with asyncio.timeout(5):
                await world.db.run_aggregator()

    run(scenario)


def test_workers_go_on_after_a_full_disk() -> None:
    async def main() -> None:
        world = World()
        await world.db.store_external(VALIDATORS.partials(2))
        world.storage.full = True
        async with asyncio.TaskGroup() as tasks:
            storer = tasks.create_task(world.db.run_storer())
            while not world.log.find("worker_step_failed"):  # noqa: ASYNC110 - it is polled
                await asyncio.sleep(0.01)
            assert await world.statuses() == []
            world.storage.full = False
            await world.db.store_external(VALIDATORS.partials(3))
            while len(await world.statuses()) < 4:  # noqa: ASYNC110 - the timeout ends a hang
                await asyncio.sleep(0.01)
            storer.cancel()

    asyncio.run(main())


def test_marks_that_found_no_room_are_made_later() -> None:
    async def scenario(world: World) -> None:
        await reach_threshold(world, SLOT)
        await world.step()
        world.storage.full = True
        await world.db.mark_aggregated(signed(world.out["threshold_reached"][0]))
        world.storage.full = False
        await world.db.store_once()
        assert await world.statuses() == [Status.AGGREGATED] * 6
        world.storage.crash()
        after = World(world.storage.reopen())
        await after.db.load()
        await after.step()
        assert "threshold_reached" not in after.out

    run(scenario)


def test_sent_partials_are_not_sent_again_because_the_disk_is_full() -> None:
    async def scenario(world: World) -> None:
        await world.db.store_internal(VALIDATORS.partials(1))
        world.storage.full = True
        for _ in range(3):
            with pytest.raises(StorageFull):
                await world.db.broadcast_once()
        assert len(world.out["internal_stored"]) == 1
        world.storage.full = False
        await world.db.store_once()
        assert await world.statuses() == [Status.BROADCASTED] * 2

    run(scenario)


def test_full_disk_lets_neither_rejects_nor_deadlines_stop_the_node() -> None:
    async def scenario(world: World) -> None:
        false = spoilt(VALIDATORS.partials(3), VALIDATORS.partials(4))
        await world.db.store_external(false)
        world.storage.full = True
        await world.db.reject(false)
        await world.db.expire(DUTY)
        assert world.db.open_duties() == ()

    run(scenario)


def test_false_partial_that_was_not_written_yet_is_written_as_expired() -> None:
    async def scenario(world: World) -> None:
        false = spoilt(VALIDATORS.partials(3), VALIDATORS.partials(4))
        world.storage.full = True
        await world.db.store_external(false)
        await world.db.reject(false)
        world.storage.full = False
        await world.db.store_once()
        assert await world.statuses() == [Status.EXPIRED] * 2

    run(scenario)


def test_late_partial_is_stored_as_what_came_after_the_group_signature() -> None:
    async def scenario(world: World) -> None:
        for share in (1, 2, 3):
            await world.db.store_external(VALIDATORS.partials(share))
        await world.step()
        await world.db.mark_aggregated(signed(world.out["threshold_reached"][0]))
        await world.db.store_external(VALIDATORS.partials(4))
        await world.step()
        assert await world.statuses() == [Status.AGGREGATED] * 8

    run(scenario)


def test_partial_that_comes_during_the_aggregation_is_verified_after_it() -> None:
    async def scenario(world: World) -> None:
        for share in (1, 2, 3):
            await world.db.store_external(VALIDATORS.partials(share))
        await world.step()
        await world.db.store_external(VALIDATORS.partials(4))
        await world.step()
        assert "late" not in world.out, "the group signature goes first"
        assert len(world.out["accepted"]) == 3, "nothing is counted unverified"
        await world.db.mark_aggregated(signed(world.out["threshold_reached"][0]))
        await world.step()
        assert world.out["late"][0].partials == VALIDATORS.partials(4).partials
        assert len(world.out["threshold_reached"]) == 1

    run(scenario)


def test_partial_that_came_during_a_failed_aggregation_helps_the_next() -> None:
    async def scenario(world: World) -> None:
        false = spoilt(VALIDATORS.partials(3), VALIDATORS.partials(4))
        for partial_set in (VALIDATORS.partials(1), VALIDATORS.partials(2), false):
            await world.db.store_external(partial_set)
        await world.step()
        await world.db.store_external(VALIDATORS.partials(4))
        await world.db.reject(false)
        await world.step()
        second = world.out["threshold_reached"][1]
        assert [share for share, _ in second.matches[0].signatures] == [1, 2, 4]

    run(scenario)


def test_conflict_of_one_validator_takes_nothing_of_the_others() -> None:
    async def scenario(world: World) -> None:
        first = VALIDATORS.partials(1)
        await world.db.store_internal(replace(first, partials=first.partials[:1]))
        with pytest.raises(Equivocation):
            await world.db.store_internal(VALIDATORS.partials(1, head=b"x" * 32))
        assert not world.db.has_signed(DUTY, (VALIDATORS.pubkeys[1], 0), ShareIndex(1))
        await world.db.store_internal(first)
        assert await world.statuses() == [Status.INTERNAL] * 2

    run(scenario)


def test_same_own_partials_from_two_callers_are_durable_for_both() -> None:
    async def scenario(world: World) -> None:
        world.storage.full = True
        calls = [world.db.store_internal(VALIDATORS.partials(1)) for _ in range(2)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(outcome, StorageFull) for outcome in outcomes)
        world.storage.full = False
        await asyncio.gather(*(world.db.store_internal(VALIDATORS.partials(1)) for _ in range(2)))
        await world.step()
        assert world.out["internal_stored"] == [VALIDATORS.partials(1)]

    run(scenario)


def test_partials_that_wait_for_room_are_dropped_when_their_duty_ends() -> None:
    async def scenario(world: World) -> None:
        world.storage.full = True
        await world.db.store_external(VALIDATORS.partials(2))
        await world.db.expire(DUTY)
        world.storage.full = False
        await world.db.store_once()
        assert await world.statuses() == []
        assert not world.db._disk._to_store

    run(scenario)


def exit_of(epoch: int, share: int) -> PartialSet:
    """One share's wish to let the first validator leave; of made-up bytes."""
    payload = ExitPayload(message=VoluntaryExit(epoch=epoch, validator_index=100))
    partial = PartialSignature(
        pubkey=VALIDATORS.pubkeys[0],
        share_index=ShareIndex(share),
        payload=payload,
        signature=bytes([share, epoch]) * 48,
    )
    return PartialSet(duty=Duty(8 * epoch, DutyType.EXIT), partials=(partial,))


def test_share_keeps_its_newest_few_exits_for_a_validator() -> None:
    """An exit never ends: without this bound a lying peer could fill the memory."""

    async def scenario(world: World) -> None:
        world.clock.now_s = CHAIN.slot_start_s(8 * 50)
        await world.db.store_external(exit_of(2, 3))
        for epoch in range(40):
            await world.db.store_external(exit_of(epoch, 2))
        await world.db.store_once()
        kept = [Duty(8 * epoch, DutyType.EXIT) for epoch in range(40 - LASTING_MAX, 40)]
        by_liar = [d for d in world.db.open_duties() if world.db.own_partials(d, ShareIndex(2))]
        assert by_liar == kept
        honest = Duty(16, DutyType.EXIT)
        assert world.db.own_partials(honest, ShareIndex(3)) == exit_of(2, 3)
        await world.db.store_external(exit_of(39, 1))
        await world.db.store_external(exit_of(39, 4))
        await world.db.aggregate_once()
        assert [m.duty for m in world.out["threshold_reached"]] == [kept[-1]]

    run(scenario)
