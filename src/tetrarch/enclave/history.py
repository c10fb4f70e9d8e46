"""Everything that was approved for each root key, durable before a signature leaves.

The enclave keeps one in its own database. The node keeps one in its own for the group keys:
it refuses a proposed value before PREPARE that would be slashable for the group.

The functions take a connection and run inside their caller's transaction, one durable commit
per batch. Votes are keyed (target, pubkey), not the reverse: a slot's votes then lie on the
same few pages, which halves the time of the commit.
"""

import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from tetrarch.enclave.errors import WrongChain
from tetrarch.enclave.lookups import KeyHistory, Lookups
from tetrarch.enclave.rules import (
    Block,
    New,
    Verdict,
    Vote,
    Wish,
    judge_block,
    judge_vote,
)
from tetrarch.storage.migrations import Schema

R = TypeVar("R")

# Votes older than this below the newest epoch are pruned into floors: about 27 hours.
KEEP_EPOCHS = 256

SCHEMA = Schema(
    component="slashing",
    steps=(
        (
            """CREATE TABLE slashing_block (
                slot INTEGER NOT NULL, pubkey BLOB NOT NULL, signing_root BLOB,
                PRIMARY KEY (slot, pubkey)) WITHOUT ROWID""",
            """CREATE TABLE slashing_vote (
                target INTEGER NOT NULL, pubkey BLOB NOT NULL,
                source INTEGER NOT NULL, signing_root BLOB,
                PRIMARY KEY (target, pubkey)) WITHOUT ROWID""",
            # Floors and maxima outlive the rows: what is pruned stays denied.
            """CREATE TABLE slashing_key (
                pubkey BLOB NOT NULL PRIMARY KEY, floor_slot INTEGER,
                floor_source INTEGER, floor_target INTEGER,
                max_source INTEGER, max_target INTEGER) WITHOUT ROWID""",
            """CREATE TABLE slashing_chain (
                only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
                genesis_validators_root BLOB NOT NULL)""",
        ),
    ),
)

_NOTE_BLOCK = """
INSERT INTO slashing_key (pubkey, floor_slot) VALUES (:pubkey, :slot)
ON CONFLICT (pubkey) DO UPDATE SET floor_slot = coalesce(floor_slot, :slot)
"""
_NOTE_VOTE = """
INSERT INTO slashing_key (pubkey, floor_source, floor_target, max_source, max_target)
VALUES (:pubkey, :source, :target, :source, :target)
ON CONFLICT (pubkey) DO UPDATE SET
    floor_source = coalesce(floor_source, :source), floor_target = coalesce(floor_target, :target),
    max_source = max(coalesce(max_source, 0), :source),
    max_target = max(coalesce(max_target, 0), :target)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much the history holds."""

    keys: int
    blocks: int
    votes: int


def check(connection: sqlite3.Connection, wishes: tuple[Wish, ...]) -> tuple[Verdict, ...]:
    """Judge each wish alone against what is recorded; changes nothing.

    Cost: for a slot's votes two statements, and 3 us for each.
    """
    found = Lookups(connection, wishes)
    return tuple(_judge(found.of(wish), wish) for wish in wishes)


def check_and_record(
    connection: sqlite3.Connection, wishes: tuple[Wish, ...]
) -> tuple[Verdict, ...]:
    """Judge each wish against what is recorded and against the wishes before it; record it.

    Runs inside the caller's transaction: nothing may be signed before its commit returned.
    Cost: for a slot's votes four statements, and 10 us for each.
    """
    found = Lookups(connection, wishes)
    verdicts: list[Verdict] = []
    new: list[Wish] = []
    for wish in wishes:
        if wish.pubkey in found.repeated and new:
            _record_all(connection, new)  # what it is judged by must be in the tables
            new = []
        verdict = _judge(found.of(wish), wish)
        if isinstance(verdict, New):
            new.append(wish)
        verdicts.append(verdict)
    _record_all(connection, new)
    return tuple(verdicts)


def bind_chain(connection: sqlite3.Connection, genesis_validators_root: bytes) -> None:
    """Tie this history to one chain, at first use for good.

    Raises:
        WrongChain: it is tied to another one.
    """
    bound = chain(connection)
    if bound is None:
        connection.execute("INSERT INTO slashing_chain VALUES (1, ?)", (genesis_validators_root,))
    elif bound != genesis_validators_root:
        raise WrongChain(
            "bind slashing history",
            history_of="0x" + bound.hex(),
            asked_for="0x" + genesis_validators_root.hex(),
        )


def chain(connection: sqlite3.Connection) -> bytes | None:
    """The genesis validators root that this history is tied to."""
    row = connection.execute("SELECT genesis_validators_root FROM slashing_chain").fetchone()
    return bytes(row[0]) if row else None


def prune(connection: sqlite3.Connection, *, slots_per_epoch: int, keep: int = KEEP_EPOCHS) -> int:
    """Replace what lies ``keep`` epochs before the newest vote by floors; return how many.

    Nothing that was denied before is approved after: floors deny all that pruned rows denied.
    Age is counted from the newest vote, not from the clock, which may be wrong.
    """
    (newest,) = connection.execute("SELECT max(target) FROM slashing_vote").fetchone()
    last = 0 if newest is None else newest - keep
    if last <= 0:
        return 0
    connection.execute(
        """UPDATE slashing_key SET floor_source = max(floor_source, old.source),
               floor_target = max(floor_target, old.target)
           FROM (SELECT pubkey AS k, max(source) AS source, max(target) AS target
                 FROM slashing_vote WHERE target < ? GROUP BY pubkey) AS old
           WHERE pubkey = old.k""",
        (last,),
    )
    votes = connection.execute("DELETE FROM slashing_vote WHERE target < ?", (last,)).rowcount
    first_slot = last * slots_per_epoch
    connection.execute(
        """UPDATE slashing_key SET floor_slot = max(floor_slot, old.slot)
           FROM (SELECT pubkey AS k, max(slot) AS slot
                 FROM slashing_block WHERE slot < ? GROUP BY pubkey) AS old
           WHERE pubkey = old.k""",
        (first_slot,),
    )
    blocks = connection.execute("DELETE FROM slashing_block WHERE slot < ?", (first_slot,)).rowcount
    return votes + blocks


def counts(connection: sqlite3.Connection) -> Counts:
    """How much is recorded. Cost: reads the tables; not for every slot."""
    row = connection.execute(
        "SELECT (SELECT count(*) FROM slashing_key), (SELECT count(*) FROM slashing_block), "
        "(SELECT count(*) FROM slashing_vote)"
    ).fetchone()
    return Counts(keys=row[0], blocks=row[1], votes=row[2])


def _judge(history: KeyHistory, wish: Wish) -> Verdict:
    match wish.what:
        case Block() as block:
            return judge_block(block, history)
        case Vote() as vote:
            return judge_vote(vote, history)


def record(connection: sqlite3.Connection, wishes: list[Wish]) -> None:
    """Record ``wishes`` without judging them: for imports only."""
    _record_all(connection, wishes)


def _record_all(connection: sqlite3.Connection, wishes: list[Wish]) -> None:
    votes = [(wish.pubkey, wish.what) for wish in wishes if isinstance(wish.what, Vote)]
    blocks = [(wish.pubkey, wish.what) for wish in wishes if isinstance(wish.what, Block)]
    connection.executemany(
        "INSERT INTO slashing_vote VALUES (?, ?, ?, ?)",
        [(vote.target, pubkey, vote.source, vote.signing_root) for pubkey, vote in votes],
    )
    connection.executemany(
        _NOTE_VOTE,
        [
            {"pubkey": pubkey, "source": vote.source, "target": vote.target}
            for pubkey, vote in votes
        ],
    )
    connection.executemany(
        "INSERT INTO slashing_block VALUES (?, ?, ?)",
        [(block.slot, pubkey, block.signing_root) for pubkey, block in blocks],
    )
    connection.executemany(
        _NOTE_BLOCK, [{"pubkey": pubkey, "slot": block.slot} for pubkey, block in blocks]
    )


def raise_floors(connection: sqlite3.Connection, pubkey: bytes, vote: Vote) -> None:
    """Deny from now on everything that could clash with ``vote``, without recording it."""
    values = {"pubkey": pubkey, "source": vote.source, "target": vote.target}
    connection.execute(_NOTE_VOTE, values)
    connection.execute(
        "UPDATE slashing_key SET floor_source = max(floor_source, :source), "
        "floor_target = max(floor_target, :target) WHERE pubkey = :pubkey",
        values,
    )


def raise_slot_floor(connection: sqlite3.Connection, pubkey: bytes, slot: int) -> None:
    """Deny from now on every block up to ``slot`` that is not recorded."""
    values = {"pubkey": pubkey, "slot": slot}
    connection.execute(_NOTE_BLOCK, values)
    connection.execute(
        "UPDATE slashing_key SET floor_slot = max(floor_slot, :slot) WHERE pubkey = :pubkey",
        values,
    )


class Storage(Protocol):
    """The database that a ``SlashingHistory`` lives in: ``storage.Database`` or its twin."""

    def write(self, function: Callable[[sqlite3.Connection], R], /) -> Awaitable[R]:
        """Run ``function`` in a transaction; return once its effects are durable."""
        ...

    def read(self, function: Callable[[sqlite3.Connection], R], /) -> Awaitable[R]:
        """Run ``function`` on a snapshot of what is committed."""
        ...


class SlashingHistory:
    """The history in an asyncio program's database, which was opened with ``SCHEMA``."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def check(self, wishes: tuple[Wish, ...]) -> tuple[Verdict, ...]:
        """See the function ``check``."""
        return await self._storage.read(partial(check, wishes=wishes))

    async def check_and_record(self, wishes: tuple[Wish, ...]) -> tuple[Verdict, ...]:
        """See the function ``check_and_record``. Durable when it returns."""
        return await self._storage.write(partial(check_and_record, wishes=wishes))

    async def bind_chain(self, genesis_validators_root: bytes) -> None:
        """See the function ``bind_chain``."""
        root = genesis_validators_root
        await self._storage.write(partial(bind_chain, genesis_validators_root=root))

    async def prune(self, *, slots_per_epoch: int) -> int:
        """See the function ``prune``. Cheap when called once per epoch."""
        return await self._storage.write(partial(prune, slots_per_epoch=slots_per_epoch))
