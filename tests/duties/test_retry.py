"""Retries: only what may get better is repeated, never beyond the deadline."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.duties.duty_world import GENESIS_S, RecordingLog

from tetrarch.duties.retry import BACKOFF_MAX_S, REFUSALS_MAX, Refusal, Retryer, backoff_s
from tetrarch.duties.types import Duty, DutyType
from tetrarch.errors import InvariantBroken, OperatorError, PeerFault, Transient
from tetrarch.sim.loop import SimClock, simulate
from tetrarch.supervision import Supervisor, sole_cause

DUTY = Duty(9, DutyType.ATTESTER)


class World:
    """A retryer whose duties end ``lifetime_s`` after the start; failures are recorded."""

    def __init__(self, tasks: Supervisor, lifetime_s: float | None) -> None:
        self.loop = asyncio.get_running_loop()
        self.failures: list[tuple[str, Duty, str]] = []
        self.attempts: list[float] = []
        ends_s = None if lifetime_s is None else GENESIS_S + lifetime_s
        self.retryer = Retryer(
            spawner=tasks,
            clock=SimClock(self.loop),
            deadline_s=lambda _: ends_s,
            jitter=lambda: 0.0,
            on_failure=lambda edge, duty, reason: self.failures.append((edge, duty, reason)),
            log=RecordingLog(),
        )

    async def start(self, step: Callable[[int], Awaitable[None]]) -> None:
        """Start an edge whose handler runs ``step(number of the attempt)``."""

        async def handler(value: Duty) -> None:
            assert value == DUTY
            self.attempts.append(round(self.loop.time(), 2))
            await step(len(self.attempts))

        await self.retryer.asynchronous("edge", lambda value: value, handler)(DUTY)


def play(scenario: Callable[[World], Awaitable[None]], *, lifetime_s: float | None = 60.0) -> World:
    worlds = []

    async def main() -> None:
        async with Supervisor(RecordingLog()) as tasks:
            worlds.append(World(tasks, lifetime_s))
            await scenario(worlds[0])

    simulate(main, seed="retry")
    return worlds[0]


async def busy(_: int) -> None:
    raise Transient("ask", reason="busy")


def test_emitter_does_not_wait() -> None:
    async def slow(_: int) -> None:
        await asyncio.sleep(30)

    async def scenario(world: World) -> None:
        await world.start(slow)
        assert world.loop.time() < 0.1

    world = play(scenario)
    assert world.failures == []
    assert world.attempts == [0.0]


def test_transient_failure_is_repeated_with_growing_pauses_until_it_works() -> None:
    async def step(attempt: int) -> None:
        if attempt < 4:
            raise Transient("ask")

    world = play(lambda world: world.start(step))
    assert world.attempts == [0.0, 0.25, 0.65, 1.29]
    assert world.failures == []


def test_refusal_is_repeated_a_few_times_only_and_its_reason_told() -> None:
    async def refuse(_: int) -> None:
        raise Refusal("submit", message="unknown head")

    world = play(lambda world: world.start(refuse), lifetime_s=1000)
    assert len(world.attempts) == REFUSALS_MAX
    assert 8 < world.attempts[-1] < 12, "a late block is there by then"
    ((_, _, reason),) = world.failures
    assert "unknown head" in reason


def test_refusal_that_turns_into_consent_in_time_is_no_failure() -> None:
    async def step(attempt: int) -> None:
        if attempt < REFUSALS_MAX:
            raise Refusal("submit")

    world = play(lambda world: world.start(step))
    assert len(world.attempts) == REFUSALS_MAX
    assert world.failures == []


def test_being_away_meanwhile_does_not_count_as_refusal() -> None:
    async def step(attempt: int) -> None:
        if attempt % 2:
            raise Transient("ask")
        raise Refusal("submit")

    world = play(lambda world: world.start(step), lifetime_s=1000)
    assert len(world.attempts) == 2 * REFUSALS_MAX


def test_deadline_before_the_last_refusal_still_tells_the_reason() -> None:
    async def refuse(attempt: int) -> None:
        if attempt == 3:
            await asyncio.Event().wait()
        raise Refusal("submit", message="unknown head")

    world = play(lambda world: world.start(refuse), lifetime_s=2)
    ((_, _, reason),) = world.failures
    assert "unknown head" in reason


def test_deadline_ends_the_attempts_with_the_last_reason() -> None:
    world = play(lambda world: world.start(busy), lifetime_s=10)
    assert 5 < len(world.attempts) < 12
    assert world.attempts[-1] < 10
    ((edge, duty, reason),) = world.failures
    assert (edge, duty) == ("edge", DUTY)
    assert "busy" in reason


def test_deadline_ends_an_attempt_that_hangs() -> None:
    async def hang(_: int) -> None:
        await asyncio.Event().wait()

    world = play(lambda world: world.start(hang), lifetime_s=10)
    assert world.failures == [("edge", DUTY, "deadline passed")]


def test_nothing_is_tried_after_the_deadline() -> None:
    world = play(lambda world: world.start(busy), lifetime_s=-1)
    assert world.attempts == []
    assert len(world.failures) == 1


def test_time_limit_of_the_handler_itself_is_not_the_deadline() -> None:
    async def step(attempt: int) -> None:
        if attempt == 1:
            async with asyncio.timeout(1):
                await asyncio.Event().wait()

    world = play(lambda world: world.start(step))
    assert len(world.attempts) == 2
    assert world.failures == []


def test_other_expected_errors_end_the_step_at_once() -> None:
    async def fault(_: int) -> None:
        raise PeerFault("read")

    world = play(lambda world: world.start(fault))
    assert len(world.attempts) == 1
    assert len(world.failures) == 1


@pytest.mark.parametrize("error", [InvariantBroken("two is two"), OperatorError("write disk")])
def test_broken_invariants_and_what_a_person_must_mend_stop_the_node(error: Any) -> None:
    async def broken(_: int) -> None:
        raise error

    with pytest.raises(BaseExceptionGroup) as raised:
        play(lambda world: world.start(broken))
    assert sole_cause(raised.value) is error


def test_duty_without_deadline_is_tried_for_days() -> None:
    async def step(attempt: int) -> None:
        if attempt < 5000:
            raise Transient("ask")

    world = play(lambda world: world.start(step), lifetime_s=None)
    assert len(world.attempts) == 5000
    assert world.failures == []


def test_pauses_are_bounded_whatever_the_attempt() -> None:
    pauses = [backoff_s(attempt, jitter=0.999) for attempt in (0, 1, 5, 20, 10_000)]
    assert pauses == sorted(pauses)
    assert pauses[-1] <= BACKOFF_MAX_S * 1.1
