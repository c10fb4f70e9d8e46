"""Group signatures: durable, one object per key, and nobody waits for one in vain."""

import asyncio
from dataclasses import replace

import pytest
from tests.duties.duty_world import Validators, database, recorded, signed_randao

from tetrarch.duties.aggsigdb import AggSigDB, MismatchingSignature
from tetrarch.duties.types import Duty, DutyType, RandaoPayload
from tetrarch.storage.errors import StorageFull

VALIDATORS = Validators(2)
PUBKEY, OTHER = VALIDATORS.pubkeys
DUTY = Duty(9, DutyType.RANDAO)
SIGNED = signed_randao(PUBKEY)


def test_waiter_gets_the_signature_that_comes_later() -> None:
    async def main() -> None:
        db = AggSigDB(storage=database())
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(db.await_signed(DUTY, PUBKEY))
            other = tasks.create_task(db.await_signed(DUTY, OTHER))
            await asyncio.sleep(0)
            await db.store(SIGNED)
            assert await waiting == SIGNED.items[0]
            assert not other.done()
            other.cancel()

    asyncio.run(main())


def test_stored_signature_survives_a_crash_and_is_found_at_once() -> None:
    async def main() -> None:
        storage = database()
        await AggSigDB(storage=storage).store(SIGNED)
        storage.crash()
        db = AggSigDB(storage=storage.reopen())
        async with asyncio.timeout(1):
            assert await db.await_signed(DUTY, PUBKEY) == SIGNED.items[0]

    asyncio.run(main())


def test_waiters_have_the_value_before_the_disk_does() -> None:
    async def main() -> None:
        storage = database()
        db = AggSigDB(storage=storage)
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(db.await_signed(DUTY, PUBKEY))
            await asyncio.sleep(0)
            storage.full = True
            with pytest.raises(StorageFull):
                await db.store(SIGNED)
            assert await waiting == SIGNED.items[0]
        storage.full = False
        await db.store(SIGNED)  # what the aggregator's retry does
        assert await db.find(DUTY, PUBKEY) == SIGNED.items[0]

    asyncio.run(main())


def test_storing_the_same_again_does_nothing() -> None:
    async def main() -> None:
        db = AggSigDB(storage=database())
        stored = recorded(db.stored)
        await db.store(SIGNED)
        await db.store(SIGNED)
        assert stored == [SIGNED, SIGNED]
        assert await db.find(DUTY, PUBKEY) == SIGNED.items[0]

    asyncio.run(main())


@pytest.mark.parametrize(
    "item",
    [
        replace(SIGNED.items[0], signature=b"\xcc" * 96),
        replace(SIGNED.items[0], payload=RandaoPayload(epoch=2)),
    ],
)
def test_another_object_under_the_same_key_is_refused_and_nothing_of_its_set_stored(item) -> None:
    async def main() -> None:
        db = AggSigDB(storage=database())
        await db.store(SIGNED)
        innocent = replace(SIGNED.items[0], pubkey=OTHER)
        with pytest.raises(MismatchingSignature):
            await db.store(replace(SIGNED, items=(innocent, item)))
        assert await db.find(DUTY, PUBKEY) == SIGNED.items[0]
        assert await db.find(DUTY, OTHER) is None

    asyncio.run(main())


def test_sub_indices_are_separate_keys() -> None:
    async def main() -> None:
        db = AggSigDB(storage=database())
        second = replace(SIGNED.items[0], sub_index=1, signature=b"\xcc" * 96)
        await db.store(SIGNED)
        await db.store(replace(SIGNED, items=(second,)))
        assert await db.find(DUTY, PUBKEY, 1) == second
        assert await db.find(DUTY, PUBKEY) == SIGNED.items[0]

    asyncio.run(main())


def test_retention_deletes_only_older_slots_of_the_type() -> None:
    async def main() -> None:
        db = AggSigDB(storage=database())
        for slot in (9, 17):
            await db.store(signed_randao(PUBKEY, slot))
        assert await db.delete_before(DutyType.ATTESTER, 17) == 0
        assert await db.delete_before(DutyType.RANDAO, 17) == 1
        assert await db.find(DUTY, PUBKEY) is None
        assert await db.find(Duty(17, DutyType.RANDAO), PUBKEY) is not None

    asyncio.run(main())
