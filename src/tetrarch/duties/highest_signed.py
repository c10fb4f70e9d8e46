"""What a node remembers of its peers' shares: the newest vote, block and sync message of each.

A peer whose folder was restored from an old backup asks for it at its start (``safe_start``). The
partials in ParSigDB are that memory, as long as they are kept; what retention deletes moves
here first, in the same transaction, if it is a share's newest for its validator. So nothing is
written for it where signatures pass.

Sync messages are told as long as their partials are kept, and not beyond: nobody is slashed for
two of them, and only those of the last slots can be signed anew.

One vote is enough. Of two votes that are not slashable together, the one with the higher target has
no lower source: the newest denies all that could clash with any of them.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from tetrarch.duties.duty import duty_from
from tetrarch.duties.payload_codec import decode_payload
from tetrarch.duties.types import (
    DutyType,
    PartialSet,
    PartialSignature,
    PubKey,
    ShareIndex,
)
from tetrarch.storage.migrations import Schema
from tetrarch.storage.rows import decoding_rows

SLASHABLE_TYPES = (DutyType.PROPOSER, DutyType.ATTESTER)
TOLD_TYPES = (*SLASHABLE_TYPES, DutyType.SYNC_MESSAGE)
_TOLD = {each.name.lower(): int(each) for each in TOLD_TYPES}  # named so in the statement below

_TABLE = """
CREATE TABLE highest_signed (
    share_index INTEGER NOT NULL, pubkey BLOB NOT NULL, duty_type INTEGER NOT NULL,
    slot INTEGER NOT NULL, data BLOB NOT NULL, signature BLOB NOT NULL,
    PRIMARY KEY (share_index, pubkey, duty_type)) WITHOUT ROWID
"""
SCHEMA = Schema(component="highest_signed", steps=((_TABLE,),))

# SQLite takes the other columns from the row that has the maximum.
_KEEP = """
INSERT INTO highest_signed
SELECT share_index, pubkey, duty_type, max(slot), data, signature FROM parsigdb
WHERE duty_type = :duty_type AND slot < :before AND (share_index, pubkey) NOT IN (
    SELECT share_index, pubkey FROM parsigdb WHERE slot >= :before AND duty_type = :duty_type)
GROUP BY share_index, pubkey, duty_type HAVING true
ON CONFLICT (share_index, pubkey, duty_type) DO UPDATE SET
    slot = excluded.slot, data = excluded.data, signature = excluded.signature
    WHERE excluded.slot > highest_signed.slot
"""
_HIGHEST = """
SELECT max(slot), duty_type, pubkey, data, signature FROM (
    SELECT slot, duty_type, pubkey, data, signature FROM highest_signed
    WHERE share_index = :share AND pubkey > :after
    UNION ALL
    SELECT slot, duty_type, pubkey, data, signature FROM parsigdb
    WHERE share_index = :share AND pubkey > :after AND duty_type IN (:proposer, :attester, :sync_message))
GROUP BY pubkey, duty_type ORDER BY pubkey, duty_type LIMIT :limit
"""
_NEWEST_SLOTS = """
SELECT pubkey, max(slot) FROM parsigdb WHERE share_index = ? AND duty_type = ? GROUP BY pubkey
"""


@dataclass(frozen=True, slots=True)
class Page:
    """What one share signed last of each kind. ``more``: validators with higher keys follow."""

    sets: tuple[PartialSet, ...]
    more: bool


def keep(connection: sqlite3.Connection, duty_type: DutyType, before: int) -> None:
    """Call before rows older than slot ``before`` are deleted, in the same transaction."""
    if duty_type in SLASHABLE_TYPES:
        connection.execute(_KEEP, {"duty_type": int(duty_type), "before": before})


def highest(
    connection: sqlite3.Connection, share_index: ShareIndex, *, after: bytes, limit: int
) -> Page:
    """What the share signed last of each kind, for each validator whose key is above ``after``.

    At most ``limit`` (four or more) of them, the lowest keys first. Cost: reads all of the
    share's rows.
    """
    values = {"share": share_index, "after": after, "limit": limit, **_TOLD}
    rows = connection.execute(_HIGHEST, values).fetchall()
    more = len(rows) == limit
    if more:  # one kind of the last validator's may be cut off from the others
        last = rows[-1][2]
        rows = [row for row in rows if row[2] != last]
    rows.sort()
    sets = []
    for (slot, number), group in groupby(rows, key=lambda row: (row[0], row[1])):
        with decoding_rows(connection, "highest_signed", slot=slot, duty_type=number):
            partials = _partials(share_index, group)
            sets.append(PartialSet(duty=duty_from(slot, number), partials=partials))
    return Page(tuple(sets), more)


def newest_slots(
    connection: sqlite3.Connection, share_index: ShareIndex, duty_type: DutyType
) -> dict[PubKey, int]:
    """The last slot of which a partial of the share is kept, by validator. Cost: as ``highest``."""
    rows = connection.execute(_NEWEST_SLOTS, (share_index, int(duty_type)))
    return {PubKey(pubkey): slot for pubkey, slot in rows}


def _partials(
    share_index: ShareIndex, rows: Iterable[tuple[int, int, bytes, bytes, bytes]]
) -> tuple[PartialSignature, ...]:
    return tuple(
        PartialSignature(
            pubkey=PubKey(pubkey),
            share_index=share_index,
            payload=decode_payload(data),
            signature=signature,
        )
        for _, _, pubkey, data, signature in rows
    )
