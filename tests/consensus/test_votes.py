"""The log lets a node repeat itself and never contradict itself."""

import asyncio

from tests.consensus.building import DUTY, PREPARE, A, B

from tetrarch.consensus.messages import ValueHash
from tetrarch.consensus.votes import MemoryVoteLog, Vote
from tetrarch.duties.types import Duty, DutyType


def vote(value: ValueHash, round_: int = 1, duty: Duty = DUTY) -> Vote:
    return Vote(duty=duty, round=round_, type=PREPARE, value_hash=value, content=b"c")


def test_first_vote_stands() -> None:
    async def main() -> None:
        log = MemoryVoteLog()
        first, other = vote(A), vote(B)
        assert await log.record([first]) == (first,)
        assert await log.record([other, vote(B, 2)]) == (vote(B, 2),)
        assert await log.record([first]) == (first,), "saying it again is no contradiction"
        assert await log.votes(DUTY) == (first, vote(B, 2))

    asyncio.run(main())


def test_duties_are_apart_and_forgotten() -> None:
    async def main() -> None:
        log = MemoryVoteLog()
        later = Duty(1, DutyType.ATTESTER)
        await log.record([vote(A), vote(B, duty=later)])
        await log.forget(DUTY)
        assert await log.votes(DUTY) == ()
        assert await log.votes(later) == (vote(B, duty=later),)

    asyncio.run(main())
