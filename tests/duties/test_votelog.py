"""The durable vote log: one value per duty, round and type, whatever the crash."""

import asyncio
from dataclasses import replace

from tests.duties.duty_world import database

from tetrarch.consensus.messages import MessageType, ValueHash
from tetrarch.consensus.votes import Vote
from tetrarch.duties.types import Duty, DutyType
from tetrarch.duties.votelog import RETRY_S, DurableVoteLog
from tetrarch.sim.loop import simulate

DUTY = Duty(9, DutyType.ATTESTER)
HASH, OTHER = ValueHash(b"h" * 32), ValueHash(b"o" * 32)


def vote(
    round_: int = 1, kind: MessageType = MessageType.PREPARE, value_hash: ValueHash = HASH
) -> Vote:
    return Vote(
        duty=DUTY, round=round_, type=kind, value_hash=value_hash, content=b"signed", value=b"value"
    )


def test_votes_survive_a_crash_in_order_and_whole() -> None:
    async def main() -> None:
        storage = database()
        votes = (vote(2), vote(1, MessageType.COMMIT), vote(1))
        assert await DurableVoteLog(storage=storage).record(votes) == votes
        storage.crash()
        log = DurableVoteLog(storage=storage.reopen())
        stored = await log.votes(DUTY)
        assert [(each.round, each.type) for each in stored] == sorted(
            (each.round, each.type) for each in votes
        )
        assert {each.content for each in stored} == {b"signed"}
        assert {each.value for each in stored} == {b"value"}
        assert await log.votes(Duty(10, DutyType.ATTESTER)) == ()

    asyncio.run(main())


def test_contradiction_is_refused_also_after_a_restart_and_others_of_its_batch_stand() -> None:
    async def main() -> None:
        storage = database()
        await DurableVoteLog(storage=storage).record([vote()])
        storage.crash()
        log = DurableVoteLog(storage=storage.reopen())
        allowed = await log.record([vote(value_hash=OTHER), vote(2, value_hash=OTHER)])
        assert allowed == (vote(2, value_hash=OTHER),)
        assert (await log.votes(DUTY))[0].value_hash == HASH

    asyncio.run(main())


def test_contradiction_within_one_batch_is_refused() -> None:
    async def main() -> None:
        log = DurableVoteLog(storage=database())
        assert await log.record([vote(), vote(value_hash=OTHER)]) == (vote(),)

    asyncio.run(main())


def test_same_vote_may_be_recorded_again_and_its_first_content_stands() -> None:
    async def main() -> None:
        log = DurableVoteLog(storage=database())
        await log.record([vote()])
        again = replace(vote(), content=b"signed again")
        assert await log.record([again]) == (again,)
        assert await log.votes(DUTY) == (vote(),)

    asyncio.run(main())


def test_full_disk_keeps_the_vote_back_until_there_is_room() -> None:
    async def main() -> None:
        storage = database()
        storage.full = True
        log = DurableVoteLog(storage=storage)
        async with asyncio.TaskGroup() as tasks:
            recording = tasks.create_task(log.record([vote()]))
            await asyncio.sleep(10 * RETRY_S)
            assert not recording.done()
            storage.full = False
            assert await recording == (vote(),)

    simulate(main, seed="votes")


def test_forgetting_leaves_the_record_and_retention_deletes_it() -> None:
    async def main() -> None:
        log = DurableVoteLog(storage=database())
        await log.record([vote()])
        await log.forget(DUTY)
        assert await log.votes(DUTY) == (vote(),)
        assert await log.delete_before(DutyType.PROPOSER, 100) == 0
        assert await log.delete_before(DutyType.ATTESTER, 9) == 0
        assert await log.delete_before(DutyType.ATTESTER, 10) == 1

    asyncio.run(main())
