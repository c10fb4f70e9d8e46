"""The loop tells of long turns and late wake-ups, and of nothing else."""

import asyncio
import time

import pytest

from tetrarch.observability.metered_loop import Block, MeteredLoop, run_metered


def hold(duration_s: float) -> None:
    """Keep the loop from everything else, without work."""
    time.sleep(duration_s)


def heard_in(*steps_s: float) -> list[Block]:
    """What is told while callbacks of these lengths run, each in a turn of its own."""
    heard: list[Block] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, MeteredLoop)
        loop.listen(lambda block, _now_s: heard.append(block))
        for step_s in steps_s:
            await asyncio.sleep(0)
            hold(step_s)
        await asyncio.sleep(0)

    run_metered(scenario())
    return heard


def test_long_turn_is_told_with_its_length() -> None:
    longest = max(heard_in(0.0, 0.2, 0.0), key=lambda block: block.blocked_s)
    assert longest.blocked_s >= 0.2
    assert longest.busy_s < 0.1, "asleep, it used no processor"


def test_turn_that_computes_is_busy() -> None:
    heard: list[Block] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, MeteredLoop)
        loop.listen(lambda block, _now_s: heard.append(block))
        await asyncio.sleep(0)
        end_s = time.thread_time() + 0.1
        while time.thread_time() < end_s:
            pass
        await asyncio.sleep(0)

    run_metered(scenario())
    longest = max(heard, key=lambda block: block.busy_s)
    assert longest.busy_s >= 0.09  # less what short turns before it took
    assert longest.busy_s <= longest.blocked_s


def test_every_listener_hears_so_two_nodes_can_share_a_loop() -> None:
    first: list[float] = []
    second: list[float] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, MeteredLoop)
        loop.listen(lambda _block, now_s: first.append(now_s))
        loop.listen(lambda _block, now_s: second.append(now_s))
        await asyncio.sleep(0)
        hold(0.05)
        await asyncio.sleep(0)
        assert first[-1] <= loop.time()

    run_metered(scenario())
    assert first == second
    assert first


@pytest.mark.parametrize("value", ["result", None])
def test_metered_run_gives_what_the_coroutine_returns(value: str | None) -> None:
    async def scenario() -> str | None:
        return value

    assert run_metered(scenario()) == value
