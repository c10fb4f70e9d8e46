"""Group signatures: durable, one object per key, and nobody waits for one in vain."""

import asyncio
from dataclasses import replace

import pytest
from tests.duties.duty_world import (
    Validators,
    attestation_data,
    database,
    recorded,
    signed_randao,
)

from tetrarch.duties.aggsigdb import SCHEMA, AggSigDB, MismatchingSignature, Submissions
from tetrarch.duties.types import (
    AttestationPayload,
    Duty,
    DutyType,
    PubKey,
    RandaoPayload,
    SignedData,
    SignedDataSet,
    SyncSelectionPayload,
)
from tetrarch.storage.errors import StorageFull
from tetrarch.storage.inline import InlineDatabase
from tetrarch.storage.migrations import Schema

VALIDATORS = Validators(2)
PUBKEY, OTHER = VALIDATORS.pubkeys
DUTY = Duty(9, DutyType.RANDAO)
ATTESTER = Duty(9, DutyType.ATTESTER)
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
        duty = Duty(9, DutyType.PREPARE_SYNC_CONTRIBUTION)
        proofs = [
            SignedData(
                pubkey=PUBKEY,
                payload=SyncSelectionPayload(slot=9, subcommittee_index=index),
                signature=bytes([index]) * 96,
            )
            for index in (0, 2)
        ]
        for proof in proofs:
            await db.store(SignedDataSet(duty=duty, items=(proof,)))
        assert await db.find(duty, PUBKEY, 2) == proofs[1]
        assert await db.find(duty, PUBKEY) == proofs[0]
        assert await db.find(duty, PUBKEY, 1) is None
        assert (await db.submissions(duty)).left == tuple(proofs)

    asyncio.run(main())


def signed_attestations(*pubkeys: PubKey) -> SignedDataSet:
    payload = AttestationPayload(data=attestation_data(9))
    items = tuple(
        SignedData(pubkey=pubkey, payload=payload, signature=b"\1" * 96) for pubkey in pubkeys
    )
    return SignedDataSet(duty=ATTESTER, items=items)


def test_what_was_submitted_is_known_after_a_crash_and_the_rest_is_left() -> None:
    async def main() -> None:
        storage = database()
        db = AggSigDB(storage=storage)
        first, second = signed_attestations(PUBKEY), signed_attestations(OTHER)
        await db.store(first)
        await db.store(second)
        await db.note_submitted(second)
        await db.note_submitted(second)
        storage.crash()
        db = AggSigDB(storage=storage.reopen())
        assert await db.submissions(ATTESTER) == Submissions(taken=second.items, left=first.items)
        await db.note_submitted(first)
        whole = signed_attestations(PUBKEY, OTHER)
        assert await db.submissions(ATTESTER) == Submissions(taken=whole.items, left=())
        assert await db.submissions(Duty(10, DutyType.ATTESTER)) == Submissions(taken=(), left=())
        assert await db.submissions(DUTY) == Submissions(taken=(), left=())

    asyncio.run(main())


def test_note_is_one_row_however_many_validators_and_goes_with_the_signatures() -> None:
    async def main() -> None:
        storage = database()
        db = AggSigDB(storage=storage)
        signed = signed_attestations(PUBKEY, OTHER)
        await db.store(signed)
        await db.note_submitted(signed)

        async def rows() -> int:
            return await storage.read(
                lambda connection: len(
                    connection.execute("SELECT * FROM aggsigdb_submitted").fetchall()
                )
            )

        assert await rows() == 1
        assert await db.delete_before(DutyType.ATTESTER, 9) == 0
        assert await rows() == 1
        assert await db.delete_before(DutyType.ATTESTER, 10) == 2
        assert await rows() == 0

    asyncio.run(main())


def test_signatures_of_a_version_that_did_not_note_submissions_are_left() -> None:
    async def main() -> None:
        old = InlineDatabase.open((Schema(component="aggsigdb", steps=SCHEMA.steps[:1]),))
        signed = signed_attestations(PUBKEY)
        await AggSigDB(storage=old).store(signed)
        db = AggSigDB(storage=old.reopen((SCHEMA,)))
        assert await db.submissions(ATTESTER) == Submissions(taken=(), left=signed.items)

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
