"""Virtual time: jumps, order by seed, and honest failures."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest

from tetrarch.sim.loop import EPOCH_S, SimClock, SimDeadlock, simulate


def test_a_day_passes_at_once() -> None:
    async def main() -> float:
        await asyncio.sleep(86_400)
        return asyncio.get_running_loop().time()

    assert simulate(main, seed=1) == pytest.approx(86_400, abs=1)


def test_stuck_program_raises_instead_of_hanging() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(SimDeadlock):
        simulate(main, seed=1)


def test_seed_orders_timers_that_are_due_together() -> None:
    def order(seed: int) -> list[int]:
        seen: list[int] = []

        async def main() -> None:
            loop = asyncio.get_running_loop()
            for number in range(8):
                loop.call_at(1.0, seen.append, number)
            await asyncio.sleep(2)

        simulate(main, seed=seed)
        return seen

    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(5)}) > 1
    assert sorted(order(3)) == list(range(8))


def test_calls_are_made_in_asyncios_order() -> None:
    async def main() -> list[str]:
        loop, seen = asyncio.get_running_loop(), list[str]()
        overdue = loop.call_at(loop.time() - 1, seen.append, "overdue")
        assert overdue.when() < loop.time()
        loop.call_soon(lambda: loop.call_soon(seen.append, "next turn"))
        loop.call_soon(seen.append, "this turn")
        await asyncio.sleep(1)
        return seen

    assert simulate(main, seed=1) == ["this turn", "overdue", "next turn"]
    assert asyncio.run(main()) == ["this turn", "overdue", "next turn"]


def test_a_call_that_was_cancelled_is_not_made() -> None:
    async def main() -> list[str]:
        loop, seen = asyncio.get_running_loop(), list[str]()
        calls = [loop.call_soon(seen.append, "soon"), loop.call_later(1, seen.append, "later")]
        loop.call_later(2, seen.append, "last")
        for call in calls:
            call.cancel()
        assert all(call.cancelled() for call in calls)
        await asyncio.sleep(3)
        return seen

    assert simulate(main, seed=1) == ["last"]


def test_a_call_that_fails_is_told_and_stops_no_other() -> None:
    told: list[BaseException] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
        loop.call_soon(int, "no number")
        await asyncio.sleep(1)

    simulate(main, seed=1)
    assert [type(error) for error in told] == [ValueError]


def test_a_generator_that_nobody_ended_ends_with_the_run() -> None:
    ended: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            ended.append("here")

    async def main() -> AsyncIterator[int]:
        begun = numbers()
        assert await anext(begun) == 1
        return begun

    assert simulate(main, seed=1) is not None
    assert ended == ["here"]


def test_a_closed_loop_takes_no_calls() -> None:
    async def main() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    loop = simulate(main, seed=1)
    for call in (loop.call_soon, partial(loop.call_later, 1)):
        with pytest.raises(RuntimeError, match="closed"):
            call(print)


def test_threads_are_refused() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().run_in_executor(None, print)

    with pytest.raises(RuntimeError, match="threads"):
        simulate(main, seed=1)


def test_clock_has_the_nodes_own_error() -> None:
    async def main() -> float:
        await asyncio.sleep(10)
        return SimClock(asyncio.get_running_loop(), offset_s=-2.5).wall_s()

    assert simulate(main, seed=1) == pytest.approx(EPOCH_S + 7.5, abs=0.01)
