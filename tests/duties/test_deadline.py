"""Ends of duties: in order, once, and none slept through."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.duties.duty_world import CHAIN, RecordingLog, recorded, sleep_until

from tetrarch.duties.deadline import ENDED_MAX, Deadlines
from tetrarch.duties.timing import deadline_s
from tetrarch.duties.types import Duty, DutyType
from tetrarch.sim.loop import SimClock, simulate
from tetrarch.supervision import Supervisor


def randao(slot: int) -> Duty:
    return Duty(slot, DutyType.RANDAO)


def attester(slot: int) -> Duty:
    return Duty(slot, DutyType.ATTESTER)


class World:
    def __init__(self) -> None:
        self.clock = SimClock(asyncio.get_running_loop())
        self.deadlines = Deadlines(chain=CHAIN, clock=self.clock)
        self.ended: list[Duty] = recorded(self.deadlines.expired)

    async def until(self, slot: float) -> None:
        await sleep_until(slot, self.clock)


def play(scenario: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        world = World()
        async with Supervisor(RecordingLog()) as tasks:
            tasks.spawn(world.deadlines.run(), name="deadlines")
            await asyncio.sleep(0.01)
            await scenario(world)
            tasks.stop()

    simulate(main, seed="deadline")


def test_duties_end_in_order_of_their_deadlines_not_of_watching() -> None:
    async def scenario(world: World) -> None:
        for duty in (attester(1), randao(3), randao(2), randao(1)):
            world.deadlines.watch(duty)
        await world.until(2)
        assert world.ended == [randao(1)]
        await world.until(20)
        assert world.ended == [randao(1), randao(2), randao(3), attester(1)]

    play(scenario)


def test_each_duty_ends_when_its_time_comes() -> None:
    async def scenario(world: World) -> None:
        world.deadlines.watch(randao(2))
        ends_s = deadline_s(randao(2), CHAIN)
        assert ends_s is not None
        await asyncio.sleep(ends_s - world.clock.wall_s() - 0.1)
        assert world.ended == []
        await asyncio.sleep(0.2)
        assert world.ended == [randao(2)]

    play(scenario)


def test_earlier_deadline_wakes_the_sleeper() -> None:
    async def scenario(world: World) -> None:
        world.deadlines.watch(attester(1))
        await asyncio.sleep(1)
        world.deadlines.watch(randao(1))
        await world.until(2)
        assert world.ended == [randao(1)]

    play(scenario)


def test_duty_watched_while_another_is_handled_is_not_forgotten() -> None:
    async def main() -> None:
        world = World()
        ended: list[Duty] = []

        async def slow(duty: Duty) -> None:
            if duty == randao(1):
                world.deadlines.watch(randao(2))  # sets the event while nobody waits for it
                await asyncio.sleep(30)
            ended.append(duty)

        world.deadlines.expired.subscribe(slow)
        world.deadlines.watch(randao(1))
        async with Supervisor(RecordingLog()) as tasks:
            tasks.spawn(world.deadlines.run(), name="deadlines")
            await asyncio.sleep(120)
            tasks.stop()
        assert ended == [randao(1), randao(2)]

    simulate(main, seed="deadline")


def test_duty_that_has_ended_does_not_end_twice() -> None:
    async def scenario(world: World) -> None:
        world.deadlines.watch(randao(1))
        world.deadlines.watch(randao(1))
        await world.until(2)
        world.deadlines.watch(randao(1))  # a late step of it was just passed
        await world.until(3)
        assert world.ended == [randao(1)]

    play(scenario)


def test_duty_first_seen_after_its_deadline_still_ends() -> None:
    async def scenario(world: World) -> None:
        await world.until(5)
        world.deadlines.watch(randao(1))
        await asyncio.sleep(0.1)
        assert world.ended == [randao(1)]

    play(scenario)


def test_open_is_what_is_neither_over_nor_far_ahead() -> None:
    async def scenario(world: World) -> None:
        await world.until(20)
        deadlines = world.deadlines
        assert deadlines.is_open(attester(20))
        assert deadlines.is_open(attester(13))
        assert deadlines.is_open(attester(39))
        assert not deadlines.is_open(attester(5))
        assert not deadlines.is_open(randao(19))
        assert not deadlines.is_open(attester(40))
        assert not deadlines.is_open(Duty(20, DutyType.BUILDER_PROPOSER))
        assert not deadlines.is_open(attester(-1))
        await world.until(60)
        assert world.ended == [attester(13), attester(20), attester(39)], "each was watched"

    play(scenario)


def test_duties_without_a_deadline_are_open_and_not_watched() -> None:
    async def scenario(world: World) -> None:
        assert world.deadlines.is_open(Duty(0, DutyType.EXIT))
        await world.until(1000)
        assert world.ended == []

    play(scenario)


def test_clock_set_forward_ends_duties_at_the_next_look() -> None:
    async def scenario(world: World) -> None:
        world.deadlines.watch(attester(1))
        await asyncio.sleep(1)
        world.clock.offset_s += 3600
        world.deadlines.watch(randao(305))  # as the next slot does
        await asyncio.sleep(1)
        assert world.ended == [attester(1)]

    play(scenario)


def test_memory_of_ended_duties_is_bounded() -> None:
    async def scenario(world: World) -> None:
        for slot in range(ENDED_MAX + 50):
            world.deadlines.watch(randao(slot))
        await world.until(ENDED_MAX + 60)
        assert len(world.ended) == ENDED_MAX + 50
        assert len(world.deadlines._ended) == ENDED_MAX
        assert not world.deadlines._watched

    play(scenario)
