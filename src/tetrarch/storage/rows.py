"""Reading back what was stored: the one place for rows that are not what this program wrote.

SQLite's own check at start covers pages, not what stands in them: a flipped bit in a value goes
unnoticed until somebody decodes it.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from tetrarch.storage.errors import StorageCorrupt


@contextmanager
def decoding_rows(connection: sqlite3.Connection, table: str, **key: object) -> Iterator[None]:
    """Values that do not decode inside the block mean that the database is corrupt.

    A value may be of another form (``InputInvalid`` is a ``ValueError``) or, since SQLite keeps
    a type with each value, even of another type.

    Raises:
        StorageCorrupt: naming the file, ``table`` and ``key``; the node should stop.
    """
    try:
        yield
    except (ValueError, TypeError) as error:
        raise StorageCorrupt(
            "read row", path=_path(connection), table=table, **key, reason=error
        ) from error


def blob(value: object) -> bytes:
    """``value``, which SQLite gives back as bytes if it still is what was stored."""
    if not isinstance(value, bytes):
        raise TypeError(f"expected bytes, got {type(value).__name__}")
    return value


def _path(connection: sqlite3.Connection) -> str:
    _, _, path = connection.execute("PRAGMA database_list").fetchone()
    return str(path) or ":memory:"
