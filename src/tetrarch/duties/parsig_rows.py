"""ParSigDB's table: the seed's data model, every index it names, and the statements on it."""

import sqlite3
from dataclasses import dataclass
from enum import IntEnum
from itertools import groupby
from operator import itemgetter
from typing import TypeAlias

from tetrarch.duties import highest_signed
from tetrarch.duties.duty import duty_from
from tetrarch.duties.payload_codec import decode_payload, encode_payload
from tetrarch.duties.types import (
    Duty,
    DutyType,
    PartialSet,
    PartialSignature,
    PubKey,
    ShareIndex,
)
from tetrarch.storage.migrations import Schema
from tetrarch.storage.rows import decoding_rows

Connection: TypeAlias = sqlite3.Connection

_TABLE_AND_INDEXES = (
    """
    CREATE TABLE parsigdb (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        created_at_ns INTEGER NOT NULL,
        updated_at_ns INTEGER NOT NULL,
        slot INTEGER NOT NULL,
        duty_type INTEGER NOT NULL,
        pubkey BLOB NOT NULL,
        sub_index INTEGER NOT NULL,
        share_index INTEGER NOT NULL,
        data BLOB NOT NULL,
        signature BLOB NOT NULL,
        status INTEGER NOT NULL
    )
    """,
    """
    CREATE UNIQUE INDEX parsigdb_unique
    ON parsigdb (slot, duty_type, pubkey, sub_index, share_index)
    """,
    "CREATE INDEX parsigdb_status ON parsigdb (status, slot, duty_type)",
)
SCHEMA = Schema(component="parsigdb", steps=(_TABLE_AND_INDEXES,))


class Status(IntEnum):
    """The seed's states of a partial signature."""

    INTERNAL = 1  # received from the local signer, not broadcast yet
    BROADCASTED = 2  # received from a peer, or broadcast to the peers
    AGGREGATED = 3  # part of a group signature, or came after one
    EXPIRED = 4  # too late, or false: never aggregated any more


@dataclass(frozen=True, slots=True)
class StoredSet:
    """Rows of one duty in one state."""

    partial_set: PartialSet
    status: Status


def insert(
    connection: Connection, partial_set: PartialSet, status: Status, *, now_s: float
) -> None:
    """Insert what is new; a row that exists stays as it is."""
    now_ns = int(now_s * 1e9)
    duty = partial_set.duty
    connection.executemany(
        "INSERT INTO parsigdb (created_at_ns, updated_at_ns, slot, duty_type, pubkey, sub_index,"
        " share_index, data, signature, status) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        [
            (
                now_ns,
                now_ns,
                duty.slot,
                int(duty.type),
                p.pubkey,
                p.sub_index,
                p.share_index,
                encode_payload(p.payload),
                p.signature,
                int(status),
            )
            for p in partial_set.partials
        ],
    )


def set_status(
    connection: Connection, partial_set: PartialSet, status: Status, *, now_s: float
) -> None:
    """Move rows forward to ``status``; a row never goes back to an earlier state."""
    duty = partial_set.duty
    connection.executemany(
        "UPDATE parsigdb SET status = ?, updated_at_ns = ? WHERE slot = ? AND duty_type = ?"
        " AND pubkey = ? AND sub_index = ? AND share_index = ? AND status < ?",
        [
            (
                int(status),
                int(now_s * 1e9),
                duty.slot,
                int(duty.type),
                p.pubkey,
                p.sub_index,
                p.share_index,
                int(status),
            )
            for p in partial_set.partials
        ],
    )


def expire(connection: Connection, duty: Duty, *, now_s: float) -> None:
    """Everything of ``duty`` that was never aggregated becomes Expired."""
    connection.execute(
        "UPDATE parsigdb SET status = ?, updated_at_ns = ?"
        " WHERE status IN (?, ?) AND slot = ? AND duty_type = ?",
        (
            int(Status.EXPIRED),
            int(now_s * 1e9),
            int(Status.INTERNAL),
            int(Status.BROADCASTED),
            duty.slot,
            int(duty.type),
        ),
    )


def unfinished(connection: Connection) -> tuple[StoredSet, ...]:
    """All rows that are not Expired, by duty and state, in order."""
    found = connection.execute(
        "SELECT slot, duty_type, status, pubkey, share_index, data, signature"
        " FROM parsigdb WHERE status IN (?, ?, ?)"
        " ORDER BY slot, duty_type, status, pubkey, sub_index, share_index",
        (int(Status.INTERNAL), int(Status.BROADCASTED), int(Status.AGGREGATED)),
    ).fetchall()
    sets = []
    for (slot, number, status), group in groupby(found, key=itemgetter(0, 1, 2)):
        with decoding_rows(connection, "parsigdb", slot=slot, duty_type=number):
            partials = tuple(
                PartialSignature(
                    pubkey=PubKey(pubkey),
                    share_index=ShareIndex(share_index),
                    payload=decode_payload(data),
                    signature=signature,
                )
                for *_, pubkey, share_index, data, signature in group
            )
            partial_set = PartialSet(duty=duty_from(slot, number), partials=partials)
            sets.append(StoredSet(partial_set, Status(status)))
    return tuple(sets)


def delete_before(connection: Connection, duty_type: DutyType, slot: int) -> int:
    """Delete rows of ``duty_type`` older than ``slot``; what peers may ask for is kept."""
    highest_signed.keep(connection, duty_type, slot)
    return connection.execute(
        "DELETE FROM parsigdb WHERE duty_type = ? AND slot < ?", (int(duty_type), slot)
    ).rowcount
