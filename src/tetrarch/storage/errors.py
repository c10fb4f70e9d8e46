"""What can be wrong with a database or its folder, by what must happen next."""

import errno
import sqlite3
from pathlib import Path
from typing import ClassVar

from tetrarch.errors import OperatorError, TetrarchError, Transient

EX_CANTCREAT = 73
EX_IOERR = 74


class FolderNotWritable(OperatorError):
    """The folder or the database file cannot be created or written."""

    code = "storage_not_writable"
    exit_code: ClassVar[int] = EX_CANTCREAT
    mend = "give this user write permission to the path, or name another folder"


class StorageInUse(OperatorError):
    """Another process has this database open."""

    code = "storage_in_use"
    exit_code: ClassVar[int] = EX_CANTCREAT
    mend = "stop the other process; two nodes must never share a folder"


class StorageCorrupt(OperatorError):
    """The file is no SQLite database, its pages contradict each other, or a row does not decode."""

    code = "storage_corrupt"
    exit_code: ClassVar[int] = EX_IOERR
    mend = (
        "keep the file, restore the last backup, and import the newest slashing protection "
        "interchange before signing again"
    )


class StorageFailed(OperatorError):
    """The disk refused to read or write: what is stored can no longer be relied on."""

    code = "storage_failed"
    exit_code: ClassVar[int] = EX_IOERR
    mend = "check the disk and the system log, then start again"


class StorageTooNew(OperatorError):
    """A later version of the program wrote this database."""

    code = "storage_too_new"
    mend = "run the version that wrote it, or a later one"


class StorageFull(Transient):
    """The disk is full: this write did not happen, nothing is half-written, the node goes on.

    Safe to retry once there is room. A duty that needs the write fails.
    """

    code = "storage_full"


class StorageFullAtStart(OperatorError):
    """The disk is too full to open the database."""

    code = "storage_full_at_start"
    exit_code: ClassVar[int] = EX_IOERR
    mend = "free some space on this disk"


class StorageClosed(Transient):
    """The database was closed before this call; the node is stopping."""

    code = "storage_closed"


class StorageBusy(Transient):
    """More writes wait than are allowed; this one was not taken."""

    code = "storage_busy"


def cannot_create(action: str, path: Path, error: OSError) -> OperatorError:
    """Our error for a file or folder that the system did not let us make."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StorageFullAtStart(action, path=path)
    return FolderNotWritable(action, path=path, reason=error.strerror)


def translate(error: sqlite3.Error, action: str, path: Path | None) -> TetrarchError | None:
    """Our error for one of SQLite's, or None where the SQL itself is wrong.

    Constraint violations and SQL mistakes belong to the caller's code and stay as they are.
    """
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    fields = {"path": path or ":memory:", "reason": error}
    match primary:
        case sqlite3.SQLITE_FULL:
            return StorageFull(action, path=path or ":memory:")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return StorageCorrupt(action, **fields)
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StorageInUse(action, **fields)
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return FolderNotWritable(action, **fields)
        case sqlite3.SQLITE_IOERR:
            return StorageFailed(action, **fields)
        case _:
            return None
