"""SQLite connections as this project uses them, and the group commit both databases share."""

import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from tetrarch.errors import TetrarchError
from tetrarch.storage.errors import (
    StorageCorrupt,
    StorageFailed,
    StorageFull,
    StorageFullAtStart,
    cannot_create,
    translate,
)
from tetrarch.storage.migrations import Schema, migrate

R = TypeVar("R")
Transaction: TypeAlias = Callable[[sqlite3.Connection], R]

# How long a connection waits for a lock that only a stray reader of the file could hold.
_BUSY_TIMEOUT_MS = 2000
# With less a database cannot be opened: its WAL index alone takes 32 KiB.
_ROOM_BYTES_MIN = 64 * 1024
_SETTINGS = (
    "PRAGMA journal_mode = WAL",
    # A commit returns after fsync: these databases guard signatures.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
    f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one function of a group ended: a value, or the exception its caller gets."""

    value: Any = None  # the caller's own type, given back through a typed method
    error: BaseException | None = None


def open_connection(path: Path, schemas: tuple[Schema, ...]) -> sqlite3.Connection:
    """Open or create the database at ``path``, check it, and bring its schemas up to date.

    The connection is in autocommit mode: whoever uses it says BEGIN and COMMIT. It may be used
    from any thread, by one thread at a time. The caller holds the ``OwnerLock``.

    Raises:
        OperatorError: one of ``storage.errors``, naming the path.

    Cost: SQLite's quick_check reads the whole file: about 1 s for 1 GB.
    """
    try:
        # Created before SQLite does, so that nobody but the owner can read it.
        path.touch(mode=0o600, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    except OSError as error:
        raise cannot_create("open database", path, error) from error
    except sqlite3.Error as error:
        raise _at_start(error, path) from error
    try:
        _prepare(connection, schemas, path)
    except sqlite3.Error as error:
        connection.close()
        raise _at_start(error, path) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, schemas: tuple[Schema, ...], path: Path) -> None:
    for setting in _SETTINGS:
        connection.execute(setting)
    findings = connection.execute("PRAGMA quick_check(1)").fetchone()
    if findings != ("ok",):
        finding = " ".join(str(findings[0]).split())
        raise StorageCorrupt("check database", path=path, finding=finding)
    migrate(connection, schemas)


def open_reader(path: Path) -> sqlite3.Connection:
    """A second connection to an open database, which cannot write."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA query_only = ON")
    return connection


def _at_start(error: sqlite3.Error, path: Path) -> TetrarchError | sqlite3.Error:
    ours = translate(error, "open database", path)
    # Without room for its shared memory SQLite speaks of a disk error only.
    full = isinstance(ours, StorageFailed) and _free_bytes(path) < _ROOM_BYTES_MIN
    if isinstance(ours, StorageFull) or full:
        return StorageFullAtStart("open database", path=path)
    return ours or error


def _free_bytes(path: Path) -> int:
    try:
        return shutil.disk_usage(path.parent).free
    except OSError:
        return _ROOM_BYTES_MIN  # unknown: the error stays what it is


def commit_group(
    connection: sqlite3.Connection, functions: tuple[Transaction[Any], ...], *, path: Path | None
) -> tuple[Outcome, ...]:
    """Run every function in one transaction and commit it; never raises for a function.

    Each function runs inside a savepoint: one that raises leaves no trace and does not disturb
    the others. If SQLite gave up the whole transaction, or the commit fails, then nothing of
    the group happened and every function has failed, the innocent ones with the same reason.

    Cost: one fsync for the group, about 0.2 ms here.
    """
    outcomes: list[Outcome] = []
    try:
        connection.execute("BEGIN IMMEDIATE")
        for function in functions:
            outcomes.append(_in_savepoint(connection, function, path))
            if not connection.in_transaction:
                # SQLite rolled everything back by itself: it does so when the disk is full.
                failure = outcomes[-1].error or StorageFull("write", path=path)
                return _all_failed(outcomes, len(functions), failure)
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        failure = translate(error, "commit", path) or error
        return _all_failed(outcomes, len(functions), failure)
    return tuple(outcomes)


def read_snapshot(
    connection: sqlite3.Connection, function: Transaction[R], *, path: Path | None
) -> R:
    """Run ``function`` on one consistent snapshot of the committed state.

    Raises:
        OperatorError: the disk or the file failed. Whatever ``function`` raises passes through.
    """
    try:
        connection.execute("BEGIN")
        try:
            return function(connection)
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        ours = translate(error, "read", path)
        if ours is None:
            raise
        raise ours from error


def _in_savepoint(
    connection: sqlite3.Connection, function: Transaction[Any], path: Path | None
) -> Outcome:
    connection.execute("SAVEPOINT one")
    try:
        value = function(connection)
    except BaseException as error:  # noqa: BLE001 - it is the caller's, who gets it unchanged
        if connection.in_transaction:
            connection.execute("ROLLBACK TO one")
            connection.execute("RELEASE one")
        if isinstance(error, sqlite3.Error):
            return Outcome(error=translate(error, "write", path) or error)
        return Outcome(error=error)
    connection.execute("RELEASE one")
    return Outcome(value=value)


def _all_failed(outcomes: list[Outcome], count: int, failure: BaseException) -> tuple[Outcome, ...]:
    own = [outcome if outcome.error else Outcome(error=failure) for outcome in outcomes]
    return tuple(own) + (Outcome(error=failure),) * (count - len(own))
