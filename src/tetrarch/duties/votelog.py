"""The durable vote log of consensus: a restarted node must not vote differently."""

import asyncio
import sqlite3
from collections.abc import Sequence

from tetrarch.consensus.messages import MessageType, ValueHash
from tetrarch.consensus.votes import Vote
from tetrarch.duties.ports import Storage
from tetrarch.duties.types import Duty, DutyType
from tetrarch.errors import Transient
from tetrarch.storage.migrations import Schema
from tetrarch.storage.rows import blob, decoding_rows

RETRY_S = 0.5

_TABLE = """
CREATE TABLE votes (
    slot INTEGER NOT NULL,
    duty_type INTEGER NOT NULL,
    round INTEGER NOT NULL,
    message_type INTEGER NOT NULL,
    value_hash BLOB NOT NULL,
    content BLOB NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (slot, duty_type, round, message_type)
) WITHOUT ROWID
"""
SCHEMA = Schema(component="votes", steps=((_TABLE,),))


class DurableVoteLog:
    """Satisfies ``consensus.votes.VoteLog`` on the node's database."""

    def __init__(self, *, storage: Storage) -> None:
        self._storage = storage

    async def record(self, votes: Sequence[Vote]) -> tuple[Vote, ...]:
        """Store votes, all in one transaction; return those that contradict nothing.

        Where nothing can be stored now (the disk is full) it waits: a node that cannot record
        must be silent, and the duty's deadline cancels the wait.
        """

        def transaction(connection: sqlite3.Connection) -> tuple[Vote, ...]:
            return tuple(vote for vote in votes if _record(connection, vote))

        while True:
            try:
                return await self._storage.write(transaction)
            except Transient:
                await asyncio.sleep(RETRY_S)

    async def votes(self, duty: Duty) -> tuple[Vote, ...]:
        """All votes for ``duty``, by round and type."""
        return await self._storage.read(lambda connection: _select(connection, duty))

    async def forget(self, duty: Duty) -> None:
        """Keep them: retention deletes votes by age, and a clock may go back."""

    async def delete_before(self, duty_type: DutyType, slot: int) -> int:
        """Delete rows of ``duty_type`` older than ``slot``; see ``retention``. Returns the count."""
        return await self._storage.write(
            lambda connection: (
                connection.execute(
                    "DELETE FROM votes WHERE duty_type = ? AND slot < ?", (int(duty_type), slot)
                ).rowcount
            )
        )


def _select(connection: sqlite3.Connection, duty: Duty) -> tuple[Vote, ...]:
    rows = connection.execute(
        "SELECT round, message_type, value_hash, content, value FROM votes"
        " WHERE slot = ? AND duty_type = ? ORDER BY round, message_type",
        (duty.slot, int(duty.type)),
    ).fetchall()
    with decoding_rows(connection, "votes", duty=duty):
        return tuple(
            Vote(
                duty=duty,
                round=round_number,
                type=MessageType(message_type),
                value_hash=ValueHash(blob(value_hash)),
                content=blob(content),
                value=blob(value),
            )
            for round_number, message_type, value_hash, content, value in rows
        )


def _record(connection: sqlite3.Connection, vote: Vote) -> bool:
    key = (vote.duty.slot, int(vote.duty.type), vote.round, int(vote.type))
    connection.execute(
        "INSERT INTO votes VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (*key, vote.value_hash, vote.content, vote.value),
    )
    stored = connection.execute(
        "SELECT value_hash FROM votes WHERE slot = ? AND duty_type = ? AND round = ?"
        " AND message_type = ?",
        key,
    ).fetchone()
    return stored is not None and bytes(stored[0]) == bytes(vote.value_hash)
