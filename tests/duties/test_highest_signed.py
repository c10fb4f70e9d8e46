"""Goal: the newest vote and block of a share outlives the partials, at no cost where they pass."""

import asyncio
from dataclasses import replace

import pytest
from tests.duties.duty_world import Validators, block, database

from tetrarch.duties import highest_signed, parsig_rows
from tetrarch.duties.highest_signed import Page
from tetrarch.duties.parsig_rows import Status
from tetrarch.duties.types import (
    Duty,
    DutyType,
    PartialSet,
    PartialSignature,
    ProposalPayload,
    PubKey,
    ShareIndex,
)
from tetrarch.storage.errors import StorageCorrupt
from tetrarch.storage.inline import InlineDatabase

VALIDATORS = Validators(3)
SHARE = ShareIndex(2)


async def store(storage: InlineDatabase, partial_set: PartialSet) -> None:
    await storage.write(lambda c: parsig_rows.insert(c, partial_set, Status.BROADCASTED, now_s=1))


async def stored(*sets: PartialSet) -> InlineDatabase:
    storage = database()
    for each in sets:
        await store(storage, each)
    return storage


async def page(storage: InlineDatabase, *, after: bytes = b"", limit: int = 100) -> Page:
    return await storage.read(lambda c: highest_signed.highest(c, SHARE, after=after, limit=limit))


async def forget_before(storage: InlineDatabase, slot: int) -> None:
    await storage.write(lambda c: parsig_rows.delete_before(c, DutyType.ATTESTER, slot))


def proposal(slot: int, pubkey: PubKey) -> PartialSet:
    made = block(slot)
    payload = ProposalPayload(fork=made.fork, blinded=made.blinded, header=made.header)
    partial = PartialSignature(
        pubkey=pubkey, share_index=SHARE, payload=payload, signature=b"s" * 96
    )
    return PartialSet(duty=Duty(slot, DutyType.PROPOSER), partials=(partial,))


def test_the_newest_of_each_kind_is_told_of_the_asked_share_alone() -> None:
    async def main() -> None:
        first = VALIDATORS.pubkeys[0]
        storage = await stored(
            VALIDATORS.partials(2, 9),
            VALIDATORS.partials(2, 17),
            VALIDATORS.partials(3, 25),
            proposal(12, first),
        )
        assert await page(storage) == Page(
            (proposal(12, first), VALIDATORS.partials(2, 17)), more=False
        )

    asyncio.run(main())


def test_what_retention_deletes_is_kept_if_it_is_the_newest() -> None:
    async def main() -> None:
        newest = VALIDATORS.partials(2, 17)
        storage = await stored(VALIDATORS.partials(2, 9), newest)
        await forget_before(storage, 10)  # newer ones are there: nothing to keep
        assert await storage.read(
            lambda c: c.execute("SELECT count(*) FROM highest_signed").fetchone()
        ) == (0,)
        await forget_before(storage, 99)
        await forget_before(storage, 99)
        assert await page(storage) == Page((newest,), more=False)
        assert await storage.read(
            lambda c: c.execute("SELECT count(*) FROM parsigdb").fetchone()
        ) == (0,)

    asyncio.run(main())


def test_what_was_kept_gives_way_to_newer_ones_and_never_to_older() -> None:
    async def main() -> None:
        storage = await stored(VALIDATORS.partials(2, 17))
        await forget_before(storage, 99)
        for slot, told in ((9, 17), (41, 41)):
            await store(storage, VALIDATORS.partials(2, slot))
            assert (await page(storage)).sets == (VALIDATORS.partials(2, told),)
            await forget_before(storage, 99)
            assert (await page(storage)).sets == (VALIDATORS.partials(2, told),)

    asyncio.run(main())


def test_pages_follow_the_keys_and_cut_no_validator_in_two() -> None:
    async def main() -> None:
        votes = VALIDATORS.partials(2, 17)
        storage = await stored(votes, *(proposal(12, pubkey) for pubkey in VALIDATORS.pubkeys))
        told: list[PartialSignature] = []
        after, pages, more = b"", 0, True
        while more:
            got = await page(storage, after=after, limit=3)
            pages, more = pages + 1, got.more
            partials = [p for each in got.sets for p in each.partials]
            told += partials
            after = max((p.pubkey for p in partials), default=after)
            assert len({p.pubkey for p in partials}) * 2 == len(partials)
        assert pages > 1
        assert len(told) == 2 * len(VALIDATORS.pubkeys) == len(set(told))

    asyncio.run(main())


def test_a_spoilt_row_is_named() -> None:
    async def main() -> None:
        storage = await stored(VALIDATORS.partials(2, 17))
        await storage.write(lambda c: c.execute("UPDATE parsigdb SET data = x'ff'"))
        with pytest.raises(StorageCorrupt, match="highest_signed"):
            await page(storage)

    asyncio.run(main())


def test_partials_of_other_kinds_are_not_told() -> None:
    async def main() -> None:
        other = replace(VALIDATORS.partials(2, 17), duty=Duty(17, DutyType.RANDAO))
        storage = await stored(other)
        await storage.write(lambda c: parsig_rows.delete_before(c, DutyType.RANDAO, 99))
        assert await page(storage) == Page((), more=False)

    asyncio.run(main())
