"""How long the event loop is held up: measured, exported, and told without filling the log."""

import asyncio
import time

from tests.duties.duty_world import RecordingLog

from tetrarch.observability.loop_lag import LOG_INTERVAL_S, MEND_HOST, LoopLag
from tetrarch.observability.metered_loop import Block, run_metered
from tetrarch.observability.metrics import Metrics


def burn(duration_s: float) -> None:
    """Use the processor for that long, as this thread's own time."""
    end_s = time.thread_time() + duration_s
    while time.thread_time() < end_s:
        pass


def lag_of(metrics: Metrics, log: RecordingLog | None = None) -> LoopLag:
    return LoopLag(metrics, log or RecordingLog())


def test_work_that_holds_the_loop_is_measured_as_our_own() -> None:
    metrics, log = Metrics(), RecordingLog()
    lag = lag_of(metrics, log)

    async def scenario() -> None:
        lag.watch(asyncio.get_running_loop())
        await asyncio.sleep(0.01)
        burn(0.1)
        await asyncio.sleep(0.01)

    run_metered(scenario())
    assert lag.worst_busy_s >= 0.09  # less what short turns before it took
    assert lag.over_limit == 1
    value = metrics.registry.get_sample_value
    assert value("tetrarch_event_loop_busy_seconds_bucket", {"le": "0.05"}) != value(
        "tetrarch_event_loop_busy_seconds_count"
    )


def test_loop_that_measures_nothing_is_told() -> None:
    log = RecordingLog()

    async def scenario() -> None:
        lag_of(Metrics(), log).watch(asyncio.get_running_loop())

    asyncio.run(scenario())
    assert log.find("event_loop_not_measured")


def test_host_that_holds_the_loop_is_told_from_our_own_work() -> None:
    log = RecordingLog()
    lag = lag_of(Metrics(), log)
    lag.note(Block(0.3, 0.004), now_s=0)
    (told,) = log.find("event_loop_blocked")
    assert (told["reason"], told["mend"]) == ("host_busy", MEND_HOST)
    assert lag.over_limit == 0


def test_worst_is_forgotten_with_each_scrape() -> None:
    metrics = Metrics()
    lag = lag_of(metrics)
    lag.note(Block(0.007, 0.0), now_s=0)
    lag.note(Block(0.003, 0.0), now_s=1)
    worst = "tetrarch_event_loop_blocked_max_seconds"
    assert metrics.registry.get_sample_value(worst) == 0.007
    assert metrics.registry.get_sample_value(worst) == 0


def test_short_blocks_are_not_told() -> None:
    log = RecordingLog()
    lag_of(Metrics(), log).note(Block(0.019, 0.019), now_s=0)
    assert log.lines == []


def test_many_blocks_are_told_in_one_line_with_the_longest() -> None:
    log = RecordingLog()
    lag = lag_of(Metrics(), log)
    for step, blocked_s in enumerate((0.03, 0.05, 0.2, 0.04)):
        lag.note(Block(blocked_s, 0.0), now_s=step * LOG_INTERVAL_S / 4)
    lag.note(Block(0.021, 0.021), now_s=LOG_INTERVAL_S)
    told = log.find("event_loop_blocked")
    assert [(each["blocked_ms"], each["times"]) for each in told] == [(30.0, 1), (200.0, 4)]
    assert [each["reason"] for each in told] == ["host_busy", "own_work"]
