"""The production database: one writer thread that commits in groups, reads in the caller's.

Guarantees, which ``inline.InlineDatabase`` shares (one contract suite tests both):

* ``write`` returns only after its effects are on the disk (WAL, ``synchronous=FULL``).
* A function that raises leaves no trace; the others of its group are not disturbed.
* Functions run one at a time, in the order of the calls to ``write``.
* ``read`` sees one snapshot, which holds every write that returned before the call.
* A full disk fails the writes with ``StorageFull`` and harms nothing that is stored.

Grouping needs no timer: while one group is in fsync, the next collects behind it.

Reads run on the event loop. They are point queries of some 10 us, and SQLite gives up the
interpreter lock at every step: in a thread beside a busy loop 31 of them took 48 ms.
"""

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from tetrarch.storage.errors import StorageBusy, StorageClosed
from tetrarch.storage.lock import OwnerLock
from tetrarch.storage.migrations import Schema
from tetrarch.storage.sqlite import (
    Outcome,
    Transaction,
    commit_group,
    open_connection,
    open_reader,
    read_snapshot,
)

R = TypeVar("R")

GROUP_MAX = 256
WAITING_MAX = 10_000


@dataclass(frozen=True, slots=True)
class _Job:
    function: Transaction[Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]


class Database:
    """An SQLite file owned by this object alone. ``open`` it, and ``close`` it at the end.

    Functions given to ``write`` run in another thread: they may use only the connection and
    values that nobody else changes.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: OwnerLock) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock
        self._closed = False
        self._jobs: queue.Queue[_Job | None] = queue.Queue(WAITING_MAX)
        self._writer = threading.Thread(
            target=self._write_groups, name=f"database-{path.name}", daemon=True
        )
        self._reader = open_reader(path)
        self._writer.start()

    @classmethod
    def open(cls, path: Path, schemas: tuple[Schema, ...]) -> Self:
        """Lock, open, check and migrate the database at ``path``. Blocks; call it at start.

        Raises:
            OperatorError: in use, not writable, corrupt, too new or no room; see ``errors``.

        Effects: creates ``path``, its WAL files and ``<path>.lock``, readable by this user only.
        """
        lock = OwnerLock.acquire(path.with_name(path.name + ".lock"))
        try:
            return cls(path, open_connection(path, schemas), lock)
        except BaseException:
            lock.release()
            raise

    async def write(self, function: Callable[[sqlite3.Connection], R], /) -> R:
        """Run ``function`` in a transaction; return its value once that is durable.

        Raises:
            StorageFull: the disk is full; nothing was written, a later try may succeed.
            StorageFailed: the disk failed; the node should stop.
            StorageBusy: too many writes wait.
            StorageClosed: the database is closed.
            Whatever ``function`` raises; it then left no trace.

        Safety: when the caller is cancelled, the write may still happen.
        """
        if self._closed:
            raise StorageClosed("write", path=self.path)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        try:
            self._jobs.put_nowait(_Job(function, loop, future))
        except queue.Full:
            raise StorageBusy("write", path=self.path, waiting=WAITING_MAX) from None
        return await future

    async def read(self, function: Callable[[sqlite3.Connection], R], /) -> R:
        """Run ``function`` on a snapshot of what is committed; it cannot write.

        Blocks the loop meanwhile: for queries by index, not for scans of a running node.

        Raises:
            StorageFailed, StorageCorrupt: the node should stop.
            StorageClosed: the database is closed.
            Whatever ``function`` raises.
        """
        if self._closed:
            raise StorageClosed("read", path=self.path)
        return read_snapshot(self._reader, function, path=self.path)

    async def close(self) -> None:
        """Finish the waiting writes, close the file and give up the lock."""
        if self._closed:
            return
        self._closed = True
        await asyncio.get_running_loop().run_in_executor(None, self._stop_writer)
        self._reader.close()
        with contextlib.suppress(sqlite3.Error):  # only tidies: the WAL is read at next start
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()
        self._lock.release()

    def _stop_writer(self) -> None:
        self._jobs.put(None)
        self._writer.join()

    def _write_groups(self) -> None:
        """The writer thread: take all that waits, commit it as one, answer, repeat."""
        stopping = False
        while not stopping:
            group = [self._jobs.get()]
            while len(group) < GROUP_MAX and not self._jobs.empty():
                group.append(self._jobs.get_nowait())
            stopping = group[-1] is None  # nothing is queued behind the stop mark
            jobs = tuple(job for job in group if job is not None)
            if jobs:
                _deliver(jobs, self._commit(jobs))

    def _commit(self, jobs: tuple[_Job, ...]) -> tuple[Outcome, ...]:
        functions = tuple(job.function for job in jobs)
        try:
            return commit_group(self._connection, functions, path=self.path)
        except BaseException as error:  # noqa: BLE001 - callers must not wait for a dead thread
            return (Outcome(error=error),) * len(jobs)


def _deliver(jobs: tuple[_Job, ...], outcomes: tuple[Outcome, ...]) -> None:
    """Hand the outcomes to the callers' loops, one wake-up per loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Outcome]]] = {}
    for job, outcome in zip(jobs, outcomes, strict=True):
        by_loop.setdefault(job.loop, []).append((job.future, outcome))
    for loop, results in by_loop.items():
        # A caller's loop that is closed wants no answer; the write stands.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(resolve, results)


def resolve(results: list[tuple[asyncio.Future[Any], Outcome]]) -> None:
    """Set each future to its outcome, unless its caller has left."""
    for future, outcome in results:
        if future.done():
            continue
        if outcome.error is not None:
            future.set_exception(outcome.error)
        else:
            future.set_result(outcome.value)
