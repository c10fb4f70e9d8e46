"""Goal: a crash of any task stops its owner, loudly; a stop or a return is no crash."""

import asyncio

import pytest
from tests.network.mesh_world import RecordingLog

from tetrarch.errors import InvariantBroken, OperatorError, Transient
from tetrarch.supervision import Supervisor, cause_of_end, sole_cause


async def forever(ended: list[str], name: str) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append(name)


def test_crash_cancels_siblings_and_comes_out() -> None:
    log = RecordingLog()
    ended: list[str] = []

    async def crash() -> None:
        await asyncio.sleep(0)
        raise Transient("read file")

    async def main() -> None:
        async with Supervisor(log) as tasks:
            tasks.spawn(forever(ended, "sibling"), name="sibling")
            tasks.spawn(crash(), name="crasher")

    with pytest.raises(BaseExceptionGroup) as raised:
        asyncio.run(main())
    assert isinstance(sole_cause(raised.value), Transient)
    assert ended == ["sibling"]
    assert [line["task"] for line in log.find("task_crashed")] == ["crasher"]


def test_broken_invariant_goes_before_other_causes() -> None:
    log = RecordingLog()

    async def crash(error: BaseException) -> None:
        raise error

    async def main() -> None:
        async with Supervisor(log) as outer:
            outer.spawn(crash(ValueError("first")), name="first")
            outer.spawn(crash(InvariantBroken("two is two")), name="second")

    with pytest.raises(BaseExceptionGroup) as raised:
        asyncio.run(main())
    assert isinstance(sole_cause(raised.value), InvariantBroken)
    assert log.find("invariant_broken", task="second", claim="two is two")


def test_nested_supervisors_report_a_crash_once_and_an_operators_error_not_at_all() -> None:
    async def crash(error: Exception) -> None:
        raise error

    async def inner(log: RecordingLog, error: Exception) -> None:
        try:
            async with Supervisor(log) as tasks:
                tasks.spawn(crash(error), name="inner")
        except BaseExceptionGroup as group:
            raise sole_cause(group) from group

    async def main(log: RecordingLog, error: Exception) -> None:
        async with Supervisor(log) as tasks:
            tasks.spawn(inner(log, error), name="outer")

    for error, lines in ((Transient("read"), ["inner"]), (OperatorError("listen"), [])):
        log = RecordingLog()
        with pytest.raises(BaseExceptionGroup):
            asyncio.run(main(log, error))
        assert [line["task"] for line in log.find("task_crashed")] == lines


def test_stop_ends_all_tasks_in_order_without_failure() -> None:
    log = RecordingLog()
    ended: list[str] = []

    async def main() -> None:
        async with Supervisor(log) as tasks:
            for name in ("a", "b", "c"):
                tasks.spawn(forever(ended, name), name=name)
            await asyncio.sleep(0)
            tasks.stop()

    asyncio.run(main())
    assert ended == ["a", "b", "c"]
    assert log.lines == []


def test_task_that_returns_gives_its_result() -> None:
    async def answer() -> int:
        return 42

    async def main() -> int:
        async with Supervisor(RecordingLog()) as tasks:
            return await tasks.spawn(answer(), name="answer")

    assert asyncio.run(main()) == 42


def test_task_stopped_before_its_first_step_leaves_no_warning() -> None:
    async def main() -> None:
        async with Supervisor(RecordingLog()) as tasks:
            tasks.spawn(forever([], "never"), name="never")
            tasks.stop()

    asyncio.run(main())


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_cancellation_goes_before_what_fails_in_the_same_moment(is_cancelled: bool) -> None:
    caught: list[BaseException] = []

    async def fail(now: asyncio.Event) -> None:
        try:
            await now.wait()
        finally:
            raise Transient("read file")

    async def main() -> None:
        now = asyncio.Event()

        async def owner() -> None:
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(fail(now))
                    await asyncio.Event().wait()
            except BaseExceptionGroup as group:
                caught.append(cause_of_end(group))

        running = asyncio.get_running_loop().create_task(owner())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if is_cancelled:
            running.cancel()
        now.set()
        await running

    asyncio.run(main())
    (cause,) = caught
    assert isinstance(cause, asyncio.CancelledError if is_cancelled else Transient)
