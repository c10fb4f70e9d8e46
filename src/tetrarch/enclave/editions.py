"""The newest edition of the sealed keys, in the enclave's database: an older one is not opened.

So a file that was put back does not bring back a key that was removed since, which may sign
elsewhere now. Whoever puts an old database back, too, is not noticed here.
"""

import sqlite3
from pathlib import Path

from tetrarch.enclave.errors import SealOld
from tetrarch.storage.migrations import Schema

SCHEMA = Schema(
    component="sealed_keys",
    steps=(
        (
            """CREATE TABLE sealed_keys (
                only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
                edition INTEGER NOT NULL)""",
        ),
    ),
)


def newest(connection: sqlite3.Connection) -> int:
    """The newest edition that was noted; 0: none."""
    row = connection.execute("SELECT edition FROM sealed_keys").fetchone()
    return int(row[0]) if row else 0


def note(connection: sqlite3.Connection, edition: int) -> None:
    """Keep ``edition`` if it is newer; inside the caller's transaction."""
    connection.execute(
        "INSERT INTO sealed_keys VALUES (1, :edition) "
        "ON CONFLICT (only_row) DO UPDATE SET edition = max(edition, :edition)",
        {"edition": edition},
    )


def check(connection: sqlite3.Connection, edition: int, *, path: Path) -> None:
    """Refuse the file ``path`` of ``edition`` if a newer one was noted.

    Raises:
        SealOld: it is older, or not there (edition 0).
    """
    known = newest(connection)
    if edition < known:
        raise SealOld("open sealed keys", path=path, edition=edition, newest=known)
