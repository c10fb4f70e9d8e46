"""Full collections come every few slots, when no duty waits, and at no other time."""

import asyncio
import gc

import pytest
from tests.duties.duty_world import CHAIN

from tetrarch import garbage
from tetrarch.garbage import (
    EVERY_SLOTS,
    NEVER,
    QUIET_MS_SHARE,
    WHOLE_EVERY_COLLECTIONS,
    collect_quietly,
)
from tetrarch.sim.loop import EPOCH_S, SimClock, simulate

SLOT_S = CHAIN.slot_duration_ms / 1000


def test_collects_every_fourth_slot_late_and_never_in_an_epochs_last() -> None:
    moments: list[float] = []

    async def scenario() -> None:
        clock = SimClock(asyncio.get_running_loop(), offset_s=CHAIN.genesis_time_s - EPOCH_S + 1)

        def collect() -> None:
            moments.append((clock.wall_s() - CHAIN.genesis_time_s) / SLOT_S)

        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(collect_quietly(CHAIN, clock, collect=collect))
            await asyncio.sleep(4 * EVERY_SLOTS * SLOT_S)
            task.cancel()

    simulate(scenario, seed="garbage")
    gc.unfreeze()
    assert [int(moment) for moment in moments] == [2, 6, 10, 14]
    assert CHAIN.slots_per_epoch % EVERY_SLOTS == 0
    assert all(moment % 1 == pytest.approx(QUIET_MS_SHARE, abs=0.01) for moment in moments)


def frozen_at_each(collections: int) -> list[int]:
    """How many objects are frozen when each collection begins."""
    frozen: list[int] = []

    async def scenario() -> None:
        clock = SimClock(asyncio.get_running_loop(), offset_s=CHAIN.genesis_time_s - EPOCH_S)
        async with asyncio.TaskGroup() as tasks:
            work = collect_quietly(
                CHAIN, clock, collect=lambda: frozen.append(gc.get_freeze_count())
            )
            task = tasks.create_task(work)
            await asyncio.sleep(collections * EVERY_SLOTS * SLOT_S)
            task.cancel()

    gc.unfreeze()
    try:
        simulate(scenario, seed="garbage")
    finally:
        gc.unfreeze()
    return frozen


def test_what_lives_after_the_first_collection_is_not_walked_again() -> None:
    first, second = frozen_at_each(2)
    assert first == 0
    assert second > 1_000


def test_once_a_day_all_is_walked(monkeypatch) -> None:
    assert WHOLE_EVERY_COLLECTIONS * EVERY_SLOTS == 24 * 3600 // 12  # mainnet's slots
    monkeypatch.setattr(garbage, "WHOLE_EVERY_COLLECTIONS", 20)
    frozen = frozen_at_each(21)
    walked_whole = [number for number, count in enumerate(frozen, 1) if count == 0]
    assert walked_whole == [1, 20]


def test_nothing_else_collects_all_generations_meanwhile() -> None:
    thresholds = []

    async def scenario() -> None:
        clock = SimClock(asyncio.get_running_loop())
        thresholds.append(gc.get_threshold())
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(collect_quietly(CHAIN, clock, collect=lambda: None))
            await asyncio.sleep(1)
            thresholds.append(gc.get_threshold())
            task.cancel()
        thresholds.append(gc.get_threshold())

    outside = gc.get_threshold()
    simulate(scenario, seed="garbage")
    before, within, after = thresholds
    assert within == (*before[:2], NEVER)
    assert after == before
    assert gc.get_threshold() == outside
