"""Proven states on disk: the newest two whole, for nodes that would begin with one, and all proofs.

    proofs   by the height of the block that left the state; all of them, for voters change from one to the next
    states   which block left it, of the newest two
    chunks   theirs, by number

They are written in the transaction that makes the block final, so none is missing after a crash.
"""

import sqlite3
from dataclasses import dataclass, field
from typing import Final

from tetrarch.ledger.headers import BlockId
from tetrarch.ledger.state_chunks import ChunkId, hash_of

STATES_KEPT: Final = 2

STEP: Final = (
    """CREATE TABLE ledger_proofs (
        height INTEGER NOT NULL PRIMARY KEY, id BLOB NOT NULL, content BLOB NOT NULL)""",
    "CREATE INDEX ledger_proofs_id ON ledger_proofs (id)",
    "CREATE TABLE ledger_states (height INTEGER NOT NULL PRIMARY KEY, block BLOB NOT NULL)",
    """CREATE TABLE ledger_chunks (
        state INTEGER NOT NULL, number INTEGER NOT NULL, id BLOB NOT NULL, content BLOB NOT NULL,
        PRIMARY KEY (state, number)) WITHOUT ROWID""",
    "CREATE INDEX ledger_chunks_id ON ledger_chunks (id)",
)


@dataclass(frozen=True, slots=True)
class StateKept:
    """``height`` and ``block``: of the block that left it."""

    height: int
    block: BlockId
    chunks: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Proven:
    """What blocks that are final by now prove: encoded proofs by the height of their state, and the newest state."""

    proofs: tuple[tuple[int, bytes], ...] = ()
    state: StateKept | None = None


@dataclass(frozen=True, slots=True)
class StateListed:
    """One that is kept whole."""

    height: int
    block: BlockId
    chunks: tuple[ChunkId, ...]


def put_proven(connection: sqlite3.Connection, proven: Proven) -> None:
    """Keep them; older states than the newest ``STATES_KEPT`` go."""
    rows = [(height, hash_of(content), content) for height, content in proven.proofs]
    connection.executemany("INSERT OR REPLACE INTO ledger_proofs VALUES (?, ?, ?)", rows)
    state = proven.state
    if state is None:
        return
    chunks = [
        (state.height, number, hash_of(chunk), chunk) for number, chunk in enumerate(state.chunks)
    ]
    connection.executemany("INSERT OR REPLACE INTO ledger_chunks VALUES (?, ?, ?, ?)", chunks)
    connection.execute(
        "INSERT OR REPLACE INTO ledger_states VALUES (?, ?)", (state.height, state.block)
    )
    kept = "SELECT height FROM ledger_states ORDER BY height DESC LIMIT ?"
    for query in (
        f"DELETE FROM ledger_states WHERE height NOT IN ({kept})",  # noqa: S608 - no input
        "DELETE FROM ledger_chunks WHERE state NOT IN (SELECT height FROM ledger_states)",
    ):
        connection.execute(query, (STATES_KEPT,) if "?" in query else ())


def list_states(connection: sqlite3.Connection) -> tuple[StateListed, ...]:
    """Those that are kept whole, oldest first."""
    rows = connection.execute("SELECT height, block FROM ledger_states ORDER BY height").fetchall()
    return tuple(
        StateListed(height, BlockId(bytes(block)), _chunk_ids(connection, height))
        for height, block in rows
    )


def _chunk_ids(connection: sqlite3.Connection, state: int) -> tuple[ChunkId, ...]:
    """Of a state, by their numbers."""
    query = "SELECT id FROM ledger_chunks WHERE state = ? ORDER BY number"
    return tuple(ChunkId(bytes(row[0])) for row in connection.execute(query, (state,)))


def proofs_to(connection: sqlite3.Connection, height: int) -> tuple[bytes, ...]:
    """Proofs of states up to ``height``, oldest first."""
    query = "SELECT content FROM ledger_proofs WHERE height <= ? ORDER BY height"
    return tuple(bytes(row[0]) for row in connection.execute(query, (height,)))


def part_of(connection: sqlite3.Connection, part: bytes) -> bytes | None:
    """A chunk or a proof, by its hash."""
    for table in ("ledger_chunks", "ledger_proofs"):
        query = f"SELECT content FROM {table} WHERE id = ?"  # noqa: S608 - names of two tables
        row = connection.execute(query, (part,)).fetchone()
        if row is not None:
            return bytes(row[0])
    return None
