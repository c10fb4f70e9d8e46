"""Early start: the slot's own head lets its votes begin, and nothing else does."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.duties.duty_world import CHAIN

from tetrarch.duties.head_start import SLOTS_MAX, HeadStart
from tetrarch.duties.types import Duty, DutyType
from tetrarch.sim.loop import simulate

VOTE = Duty(9, DutyType.ATTESTER)


def play(scenario: Callable[[HeadStart], Awaitable[None]], *, enabled: bool = True) -> None:
    async def main() -> None:
        await scenario(HeadStart(chain=CHAIN, enabled=enabled))

    simulate(main, seed="heads")


def test_head_ends_the_wait_of_every_vote_of_its_slot() -> None:
    async def scenario(start: HeadStart) -> None:
        async with asyncio.TaskGroup() as tasks:
            waiting = [tasks.create_task(start.wait(VOTE, 4)) for _ in range(2)]
            await asyncio.sleep(1)
            start.note(9, slot_now=9)
        assert [each.result() for each in waiting] == [True, True]
        assert asyncio.get_running_loop().time() < 1.1
        assert await start.wait(VOTE, 4), "also of one that comes later"

    play(scenario)


def test_old_and_future_heads_start_nothing() -> None:
    async def scenario(start: HeadStart) -> None:
        start.note(9, slot_now=8)
        start.note(9, slot_now=10)
        assert not await start.wait(VOTE, 4)

    play(scenario)


def test_other_duties_and_first_slots_wait() -> None:
    async def scenario(start: HeadStart) -> None:
        for slot in (8, 9):
            start.note(slot, slot_now=slot)
        for duty in (Duty(8, DutyType.ATTESTER), Duty(9, DutyType.AGGREGATOR)):
            assert not await start.wait(duty, 1)

    play(scenario)


def test_switched_off_it_only_sleeps() -> None:
    async def scenario(start: HeadStart) -> None:
        start.note(9, slot_now=9)
        assert not await start.wait(VOTE, 4)

    play(scenario, enabled=False)


def test_only_the_latest_slots_are_kept() -> None:
    async def scenario(start: HeadStart) -> None:
        for slot in range(100):
            start.note(slot, slot_now=slot)
        assert len(start._arrived) == SLOTS_MAX
        assert await start.wait(Duty(99, DutyType.ATTESTER), 4)

    play(scenario)
