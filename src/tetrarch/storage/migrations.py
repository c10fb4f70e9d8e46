"""Schemas grow by numbered steps, one series per component, each step applied exactly once."""

import sqlite3
from dataclasses import dataclass

from tetrarch.errors import invariant
from tetrarch.storage.errors import StorageTooNew

_TABLE = """
CREATE TABLE IF NOT EXISTS schema_version (
    component TEXT NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL
) WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """What ``component`` stores: step n brings a database of version n to version n + 1.

    A step is a tuple of SQL statements. Steps that were released are never edited: changes are
    new steps at the end.
    """

    component: str
    steps: tuple[tuple[str, ...], ...]


def migrate(connection: sqlite3.Connection, schemas: tuple[Schema, ...]) -> None:
    """Bring every component's tables to the newest version, all in one transaction.

    The connection is in autocommit mode and outside a transaction.

    Raises:
        StorageTooNew: the database knows a step that this program does not.
    """
    names = [schema.component for schema in schemas]
    invariant(len(set(names)) == len(names), "each component has one schema")
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(_TABLE)
        for schema in schemas:
            _migrate_one(connection, schema)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _migrate_one(connection: sqlite3.Connection, schema: Schema) -> None:
    row = connection.execute(
        "SELECT version FROM schema_version WHERE component = ?", (schema.component,)
    ).fetchone()
    version = row[0] if row else 0
    if version > len(schema.steps):
        raise StorageTooNew(
            "migrate database",
            component=schema.component,
            found=version,
            known=len(schema.steps),
        )
    for step in schema.steps[version:]:
        for statement in step:
            connection.execute(statement)
    connection.execute(
        "INSERT INTO schema_version VALUES (?, ?) "
        "ON CONFLICT (component) DO UPDATE SET version = excluded.version",
        (schema.component, len(schema.steps)),
    )
