"""Decided data: durable before it is signed, unique, and there for whoever waits."""

import asyncio
from dataclasses import replace

import pytest
from tests.duties.duty_world import CHAIN, Validators, attestation_data, database
from tests.duties.other_duties import (
    aggregate,
    aggregates,
    contribution,
    contribution_and_proof,
    contributions,
)

from tetrarch.duties.dutydb import RECENT_MAX, ClashingData, DutyDB
from tetrarch.duties.errors import DutyNotFound
from tetrarch.duties.slashing import GroupHistory, SlashableData
from tetrarch.duties.types import Duty, DutyType, UnsignedContribution, UnsignedDataSet
from tetrarch.ethereum.spec.values import Checkpoint
from tetrarch.storage.errors import StorageFull
from tetrarch.storage.inline import InlineDatabase

VALIDATORS = Validators(3)
DUTY = Duty(9, DutyType.ATTESTER)


def duty_db(storage: InlineDatabase) -> DutyDB:
    history = GroupHistory(storage=storage, chain=CHAIN)
    return DutyDB(storage=storage, preset="minimal", guard=history.guard)


def test_same_set_may_be_stored_again() -> None:
    async def main() -> None:
        db = duty_db(database())
        await db.store(VALIDATORS.unsigned())
        await db.store(VALIDATORS.unsigned())
        assert await db.decided(DUTY) == VALIDATORS.unsigned()

    asyncio.run(main())


def test_second_value_for_a_duty_is_refused_even_after_a_restart() -> None:
    async def main() -> None:
        storage = database()
        await duty_db(storage).store(VALIDATORS.unsigned())
        storage.crash()
        again = duty_db(storage.reopen())
        with pytest.raises((ClashingData, SlashableData)):
            await again.store(VALIDATORS.unsigned(head=b"x" * 32))
        assert await again.decided(DUTY) == VALIDATORS.unsigned()

    asyncio.run(main())


def test_unique_index_alone_refuses_a_second_value() -> None:
    async def main() -> None:
        db = DutyDB(storage=database(), preset="minimal")
        await db.store(VALIDATORS.unsigned())
        with pytest.raises(ClashingData):
            await db.store(VALIDATORS.unsigned(head=b"x" * 32))

    asyncio.run(main())


def test_surrounding_vote_is_refused_and_nothing_of_the_set_stored() -> None:
    async def main() -> None:
        db = duty_db(database())
        inner = replace(attestation_data(33), source=Checkpoint(epoch=3, root=b"s" * 32))
        items = VALIDATORS.unsigned(33).items
        first = UnsignedDataSet(
            duty=Duty(33, DutyType.ATTESTER),
            items=(replace(items[0], data=inner),),  # type: ignore[arg-type]  # an attestation
        )
        await db.store(first)
        around = VALIDATORS.unsigned(41)  # source 0, target 5: around source 3, target 4
        with pytest.raises(SlashableData):
            await db.store(around)
        assert await db.decided(around.duty) is None

    asyncio.run(main())


def test_waiting_query_wakes_when_the_data_comes() -> None:
    async def main() -> None:
        db = duty_db(database())
        waiting = asyncio.ensure_future(db.await_attestation(9, 0))
        await asyncio.sleep(0)
        assert not waiting.done()
        await db.store(VALIDATORS.unsigned())
        assert await waiting == attestation_data(9)

    asyncio.run(main())


def test_caller_that_gives_up_leaves_nothing_behind() -> None:
    async def main() -> None:
        db = duty_db(database())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await db.await_attestation(9, 0)
        assert db._waiters.keys == ()

    asyncio.run(main())


def test_validator_is_found_by_its_place_in_the_committee() -> None:
    async def main() -> None:
        db = duty_db(database())
        await db.store(VALIDATORS.unsigned())
        for number in range(3):
            place = VALIDATORS.definition(number)
            found = await db.pub_key_by_attestation(
                9, place.committee_index, place.validator_committee_index
            )
            assert found == VALIDATORS.pubkeys[number]
        with pytest.raises(DutyNotFound):
            await db.pub_key_by_attestation(9, 7, 7)

    asyncio.run(main())


def test_full_disk_stores_nothing_and_a_retry_succeeds() -> None:
    async def main() -> None:
        storage = database()
        db = duty_db(storage)
        seen: list[UnsignedDataSet] = []

        async def note(value: UnsignedDataSet) -> None:
            seen.append(value)

        db.stored.subscribe(note)
        storage.full = True
        with pytest.raises(StorageFull):
            await db.store(VALIDATORS.unsigned())
        assert seen == []
        storage.full = False
        await db.store(VALIDATORS.unsigned())
        assert seen == [VALIDATORS.unsigned()]

    asyncio.run(main())


def test_retention_deletes_only_what_is_older() -> None:
    async def main() -> None:
        storage = database()
        db = duty_db(storage)
        await db.store(VALIDATORS.unsigned(9))
        await db.store(VALIDATORS.unsigned(17))
        assert await db.delete_before(DutyType.ATTESTER, 17) == 3
        fresh = duty_db(storage)
        assert await fresh.decided(Duty(9, DutyType.ATTESTER)) is None
        assert await fresh.decided(Duty(17, DutyType.ATTESTER)) is not None

    asyncio.run(main())


def test_set_older_than_all_that_is_kept_in_memory_is_found_on_disk() -> None:
    async def main() -> None:
        storage = database()
        db = DutyDB(storage=storage, preset="minimal")
        for slot in range(8, 8 + RECENT_MAX + 5):
            await db.store(VALIDATORS.unsigned(slot))
        for slot in (8, 9):
            assert await db.decided(Duty(slot, DutyType.ATTESTER)) == VALIDATORS.unsigned(slot)
        assert len(await db.decided_since(0)) == RECENT_MAX + 5
        assert len(db._recent) == RECENT_MAX

    asyncio.run(main())


def test_aggregates_and_contributions_are_stored_for_each_subcommittee() -> None:
    async def main() -> None:
        storage = database()
        db = duty_db(storage)
        for data_set in (aggregates(), contributions()):
            await db.store(data_set)
        storage.crash()
        again = duty_db(storage.reopen())
        for data_set in (aggregates(), contributions()):
            await again.store(data_set)
            assert await again.decided(data_set.duty) == data_set

    asyncio.run(main())


def test_second_contribution_for_a_subcommittee_is_refused() -> None:
    async def main() -> None:
        db = duty_db(database())
        await db.store(contributions())
        other = contribution_and_proof(0, 2, head=b"x" * 32)
        item = UnsignedContribution(pubkey=VALIDATORS.pubkeys[0], message=other)
        with pytest.raises(ClashingData):
            await db.store(replace(contributions(), items=(item,)))

    asyncio.run(main())


def test_aggregate_is_found_by_the_root_of_its_votes_and_its_committee() -> None:
    async def main() -> None:
        db = duty_db(database())
        root = aggregate().data.hash_tree_root()
        waiting = asyncio.create_task(db.await_agg_attestation(9, root, 1))
        await asyncio.sleep(0)
        await db.store(aggregates())
        assert await waiting == aggregate(1)
        assert await db.await_agg_attestation(9, root) == aggregate(0)
        for wrong in ((9, b"?" * 32, 1), (9, root, 3)):
            with pytest.raises(DutyNotFound):
                await db.await_agg_attestation(*wrong)

    asyncio.run(main())


def test_contribution_is_found_by_subcommittee_and_head() -> None:
    async def main() -> None:
        db = duty_db(database())
        waiting = asyncio.create_task(db.await_sync_contribution(9, 2, b"h" * 32))
        await asyncio.sleep(0)
        await db.store(contributions())
        assert await waiting == contribution(2)
        for wrong in ((9, 1, b"h" * 32), (9, 2, b"x" * 32)):
            with pytest.raises(DutyNotFound):
                await db.await_sync_contribution(*wrong)

    asyncio.run(main())
