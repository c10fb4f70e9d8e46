"""Blocks and the last final state on disk: what was taken is there after a crash, and what is final is so whole.

    blocks   every block that was taken, by id; final ones also by their length
    cells    the state of the last final block
    heads    which block that is, and the lowest final block that is there besides the first
    votes    certificates that may be in no block yet: members voted upon them, and may not vote below them any more
    proofs, states, chunks   for nodes that would begin with a state                    see ``state_store``

Final blocks are all there from some height on: from the first on, or from one whose state is kept whole. The first is
always there.

A block is written before anything is done upon it. Making blocks final is one transaction: their lengths, what they
change, and the head. So a crash leaves the state of one final block, and blocks upon it that are applied again.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from tetrarch.errors import OperatorError, TetrarchError
from tetrarch.ledger.applying import Place
from tetrarch.ledger.blocks import Block, decode_block, encode_block
from tetrarch.ledger.cells import decode_value, encode_value
from tetrarch.ledger.checkpoints import decode_certificate, encode_certificate
from tetrarch.ledger.finality import Certificate
from tetrarch.ledger.headers import BlockId
from tetrarch.ledger.state_store import (
    STEP,
    Proven,
    StateListed,
    list_states,
    part_of,
    proofs_to,
    put_proven,
)
from tetrarch.ledger.tables import Base, Changes, first_layer
from tetrarch.storage.migrations import Schema
from tetrarch.storage.rows import decoding_rows

_T = TypeVar("_T")
_FINAL: Final = "final"
_LOWEST: Final = "lowest"

SCHEMA: Final = Schema(
    component="ledger",
    steps=(
        (
            """CREATE TABLE ledger_blocks (
                id BLOB NOT NULL PRIMARY KEY, parent BLOB NOT NULL, length INTEGER NOT NULL,
                final INTEGER NOT NULL, content BLOB NOT NULL) WITHOUT ROWID""",
            "CREATE UNIQUE INDEX ledger_blocks_final ON ledger_blocks (length) WHERE final",
            "CREATE INDEX ledger_blocks_open ON ledger_blocks (length) WHERE NOT final",
            """CREATE TABLE ledger_cells (
                name TEXT NOT NULL, key BLOB NOT NULL, content BLOB NOT NULL,
                PRIMARY KEY (name, key)) WITHOUT ROWID""",
            """CREATE TABLE ledger_heads (
                name TEXT NOT NULL PRIMARY KEY, block BLOB NOT NULL) WITHOUT ROWID""",
            """CREATE TABLE ledger_votes (
                target INTEGER NOT NULL PRIMARY KEY, content BLOB NOT NULL)""",
        ),
        STEP,
    ),
)


class LedgerDamaged(OperatorError):
    """What is stored is no chain, or not all of one."""

    code = "ledger_damaged"
    exit_code = 65  # EX_DATAERR
    mend = "run `tetrarch ledger check`; blocks can be had from other nodes again"


class Storage(Protocol):
    """A database, as far as this store goes (``storage.database``)."""

    async def write(self, function: Callable[[sqlite3.Connection], _T], /) -> _T:
        """Durable when it returns."""
        ...

    async def read(self, function: Callable[[sqlite3.Connection], _T], /) -> _T:
        """One snapshot."""
        ...


@dataclass(frozen=True, slots=True)
class Kept:
    """``open_blocks``, of which each has a parent before it, are to be applied again, and ``certificates`` upon them."""

    root: Place
    base: Base
    open_blocks: tuple[Block, ...]
    certificates: tuple[Certificate, ...]  # the oldest first


@dataclass(frozen=True, slots=True)
class Finals:
    """Final blocks, all that there are from the height ``lowest`` on."""

    lowest: int
    blocks: tuple[BlockId, ...]


NOTHING_PROVEN: Final = Proven()


class LedgerStore:
    """See the module."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def begin(self, block0: Block, changes: Changes) -> None:
        """Write a chain's first block, which is final, into an empty store."""

        def write(connection: sqlite3.Connection) -> None:
            _put_block(connection, block0, is_final=True)
            _finish(connection, block0.header.id, changes)

        await self._storage.write(write)

    async def begin_with(
        self, block0: Block, block: Block, changes: Changes, proven: Proven
    ) -> None:
        """Write the first block, and a later final one with the state that it left, into an empty store."""

        def write(connection: sqlite3.Connection) -> None:
            _put_block(connection, block0, is_final=True)
            _put_block(connection, block, is_final=True)
            _begin_at(connection, block.header.chain_length)
            put_proven(connection, proven)
            _finish(connection, block.header.id, changes)

        await self._storage.write(write)

    async def load(self) -> Kept | None:
        """What is there; None: nothing.

        Raises:
            LedgerDamaged, or an error of the database.
        """
        return await self._storage.read(_load)

    async def add(self, block: Block) -> None:
        """Write a block that holds. It is there when this returns."""
        await self._storage.write(lambda connection: _put_block(connection, block, is_final=False))

    async def certify(self, certificate: Certificate) -> None:
        """Write a certificate that holds, before anybody votes upon it."""
        row = (certificate.link.target.height, encode_certificate(certificate))
        await self._storage.write(
            lambda connection: connection.execute(
                "INSERT OR REPLACE INTO ledger_votes VALUES (?, ?)", row
            )
        )

    async def finalize(
        self,
        finals: Sequence[Place],
        dropped: Sequence[BlockId],
        carried: Sequence[int] = (),
        proven: Proven = NOTHING_PROVEN,
    ) -> None:
        """Blocks are final, oldest first; others can never be, and are forgotten, as certificates that final blocks carry.

        ``carried``: the heights of their targets. ``proven``: what the blocks prove.
        """
        changes: dict[tuple[str, bytes], object] = {}
        for place in finals:
            changes.update(place.layer.changes)

        def write(connection: sqlite3.Connection) -> None:
            ids = [(place.id,) for place in finals]
            connection.executemany("UPDATE ledger_blocks SET final = 1 WHERE id = ?", ids)
            gone = [(block,) for block in dropped]
            connection.executemany("DELETE FROM ledger_blocks WHERE id = ? AND NOT final", gone)
            heights = [(height,) for height in carried]
            connection.executemany("DELETE FROM ledger_votes WHERE target = ?", heights)
            put_proven(connection, proven)
            _finish(connection, finals[-1].id, changes)

        await self._storage.write(write)

    async def prune(self, below: int, *, count_max: int) -> int:
        """Forget final blocks below a height, but for the first, the lowest first; from which height on all are there."""

        def write(connection: sqlite3.Connection) -> int:
            end = min(below, _lowest(connection) + count_max)
            connection.execute(
                "DELETE FROM ledger_blocks WHERE final AND length > 0 AND length < ?", (end,)
            )
            _begin_at(connection, end)
            return end

        return await self._storage.write(write)

    async def states(self) -> tuple[StateListed, ...]:
        """Those that are kept whole, oldest first."""
        return await self._storage.read(list_states)

    async def proofs(self, height: int) -> tuple[bytes, ...]:
        """Proofs of states up to ``height``, oldest first."""
        return await self._storage.read(lambda connection: proofs_to(connection, height))

    async def part(self, part: bytes) -> bytes | None:
        """A chunk or a proof, by its hash."""
        return await self._storage.read(lambda connection: part_of(connection, part))

    async def block(self, block: BlockId) -> bytes | None:
        """As it travels."""
        return await self._storage.read(lambda connection: _block_of(connection, block))

    async def finals(self) -> Finals:
        """All final blocks that are there without a gap.

        Raises:
            LedgerDamaged: one is missing.
        """
        query = "SELECT length, id FROM ledger_blocks WHERE final AND length >= ? ORDER BY length"

        def read(connection: sqlite3.Connection) -> Finals:
            lowest = _lowest(connection)
            rows = connection.execute(query, (lowest,)).fetchall()
            if [length for length, _ in rows] != list(range(lowest, lowest + len(rows))):
                raise LedgerDamaged("load ledger", reason="a final block is missing")
            return Finals(lowest, tuple(BlockId(bytes(block)) for _, block in rows))

        return await self._storage.read(read)


def _lowest(connection: sqlite3.Connection) -> int:
    """The height from which all final blocks should be there."""
    head = connection.execute(
        "SELECT block FROM ledger_heads WHERE name = ?", (_LOWEST,)
    ).fetchone()
    if head is None:
        return 0
    query = "SELECT length FROM ledger_blocks WHERE id = ? AND final"
    row = connection.execute(query, (head[0],)).fetchone()
    if row is None:
        raise LedgerDamaged("load ledger", reason="the lowest final block is missing")
    return int(row[0])


def _begin_at(connection: sqlite3.Connection, height: int) -> None:
    """Final blocks below it are not there any more, but for the first."""
    connection.execute(
        "INSERT OR REPLACE INTO ledger_heads"
        " SELECT ?, id FROM ledger_blocks WHERE final AND length = ?",
        (_LOWEST, height),
    )


def _put_block(connection: sqlite3.Connection, block: Block, *, is_final: bool) -> None:
    header = block.header
    row = (header.id, header.parent, header.chain_length, is_final, encode_block(block))
    connection.execute("INSERT OR IGNORE INTO ledger_blocks VALUES (?, ?, ?, ?, ?)", row)


def _finish(connection: sqlite3.Connection, final: BlockId, changes: Changes) -> None:
    put = [(*cell, encode_value(value)) for cell, value in changes.items() if value is not None]
    gone = [cell for cell, value in changes.items() if value is None]
    connection.executemany("INSERT OR REPLACE INTO ledger_cells VALUES (?, ?, ?)", put)
    connection.executemany("DELETE FROM ledger_cells WHERE name = ? AND key = ?", gone)
    connection.execute("INSERT OR REPLACE INTO ledger_heads VALUES (?, ?)", (_FINAL, final))


def _block_of(connection: sqlite3.Connection, block: BlockId) -> bytes | None:
    query = "SELECT content FROM ledger_blocks WHERE id = ?"
    row = connection.execute(query, (block,)).fetchone()
    return None if row is None else bytes(row[0])


def _load(connection: sqlite3.Connection) -> Kept | None:
    head = connection.execute("SELECT block FROM ledger_heads WHERE name = ?", (_FINAL,)).fetchone()
    if head is None:
        return None
    with decoding_rows(connection, "ledger_cells"):
        query = "SELECT name, key, content FROM ledger_cells"
        changes = {
            (str(name), bytes(key)): decode_value(str(name), bytes(content))
            for name, key, content in connection.execute(query)
        }
    base = Base()
    base.take(changes)
    first = "SELECT id FROM ledger_blocks WHERE final AND length = 0"
    block0 = connection.execute(first).fetchone()
    if block0 is None:
        raise LedgerDamaged("load ledger", reason="its first block is missing")
    final = _read_block(connection, BlockId(bytes(head[0])))
    root = Place(BlockId(bytes(block0[0])), final.header.id, final.header, first_layer(base))
    query = "SELECT id FROM ledger_blocks WHERE NOT final ORDER BY length, id"
    ids = [BlockId(bytes(row[0])) for row in connection.execute(query)]
    blocks = tuple(_read_block(connection, block) for block in ids)
    return Kept(root, base, blocks, _load_certificates(connection))


def _load_certificates(connection: sqlite3.Connection) -> tuple[Certificate, ...]:
    with decoding_rows(connection, "ledger_votes"):
        query = "SELECT content FROM ledger_votes ORDER BY target"
        return tuple(decode_certificate(bytes(row[0])) for row in connection.execute(query))


def _read_block(connection: sqlite3.Connection, block: BlockId) -> Block:
    data = _block_of(connection, block)
    if data is None:
        raise LedgerDamaged("load ledger", block=block.hex(), reason="it is missing")
    try:
        read = decode_block(data)
    except TetrarchError as error:
        raise LedgerDamaged("load ledger", block=block.hex(), reason=error) from None
    if read.header.id != block:
        raise LedgerDamaged("load ledger", block=block.hex(), reason="it is another block")
    return read
