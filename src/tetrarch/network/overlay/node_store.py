"""The database of nodes: rows of ``stored``, those that changed since the last time."""

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

from tetrarch.network.overlay.nodes import Nodes
from tetrarch.network.overlay.profile import NodeId
from tetrarch.network.overlay.stored import ban_rows_of, restore, rows_of
from tetrarch.storage.migrations import Schema
from tetrarch.storage.rows import decoding_rows

_T = TypeVar("_T")

SAVE_MIN_S, SAVE_MAX_S = 1.0, 60.0  # who was killed finds back without anybody whom it trusts
_TABLES = ("overlay_nodes", "overlay_bans")
_COLUMNS = "(node BLOB NOT NULL PRIMARY KEY, content BLOB NOT NULL) WITHOUT ROWID"
SCHEMA = Schema(
    component="overlay",
    steps=(tuple(f"CREATE TABLE {table} {_COLUMNS}" for table in _TABLES),),
)


class Storage(Protocol):
    """A database, as far as this store goes (``storage.database``)."""

    async def write(self, function: Callable[[sqlite3.Connection], _T], /) -> _T:
        """Durable when it returns."""
        ...

    async def read(self, function: Callable[[sqlite3.Connection], _T], /) -> _T:
        """One snapshot."""
        ...


class NodeStore:
    """Keeps ``nodes`` across restarts. What was lost with a crash is heard of again; bans are not lost."""

    def __init__(self, storage: Storage, nodes: Nodes) -> None:
        self._storage = storage
        self._nodes = nodes
        self._written: dict[str, dict[NodeId, bytes]] = {table: {} for table in _TABLES}

    async def load(self, *, now_s: float) -> None:
        """Put what was kept into ``nodes``, before anything else does.

        Raises:
            StoredNodeDamaged, or an error of the database.
        """
        for table in self._written:
            self._written[table] = await self._storage.read(partial(_read, table=table))
        kept = self._written
        restore(self._nodes, kept["overlay_nodes"], kept["overlay_bans"], now_s=now_s)

    async def keep(self) -> None:
        """Until cancelled: soon after somebody came or went, and now and then what was seen of all."""
        kept, at_s, loop = set[NodeId](), 0.0, asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SAVE_MIN_S)
            here = set(self._nodes)
            if here != kept or loop.time() - at_s >= SAVE_MAX_S:
                await self.save()
                kept, at_s = here, loop.time()

    async def save(self) -> None:
        """Write what changed. At 1,000 nodes some 5 ms, and one commit."""
        await self._save("overlay_nodes", rows_of(self._nodes))
        await self.save_bans()

    async def save_bans(self) -> None:
        """Write bans at once: they are an operator's word."""
        await self._save("overlay_bans", ban_rows_of(self._nodes))

    async def _save(self, table: str, rows: dict[NodeId, bytes]) -> None:
        before = self._written[table]
        changed = [(node, row) for node, row in rows.items() if before.get(node) != row]
        gone = [(node,) for node in before if node not in rows]
        if not changed and not gone:
            return

        def write(connection: sqlite3.Connection) -> None:
            put = f"INSERT OR REPLACE INTO {table} VALUES (?, ?)"  # noqa: S608 - one of two names
            connection.executemany(put, changed)
            connection.executemany(f"DELETE FROM {table} WHERE node = ?", gone)  # noqa: S608

        await self._storage.write(write)
        self._written[table] = rows


def _read(connection: sqlite3.Connection, *, table: str) -> dict[NodeId, bytes]:
    with decoding_rows(connection, table):
        rows = connection.execute(f"SELECT node, content FROM {table}")  # noqa: S608
        return {NodeId(bytes(node)): bytes(content) for node, content in rows}
