"""Background tasks with one rule: a task that crashes stops its owner, up to the whole node.

Structured: the supervisor's block ends only when all its tasks have ended. No threads, no
timers, so it runs unchanged on the simulator's virtual loop.
"""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from tetrarch.errors import InvariantBroken, OperatorError
from tetrarch.observability.logs import Log

T = TypeVar("T")
_WATCHED = "reported by its task's supervisor"


class Supervisor:
    """``async with Supervisor(log) as tasks: tasks.spawn(mesh.run(), name="mesh")``.

    When a task fails, one line names it (none for an ``OperatorError``), its siblings are cancelled and the block raises a
    ``BaseExceptionGroup`` with the cause (``sole_cause`` unwraps it). A task that returns or
    is cancelled is no failure.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._group = asyncio.TaskGroup()
        self._tasks: dict[asyncio.Task[Any], None] = {}  # a dict: sets have no stable order

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._group.__aexit__(kind, error, traceback)

    def spawn(self, work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Start ``work`` beside the caller. ``name`` is for logs and debuggers."""
        watched = self._watch(work, name)
        try:
            task = self._group.create_task(watched, name=name)
        except RuntimeError:  # the block is ending
            watched.close()
            work.close()
            raise
        self._tasks[task] = None

        def forget(done: asyncio.Task[T]) -> None:
            self._tasks.pop(done, None)
            work.close()  # cancelled before its first step, it would be "never awaited"

        task.add_done_callback(forget)
        return task

    def stop(self) -> None:
        """Cancel every task, in the order in which they were spawned; returns at once."""
        for task in list(self._tasks):
            task.cancel()

    async def _watch(self, work: Coroutine[Any, Any, T], name: str) -> T:
        try:
            return await work
        except InvariantBroken as broken:
            if _WATCHED not in getattr(broken, "__notes__", ()):
                broken.add_note(_WATCHED)
                self._log.critical(
                    "invariant_broken", task=name, claim=str(broken), exc_info=broken
                )
            raise
        except OperatorError:
            raise  # not a crash: whoever runs the node prints its one line
        except Exception as error:
            if _WATCHED not in getattr(error, "__notes__", ()):  # an inner supervisor's line
                error.add_note(_WATCHED)
                self._log.error("task_crashed", task=name, exc_info=error)
            raise


def cause_of_end(group: BaseExceptionGroup) -> BaseException:
    """What a task raises that ran a ``TaskGroup`` and would go on after its children's errors.

    A group forgets that its own task was cancelled if a child fails in the same moment (Python
    3.11 and 3.12): a loop around it would then never end. For a group whose body waits until the
    end: where the body is over before its children, a child's failure looks like a cancellation.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        return asyncio.CancelledError()
    return sole_cause(group)


def sole_cause(group: BaseException) -> BaseException:
    """The first cause inside nested exception groups; an ``InvariantBroken`` goes before all."""
    if not isinstance(group, BaseExceptionGroup):
        return group
    causes = [sole_cause(error) for error in group.exceptions]
    return next((cause for cause in causes if isinstance(cause, InvariantBroken)), causes[0])
