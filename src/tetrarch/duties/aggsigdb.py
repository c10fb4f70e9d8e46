"""AggSigDB: the group's signatures, durable, with blocking queries.

It also knows which of them the beacon node has taken, so that a restarted node submits the
others only. That is noted after the submission: what is not noted is submitted again.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass

from tetrarch.duties.duty import duty_from
from tetrarch.duties.payload_codec import decode_payload, encode_payload
from tetrarch.duties.ports import Storage
from tetrarch.duties.types import (
    PUBLIC_KEY_SIZE_BYTES,
    SIGNATURE_SIZE_BYTES,
    Duty,
    DutyType,
    PubKey,
    SignedData,
    SignedDataSet,
)
from tetrarch.duties.waiting import Waiters
from tetrarch.errors import InputInvalid, TetrarchError
from tetrarch.output import Output
from tetrarch.storage.migrations import Schema
from tetrarch.storage.rows import blob, decoding_rows

_TABLE_AND_INDEXES = (
    """
    CREATE TABLE aggsigdb (
        slot INTEGER NOT NULL,
        duty_type INTEGER NOT NULL,
        pubkey BLOB NOT NULL,
        sub_index INTEGER NOT NULL,
        data BLOB NOT NULL,
        signature BLOB NOT NULL,
        PRIMARY KEY (slot, duty_type, pubkey, sub_index)
    ) WITHOUT ROWID
    """,
)
# One row for each submission, however many validators it was for.
_SUBMITTED = (
    """
    CREATE TABLE aggsigdb_submitted (
        slot INTEGER NOT NULL,
        duty_type INTEGER NOT NULL,
        keys BLOB NOT NULL
    )
    """,
    "CREATE INDEX aggsigdb_submitted_duty ON aggsigdb_submitted (slot, duty_type)",
)
SCHEMA = Schema(component="aggsigdb", steps=(_TABLE_AND_INDEXES, _SUBMITTED))

_INSERT = "INSERT INTO aggsigdb VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"

_Key = tuple[Duty, PubKey, int]
_KEY_SIZE_BYTES = PUBLIC_KEY_SIZE_BYTES + 1  # of a submitted object: root key, sub-index


class MismatchingSignature(TetrarchError):
    """A different signed object is already stored for the key."""

    code = "mismatching_signature"


@dataclass(frozen=True, slots=True, kw_only=True)
class Submissions:
    """A duty's stored group signatures: what the beacon node is known to have, and what not."""

    taken: tuple[SignedData, ...]
    left: tuple[SignedData, ...]


class AggSigDB:
    """Inputs: ``store``, ``note_submitted``. Queries: ``await_signed``, ``submissions``."""

    def __init__(self, *, storage: Storage) -> None:
        self.stored = Output[SignedDataSet]("stored")
        self._storage = storage
        self._waiters = Waiters[_Key, SignedData]()
        self._submitted = Waiters[Duty, Duty]()

    async def store(self, signed_set: SignedDataSet) -> None:
        """Make group signatures durable. Storing the same again does nothing.

        Raises:
            MismatchingSignature: another object is stored under one of the keys.
        """
        duty = signed_set.duty

        rows = [
            (
                duty.slot,
                int(duty.type),
                item.pubkey,
                item.sub_index,
                encode_payload(item.payload),
                item.signature,
            )
            for item in signed_set.items
        ]

        def transaction(connection: sqlite3.Connection) -> None:
            if connection.executemany(_INSERT, rows).rowcount == len(rows):
                return  # all of them are new: nothing can differ
            for row in rows:
                if _find(connection, row[:4]) != row[4:]:
                    raise MismatchingSignature("store group signature", duty=duty)

        # Waiters need the value now; a crash before the commit loses nothing that a second
        # aggregation of the same durable partials would not bring back. Announced again after
        # the commit for a waiter that looked into the database in between.
        self._announce(signed_set)
        await self._storage.write(transaction)
        self._announce(signed_set)
        await self.stored.emit(signed_set)

    def _announce(self, signed_set: SignedDataSet) -> None:
        for item in signed_set.items:
            self._waiters.announce((signed_set.duty, item.pubkey, item.sub_index), item)

    async def await_signed(self, duty: Duty, pubkey: PubKey, *, sub_index: int = 0) -> SignedData:
        """Wait until the group's signature is there, or until the caller gives up."""
        key = (duty, pubkey, sub_index)
        return await self._waiters.wait(key, lambda: self.find(*key))

    async def signed_of(self, duty: Duty) -> dict[tuple[PubKey, int], SignedData]:
        """All stored group signatures of ``duty``, by root key and sub-index. One read."""
        stored = await self.submissions(duty)
        return {(each.pubkey, each.sub_index): each for each in stored.taken + stored.left}

    async def duties_of(self, types: Collection[DutyType]) -> tuple[Duty, ...]:
        """The duties of these types that anything is stored of, in order."""
        numbers = [int(each) for each in types]

        def query(connection: sqlite3.Connection) -> tuple[Duty, ...]:
            marks = ", ".join("?" * len(numbers))
            rows = connection.execute(
                f"SELECT DISTINCT slot, duty_type FROM aggsigdb WHERE duty_type IN ({marks})"  # noqa: S608 - marks alone
                " ORDER BY slot, duty_type",
                numbers,
            ).fetchall()
            with decoding_rows(connection, "aggsigdb"):
                return tuple(duty_from(*row) for row in rows)

        return await self._storage.read(query)

    async def collect(
        self, duty: Duty, keys: Collection[tuple[PubKey, int]], *, wait_s: float
    ) -> dict[tuple[PubKey, int], SignedData]:
        """Those of ``keys`` that are signed by now, or within ``wait_s``."""
        found = await self.signed_of(duty)
        found = {key: found[key] for key in keys if key in found}

        async def wait(key: tuple[PubKey, int]) -> None:
            found[key] = await self.await_signed(duty, key[0], sub_index=key[1])

        missing = [key for key in keys if key not in found]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s), asyncio.TaskGroup() as waiting:
                for key in missing if wait_s > 0 else ():
                    waiting.create_task(wait(key))
        return found

    @property
    def waiting_count(self) -> int:
        """How many keys somebody waits for now."""
        return len(self._waiters.keys) + len(self._submitted.keys)

    async def find(self, duty: Duty, pubkey: PubKey, sub_index: int = 0) -> SignedData | None:
        """The stored group signature, or None."""

        def query(connection: sqlite3.Connection) -> SignedData | None:
            row = _find(connection, (duty.slot, int(duty.type), pubkey, sub_index))
            if row is None:
                return None
            with decoding_rows(connection, "aggsigdb", duty=duty):
                return _signed(pubkey, *row)

        return await self._storage.read(query)

    async def note_submitted(self, signed_set: SignedDataSet) -> None:
        """The beacon node took these. One row for all; noting them again does no harm."""
        duty = signed_set.duty
        row = (duty.slot, int(duty.type), b"".join(_key(item) for item in signed_set.items))
        await self._storage.write(
            lambda connection: connection.execute(
                "INSERT INTO aggsigdb_submitted VALUES (?, ?, ?)", row
            )
        )
        self._submitted.announce(duty, duty)

    async def await_submitted(self, duty: Duty) -> None:
        """Wait until the beacon node took anything of ``duty``, or until the caller gives up."""

        async def present() -> Duty | None:
            return duty if (await self.submissions(duty)).taken else None

        await self._submitted.wait(duty, present)

    async def submissions(self, duty: Duty) -> Submissions:
        """What is stored of ``duty``, by whether the beacon node is known to have taken it."""
        return await self._storage.read(lambda connection: _submissions(connection, duty))

    async def delete_before(self, duty_type: DutyType, slot: int) -> int:
        """Delete rows of ``duty_type`` older than ``slot``; see ``retention``. Returns the count."""

        def transaction(connection: sqlite3.Connection) -> int:
            older = (int(duty_type), slot)
            connection.execute(
                "DELETE FROM aggsigdb_submitted WHERE duty_type = ? AND slot < ?", older
            )
            return connection.execute(
                "DELETE FROM aggsigdb WHERE duty_type = ? AND slot < ?", older
            ).rowcount

        return await self._storage.write(transaction)


def _signed(pubkey: bytes, data: bytes, signature: bytes) -> SignedData:
    if len(pubkey) != PUBLIC_KEY_SIZE_BYTES or len(signature) != SIGNATURE_SIZE_BYTES:
        raise InputInvalid("decode row", field="pubkey or signature")
    return SignedData(
        pubkey=PubKey(pubkey),
        payload=decode_payload(data),
        signature=blob(signature),
    )


def _key(item: SignedData) -> bytes:
    return item.pubkey + bytes([item.sub_index])


def _submissions(connection: sqlite3.Connection, duty: Duty) -> Submissions:
    of_duty = (duty.slot, int(duty.type))
    rows = connection.execute(
        "SELECT pubkey, data, signature FROM aggsigdb WHERE slot = ? AND duty_type = ?"
        " ORDER BY pubkey, sub_index",
        of_duty,
    ).fetchall()
    notes = connection.execute(
        "SELECT keys FROM aggsigdb_submitted WHERE slot = ? AND duty_type = ?", of_duty
    ).fetchall()
    with decoding_rows(connection, "aggsigdb", duty=duty):
        signed = [_signed(*row) for row in rows]
    with decoding_rows(connection, "aggsigdb_submitted", duty=duty):
        known = {key for (keys,) in notes for key in _keys(blob(keys))}
    return Submissions(
        taken=tuple(item for item in signed if _key(item) in known),
        left=tuple(item for item in signed if _key(item) not in known),
    )


def _keys(keys: bytes) -> list[bytes]:
    if len(keys) % _KEY_SIZE_BYTES:
        raise InputInvalid("decode row", field="keys", size_bytes=len(keys))
    return [keys[at : at + _KEY_SIZE_BYTES] for at in range(0, len(keys), _KEY_SIZE_BYTES)]


def _find(
    connection: sqlite3.Connection, key: tuple[int, int, bytes, int]
) -> tuple[bytes, bytes] | None:
    row: tuple[bytes, bytes] | None = connection.execute(
        "SELECT data, signature FROM aggsigdb WHERE slot = ? AND duty_type = ? AND pubkey = ?"
        " AND sub_index = ?",
        key,
    ).fetchone()
    return row
