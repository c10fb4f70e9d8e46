"""The simulator's database: same contract as ``database.Database``, no threads, in memory.

Everything runs on the caller's event loop, so a virtual clock and a seed decide all. It can
lose power: ``crash`` drops what was not committed, ``reopen`` gives what the disk still has.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from itertools import count
from typing import Any, ClassVar, Self, TypeVar

from tetrarch.storage.database import GROUP_MAX, WAITING_MAX, resolve
from tetrarch.storage.errors import StorageBusy, StorageClosed, StorageFull
from tetrarch.storage.migrations import Schema, migrate
from tetrarch.storage.sqlite import Outcome, Transaction, commit_group, read_snapshot

R = TypeVar("R")


class _Disk:
    """Memory that two connections share: one that writes, and one that cannot, as on a real disk.

    One connection for both would have to be told before and after each read, and whenever it is
    told SQLite forgets all statements that it has prepared.
    """

    def __init__(self, number: int) -> None:
        name = f"file:inline-{number}?mode=memory&cache=shared"
        self.writer = sqlite3.connect(name, uri=True, isolation_level=None)
        self.writer.execute("PRAGMA foreign_keys = ON")
        self.reader = sqlite3.connect(name, uri=True, isolation_level=None)
        self.reader.execute("PRAGMA query_only = ON")
        # No locks on tables for a cursor that outlives its read: nothing runs beside a write.
        self.reader.execute("PRAGMA read_uncommitted = ON")


class InlineDatabase:
    """An SQLite database in memory that commits ``commit_delay_s`` after the first write.

    Set ``full`` to make every write fail as on a full disk.
    """

    _numbers: ClassVar = count(1)  # of disks in this process, which name them

    def __init__(self, disk: "_Disk", *, commit_delay_s: float = 0.0) -> None:
        self.full = False
        self._disk = disk
        self._connection = disk.writer
        self._commit_delay_s = commit_delay_s
        self._waiting: list[tuple[Transaction[Any], asyncio.Future[Any]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    @classmethod
    def open(cls, schemas: tuple[Schema, ...], *, commit_delay_s: float = 0.0) -> Self:
        """A new empty database with the tables of ``schemas``."""
        disk = _Disk(next(cls._numbers))
        migrate(disk.writer, schemas)
        return cls(disk, commit_delay_s=commit_delay_s)

    async def write(self, function: Callable[[sqlite3.Connection], R], /) -> R:
        """As ``Database.write``."""
        if self._closed:
            raise StorageClosed("write")
        if len(self._waiting) >= WAITING_MAX:
            raise StorageBusy("write", waiting=WAITING_MAX)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        self._waiting.append((function, future))
        if self._timer is None:
            self._timer = loop.call_later(self._commit_delay_s, self._commit)
        return await future

    async def read(self, function: Callable[[sqlite3.Connection], R], /) -> R:
        """As ``Database.read``."""
        if self._closed:
            raise StorageClosed("read")
        return read_snapshot(self._disk.reader, function, path=None)

    async def close(self) -> None:
        """Commit what waits and refuse all further calls. ``reopen`` still works."""
        while self._waiting:
            self._commit()
        self._closed = True

    def crash(self, *, after_commit: bool = False) -> None:
        """Lose power now. Waiting writes are dropped and their callers cancelled.

        With ``after_commit`` they reach the disk first, but nobody is told.
        """
        futures = [future for _, future in self._waiting]
        while after_commit and self._waiting and not self.full:
            group, self._waiting = self._waiting[:GROUP_MAX], self._waiting[GROUP_MAX:]
            commit_group(self._connection, tuple(fn for fn, _ in group), path=None)
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._closed = True
        for future in futures:
            future.cancel()

    def backup(self) -> Self:
        """What is on the disk now, on another disk; ``reopen`` it to go on from there."""
        disk = _Disk(next(self._numbers))
        self._connection.backup(disk.writer)
        return type(self)(disk, commit_delay_s=self._commit_delay_s)

    def reopen(self, schemas: tuple[Schema, ...] = ()) -> Self:
        """The same disk after a restart; the old object stays closed."""
        self.crash()
        migrate(self._connection, schemas)
        return type(self)(self._disk, commit_delay_s=self._commit_delay_s)

    def _commit(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        group, self._waiting = self._waiting[:GROUP_MAX], self._waiting[GROUP_MAX:]
        functions = tuple(function for function, _ in group)
        if self.full:
            outcomes = (Outcome(error=StorageFull("write", path=":memory:")),) * len(group)
        else:
            outcomes = commit_group(self._connection, functions, path=None)
        if self._waiting:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._commit_delay_s, self._commit)
        resolve([(future, outcome) for (_, future), outcome in zip(group, outcomes, strict=True)])
