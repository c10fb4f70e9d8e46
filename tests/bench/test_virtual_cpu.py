"""The benchmark's processors: who is busy makes his own work wait, in order, and nobody else's."""

import asyncio

import pytest
from bench.virtual_cpu import PROCESSOR, Processor, metered_loop, run_metered

WORK_S = 1.0
NEAR = 0.05  # what the test's own instructions cost, at most


def start(processor: Processor, work, tasks: asyncio.TaskGroup) -> None:
    async def life() -> None:
        PROCESSOR.set(processor)
        await tasks.create_task(work())

    tasks.create_task(life())


def test_busy_node_holds_up_itself_and_no_other() -> None:
    ended: dict[str, float] = {}

    async def main() -> None:
        first, second = Processor("first"), Processor("second")

        def work(name: str, cost_s: float):
            async def run() -> None:
                metered_loop().charge(cost_s)
                await asyncio.sleep(0)
                ended[name] = metered_loop().time()

            return run

        async with asyncio.TaskGroup() as tasks:
            start(first, work("first", WORK_S), tasks)
            start(first, work("also first", WORK_S), tasks)
            start(second, work("second", 0), tasks)
        assert first.loop_s == pytest.approx(2 * WORK_S, abs=NEAR)
        assert second.loop_s < NEAR

    run_metered(main, seed=1)
    assert ended["second"] < NEAR
    assert ended["first"] == pytest.approx(2 * WORK_S, abs=NEAR)
    assert ended["also first"] == pytest.approx(2 * WORK_S, abs=NEAR)


def test_what_waits_keeps_its_order_and_cancelled_work_is_not_done() -> None:
    done: list[int] = []

    async def main() -> None:
        async def work() -> None:
            loop = metered_loop()
            loop.charge(WORK_S)  # all of the following is due before the node is free again
            later = [loop.call_later(NEAR + n / 1000, done.append, n) for n in range(1, 6)]
            loop.call_later(NEAR / 2, later[2].cancel)
            await asyncio.sleep(2 * WORK_S)

        async with asyncio.TaskGroup() as tasks:
            start(Processor("one"), work, tasks)

    run_metered(main, seed=1)
    assert done == [1, 2, 4, 5]


def test_time_passes_within_a_callback_and_modelled_work_is_free() -> None:
    async def main() -> None:
        async def work() -> None:
            loop = metered_loop()
            before_s = loop.time()
            with loop.free():
                sum(range(200_000))
            assert loop.time() - before_s < NEAR / 10
            loop.charge(WORK_S)
            assert loop.time() - before_s == pytest.approx(WORK_S, abs=NEAR)

        async with asyncio.TaskGroup() as tasks:
            start(Processor("one"), work, tasks)

    run_metered(main, seed=1)


def test_other_units_of_a_node_serve_one_after_another_beside_its_loop() -> None:
    async def main() -> None:
        processor = Processor("one")

        async def work() -> None:
            await asyncio.gather(*(processor.elsewhere("compute", WORK_S) for _ in range(3)))
            assert metered_loop().time() == pytest.approx(3 * WORK_S, abs=NEAR)

        async with asyncio.TaskGroup() as tasks:
            start(processor, work, tasks)
        assert processor.compute_s == 3 * WORK_S
        assert processor.loop_s < NEAR

    run_metered(main, seed=1)


def test_only_a_metered_loop_is_metered() -> None:
    async def main() -> None:
        with pytest.raises(TypeError):
            metered_loop()

    asyncio.run(main())
