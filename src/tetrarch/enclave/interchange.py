"""Reads and writes EIP-3076 interchange files, the way histories move between clients.

Import only ever adds to what is denied. Where a file contradicts itself or what is stored, or
holds a vote whose source lies after its target, that record becomes a floor: everything that
could clash with it is denied, without keeping it in detail.

Source: EIP-3076, format version 5.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from tetrarch.enclave import history
from tetrarch.enclave.errors import InterchangeInvalid
from tetrarch.enclave.lookups import KeyHistory
from tetrarch.enclave.rules import TIME_MAX, Block, Vote, Wish
from tetrarch.errors import InputInvalid
from tetrarch.ethereum.spec.values import member, parse_hex, parse_uint64

FORMAT_VERSION = "5"
FILE_SIZE_MAX_BYTES = 1 << 30
_PUBKEY_BYTES = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import brought: records read, and those that became floors."""

    keys: int
    blocks: int
    votes: int
    made_floors: int


def export(connection: sqlite3.Connection) -> bytes:
    """The whole history as interchange JSON. Run it on a snapshot.

    Raises:
        InterchangeInvalid: the history is not yet tied to a chain.
    """
    root = history.chain(connection)
    if root is None:
        raise InterchangeInvalid("export interchange", reason="history is tied to no chain yet")
    keys = connection.execute(
        "SELECT pubkey, floor_slot, floor_source, floor_target FROM slashing_key ORDER BY pubkey"
    ).fetchall()
    document = {
        "metadata": {
            "interchange_format_version": FORMAT_VERSION,
            "genesis_validators_root": _hex(root),
        },
        "data": [
            {
                "pubkey": _hex(pubkey),
                "signed_blocks": _exported_blocks(connection, pubkey, slot),
                "signed_attestations": _exported_votes(connection, pubkey, source, target),
            }
            for pubkey, slot, source, target in keys
        ],
    }
    return msgspec.json.encode(document)


def import_(
    connection: sqlite3.Connection, document: bytes, *, gaps_allowed: bool = False
) -> Imported:
    """Add the records of interchange JSON to the history, in the caller's transaction.

    Args:
        connection: inside a transaction of the caller's.
        document: the file.
        gaps_allowed: for a key that has a history already, also allow what lies between that
            history and the file's lowest record, as EIP-3076's complete strategy does. Right
            only if the file was never pruned: most clients prune, so the default denies it.

    Raises:
        InterchangeInvalid: not such a file; nothing is changed if the transaction is undone.
        WrongChain: it is of another chain than this history.
    """
    if len(document) > FILE_SIZE_MAX_BYTES:
        raise InterchangeInvalid("import interchange", reason="too large", bytes=len(document))
    try:
        root, by_key = _parse(msgspec.json.decode(document))
    except (msgspec.DecodeError, RecursionError, InputInvalid) as error:
        raise InterchangeInvalid("import interchange", reason=error) from error
    history.bind_chain(connection, root)
    floors = 0
    for pubkey, records in sorted(by_key.items()):
        floors += _import_key(connection, pubkey, records, gaps_allowed=gaps_allowed)
    everything = [record for records in by_key.values() for record in records]
    return Imported(
        keys=len(by_key),
        blocks=sum(isinstance(record, Block) for record in everything),
        votes=sum(isinstance(record, Vote) for record in everything),
        made_floors=floors,
    )


def _parse(document: Any) -> tuple[bytes, dict[bytes, list[Block | Vote]]]:
    metadata = member(document, "metadata", what="interchange")
    version = member(metadata, "interchange_format_version", what="metadata")
    if version != FORMAT_VERSION:
        raise InputInvalid("read interchange", version=version, known=FORMAT_VERSION)
    root = parse_hex(
        member(metadata, "genesis_validators_root", what="metadata"),
        size_bytes=32,
        what="genesis_validators_root",
    )
    by_key: dict[bytes, list[Block | Vote]] = {}
    for entry in _list(document, "data"):
        pubkey = parse_hex(
            member(entry, "pubkey", what="data"), size_bytes=_PUBKEY_BYTES, what="data.pubkey"
        )
        by_key.setdefault(pubkey, []).extend(_records(entry))
    return root, by_key


def _records(entry: Any) -> Iterator[Block | Vote]:
    for block in _list(entry, "signed_blocks"):
        yield Block(slot=_time(block, "slot"), signing_root=_signing_root(block))
    for vote in _list(entry, "signed_attestations"):
        yield Vote(
            source=_time(vote, "source_epoch"),
            target=_time(vote, "target_epoch"),
            signing_root=_signing_root(vote),
        )


def _list(value: Any, name: str) -> list[Any]:
    entries = member(value, name, what="interchange")
    if not isinstance(entries, list):
        raise InputInvalid("read interchange", field=name, reason="not a list")
    return entries


def _time(value: Any, name: str) -> int:
    number = parse_uint64(member(value, name, what="record"), what=name)
    if number > TIME_MAX:
        raise InputInvalid("read interchange", field=name, reason="too large", got=number)
    return number


def _signing_root(value: Any) -> bytes | None:
    text = value.get("signing_root")
    return None if text is None else parse_hex(text, size_bytes=32, what="signing_root")


def _import_key(
    connection: sqlite3.Connection,
    pubkey: bytes,
    records: list[Block | Vote],
    *,
    gaps_allowed: bool,
) -> int:
    """Add one key's records; return how many became floors."""
    blocks = sorted((r for r in records if isinstance(r, Block)), key=lambda block: block.slot)
    votes = sorted((r for r in records if isinstance(r, Vote)), key=lambda vote: vote.target)
    stored = KeyHistory(connection, pubkey)
    if blocks and (stored.floor_slot() is None or not gaps_allowed):
        history.raise_slot_floor(connection, pubkey, blocks[0].slot)
    if votes and (stored.bounds() is None or not gaps_allowed):
        sources = [vote.source for vote in votes]
        lowest = Vote(source=min(sources), target=votes[0].target, signing_root=None)
        history.raise_floors(connection, pubkey, lowest)
    for block in blocks:
        if stored.at_slot(block.slot) is None:
            history.record(connection, Wish(pubkey, block))
    floors = 0
    for vote in votes:
        known = stored.at_target(vote.target)
        if vote.source > vote.target or (known is not None and known.source != vote.source):
            history.raise_floors(connection, pubkey, vote)
            floors += 1
        elif known is None:
            history.record(connection, Wish(pubkey, vote))
    return floors


def _exported_blocks(
    connection: sqlite3.Connection, pubkey: bytes, floor: int | None
) -> list[dict[str, str]]:
    rows = connection.execute(
        "SELECT slot, signing_root FROM slashing_block WHERE pubkey = ? ORDER BY slot", (pubkey,)
    ).fetchall()
    if floor is not None and (not rows or rows[0][0] > floor):
        rows.insert(0, (floor, None))
    return [{"slot": str(slot), **_root_member(root)} for slot, root in rows]


def _exported_votes(
    connection: sqlite3.Connection, pubkey: bytes, floor_source: int | None, floor_target: int
) -> list[dict[str, str]]:
    rows = connection.execute(
        "SELECT source, target, signing_root FROM slashing_vote WHERE pubkey = ? ORDER BY target",
        (pubkey,),
    ).fetchall()
    if floor_source is not None:
        told = rows and min(row[0] for row in rows) >= floor_source and rows[0][1] >= floor_target
        exact = told and any(row[:2] == (floor_source, floor_target) for row in rows)
        if not exact:
            rows.insert(0, (floor_source, max(floor_source, floor_target), None))
    return [
        {"source_epoch": str(source), "target_epoch": str(target), **_root_member(root)}
        for source, target, root in rows
    ]


def _root_member(root: bytes | None) -> dict[str, str]:
    return {} if root is None else {"signing_root": _hex(root)}


def _hex(value: bytes) -> str:
    return "0x" + value.hex()
