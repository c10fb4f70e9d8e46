"""The mark of a folder that was restored from a backup, in each of its databases.

While it stands nothing slashable is signed. It goes once enough peers have told what these keys
signed (``duties.safe_start``), or when a person accepts by name that nobody can tell.
"""

import sqlite3

from tetrarch.storage.migrations import Schema

SCHEMA = Schema(
    component="restored",
    steps=(
        (
            """CREATE TABLE restored (
                only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1))""",
        ),
    ),
)


def mark(connection: sqlite3.Connection) -> None:
    """From now on the folder is a restored one; inside the caller's transaction."""
    connection.execute("INSERT OR REPLACE INTO restored VALUES (1)")


def is_marked(connection: sqlite3.Connection) -> bool:
    """Whether it is one that has not recovered yet."""
    return connection.execute("SELECT 1 FROM restored").fetchone() is not None


def clear(connection: sqlite3.Connection) -> None:
    """It has recovered; inside the caller's transaction."""
    connection.execute("DELETE FROM restored")
