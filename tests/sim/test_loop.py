"""Virtual time: jumps, order by seed, and honest failures."""

import asyncio

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
