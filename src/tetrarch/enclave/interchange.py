"""Reads and writes EIP-3076 interchange files, the way histories move between clients.

Import only ever adds to what is denied. Where a file contradicts itself or what is stored, or
holds a vote whose source lies after its target, that record becomes a floor: everything that
could clash with it is denied, without keeping it in detail.

Export may unite several histories of the same keys: what any of them denies is denied wherever
the file is imported. Both directions hold one key's records in memory at a time.

Source: EIP-3076, format version 5.
"""

import heapq
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Self, TypeAlias

import msgspec

from tetrarch.decoding import UNDECODABLE
from tetrarch.enclave import history
from tetrarch.enclave.errors import InterchangeInvalid
from tetrarch.enclave.lookups import KeyHistory
from tetrarch.enclave.rules import TIME_MAX, Block, Vote, Wish
from tetrarch.errors import InputInvalid
from tetrarch.ethereum.spec.values import parse_hex, parse_uint64

FORMAT_VERSION = "5"
FILE_SIZE_MAX_BYTES = 1 << 30
_PUBKEY_BYTES = 48

# Called with (keys done, keys in all).
Report: TypeAlias = Callable[[int, int], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import brought: records read, and those that became floors."""

    keys: int
    blocks: int
    votes: int
    made_floors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What an export wrote."""

    keys: int
    blocks: int
    votes: int


class _Metadata(msgspec.Struct):
    interchange_format_version: str
    genesis_validators_root: str


class _Outline(msgspec.Struct):
    """A file as far as its keys; their records stay bytes until they are asked for."""

    metadata: _Metadata
    data: list[msgspec.Raw]


class _Named(msgspec.Struct):
    pubkey: str


class _BlockEntry(msgspec.Struct, gc=False):
    slot: str | int
    signing_root: str | None = None


class _VoteEntry(msgspec.Struct, gc=False):
    source_epoch: str | int
    target_epoch: str | int
    signing_root: str | None = None


class _KeyEntry(msgspec.Struct):
    signed_blocks: list[_BlockEntry]
    signed_attestations: list[_VoteEntry]


@dataclass(frozen=True, slots=True)
class Interchange:
    """An interchange file: its chain, and the records of each key as they are asked for."""

    genesis_validators_root: bytes
    _entries: Mapping[bytes, tuple[msgspec.Raw, ...]]

    @classmethod
    def parse(cls, document: bytes) -> Self:
        """Read the outline of interchange JSON.

        Raises:
            InterchangeInvalid: not such a file.
        """
        if len(document) > FILE_SIZE_MAX_BYTES:
            raise too_large(len(document))
        outline = _decoded(document, _Outline, where="file")
        version = outline.metadata.interchange_format_version
        if version != FORMAT_VERSION:
            raise InterchangeInvalid("read interchange", version=version[:32], known=FORMAT_VERSION)
        with _Where("metadata"):
            root = outline.metadata.genesis_validators_root
            chain = parse_hex(root, size_bytes=32, what="genesis_validators_root")
        entries: dict[bytes, list[msgspec.Raw]] = {}
        for number, raw in enumerate(outline.data):
            where = f"data[{number}]"
            named = _decoded(raw, _Named, where=where)
            with _Where(where):
                pubkey = parse_hex(named.pubkey, size_bytes=_PUBKEY_BYTES, what="pubkey")
            entries.setdefault(pubkey, []).append(raw)
        return cls(chain, {pubkey: tuple(raws) for pubkey, raws in entries.items()})

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The public keys in the file, ascending."""
        return tuple(sorted(self._entries))

    def records(self, pubkey: bytes) -> list[Block | Vote]:
        """All records of ``pubkey``, in the file's order.

        Raises:
            InterchangeInvalid: one of them is not what it must be.
        """
        where = f"data of 0x{pubkey.hex()}"
        found: list[Block | Vote] = []
        for raw in self._entries.get(pubkey, ()):
            entry = _decoded(raw, _KeyEntry, where=where)
            with _Where(where):
                found += _records(entry)
        return found


def too_large(size_bytes: int) -> InterchangeInvalid:
    """The error for a file that is longer than any history needs."""
    return InterchangeInvalid(
        "read interchange", reason="too large", bytes=size_bytes, maximum_bytes=FILE_SIZE_MAX_BYTES
    )


def import_(
    connection: sqlite3.Connection, document: bytes, *, gaps_allowed: bool = False
) -> Imported:
    """Add all records of interchange JSON, as ``import_file``, under the keys they stand under."""
    file = Interchange.parse(document)
    owners = {pubkey: (pubkey,) for pubkey in file.keys}
    return import_file(connection, file, owners, gaps_allowed=gaps_allowed)


def import_file(
    connection: sqlite3.Connection,
    file: Interchange,
    owners: Mapping[bytes, Iterable[bytes]],
    *,
    gaps_allowed: bool = False,
    report: Report = lambda _done, _total: None,
) -> Imported:
    """Add records of ``file`` to the history, in the caller's transaction.

    A history that is tied to no chain yet is tied to the file's. Idempotent.

    Args:
        connection: inside a transaction of the caller's.
        file: the records.
        owners: for each root key, the keys of ``file`` whose records are its own.
        gaps_allowed: for a key that has a history already, also allow what lies between that
            history and the file's lowest record, as EIP-3076's complete strategy does. Right
            only if the file was never pruned: most clients prune, so the default denies it.
        report: told after each key.

    Raises:
        InterchangeInvalid: not such a file; nothing is changed if the transaction is undone.
        WrongChain: it is of another chain than this history.

    Cost: about 10 us for each record.
    """
    history.bind_chain(connection, file.genesis_validators_root)
    floors, blocks, votes = 0, 0, 0
    for done, (pubkey, aliases) in enumerate(sorted(owners.items()), start=1):
        records = [record for alias in aliases for record in file.records(alias)]
        floors += _import_key(connection, pubkey, records, gaps_allowed=gaps_allowed)
        of_blocks = sum(isinstance(record, Block) for record in records)
        blocks, votes = blocks + of_blocks, votes + len(records) - of_blocks
        report(done, len(owners))
    return Imported(keys=len(owners), blocks=blocks, votes=votes, made_floors=floors)


def export(connection: sqlite3.Connection) -> bytes:
    """The whole history as interchange JSON. Run it on a snapshot.

    Raises:
        InterchangeInvalid: the history is not yet tied to a chain.
    """
    root = history.chain(connection)
    if root is None:
        raise InterchangeInvalid("export interchange", reason="history is tied to no chain yet")
    parts: list[bytes] = []
    export_union((connection,), parts.append, genesis_validators_root=root)
    return b"".join(parts)


def export_union(
    histories: Sequence[sqlite3.Connection],
    write: Callable[[bytes], object],
    *,
    genesis_validators_root: bytes,
    name_of: Callable[[bytes], bytes | None] = lambda pubkey: pubkey,
    report: Report = lambda _done, _total: None,
) -> Exported:
    """Write one interchange file that denies, for each key, all that any history denies.

    Where the histories contradict each other, the file denies both sides.

    Args:
        histories: of the same chain, which is not checked. Each on a snapshot.
        write: takes the file's bytes, piece by piece.
        genesis_validators_root: the chain, 32 bytes.
        name_of: the key to write for a root key; None leaves its records out.
        report: told after each key.
    """
    keys = sorted({row[0] for c in histories for row in c.execute(_ALL_KEYS)})
    blocks, votes = _Grouped(histories, _ALL_BLOCKS), _Grouped(histories, _ALL_VOTES)
    metadata = {
        "interchange_format_version": FORMAT_VERSION,
        "genesis_validators_root": _hex(genesis_validators_root),
    }
    write(b'{"metadata":' + msgspec.json.encode(metadata) + b',"data":[')
    keys_count, blocks_count, votes_count = 0, 0, 0
    for done, pubkey in enumerate(keys, start=1):
        key_blocks = _united_blocks(histories, pubkey, blocks.of(pubkey))
        key_votes = _united_votes(histories, pubkey, votes.of(pubkey))
        name = name_of(pubkey)
        report(done, len(keys))
        if name is None:
            continue
        entry = {
            "pubkey": _hex(name),
            "signed_blocks": [
                {"slot": str(slot), **_root_member(root)} for slot, root in key_blocks
            ],
            "signed_attestations": [
                {"source_epoch": str(source), "target_epoch": str(target), **_root_member(root)}
                for target, source, root in key_votes
            ],
        }
        write((b"," if keys_count else b"") + msgspec.json.encode(entry))
        keys_count += 1
        blocks_count, votes_count = blocks_count + len(key_blocks), votes_count + len(key_votes)
    write(b"]}")
    return Exported(keys=keys_count, blocks=blocks_count, votes=votes_count)


class _Where:
    """Inside the block, wrong values are errors of the file that name the place."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, InputInvalid):
            raise InterchangeInvalid(error.action, where=self._where, **error.fields) from error


def _decoded(data: Any, kind: Any, *, where: str) -> Any:
    try:
        return msgspec.json.decode(data, type=kind)
    except UNDECODABLE as error:
        raise InterchangeInvalid("read interchange", where=where, reason=error) from error
    except RecursionError as error:
        raise InterchangeInvalid("read interchange", where=where, reason="nested") from error


def _records(entry: _KeyEntry) -> Iterator[Block | Vote]:
    for block in entry.signed_blocks:
        yield Block(slot=_time(block.slot, "slot"), signing_root=_root(block.signing_root))
    for vote in entry.signed_attestations:
        yield Vote(
            source=_time(vote.source_epoch, "source_epoch"),
            target=_time(vote.target_epoch, "target_epoch"),
            signing_root=_root(vote.signing_root),
        )


def _time(value: str | int, name: str) -> int:
    number = parse_uint64(value, what=name)
    if number > TIME_MAX:
        raise InputInvalid("read time", field=name, too_large=number)
    return number


def _root(text: str | None) -> bytes | None:
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
    new_blocks: dict[int, Block] = {}
    for block in blocks:
        if block.slot not in new_blocks and stored.at_slot(block.slot) is None:
            new_blocks[block.slot] = block
    new_votes: dict[int, Vote] = {}
    floors = 0
    for vote in votes:
        known = new_votes.get(vote.target) or stored.at_target(vote.target)
        if vote.source > vote.target or (known is not None and known.source != vote.source):
            history.raise_floors(connection, pubkey, vote)
            floors += 1
        elif known is None:
            new_votes[vote.target] = vote
    new: list[Block | Vote] = [*new_blocks.values(), *new_votes.values()]
    history.record(connection, [Wish(pubkey, record) for record in new])
    return floors


_ALL_KEYS = "SELECT pubkey FROM slashing_key"
_ALL_BLOCKS = "SELECT pubkey, slot, signing_root FROM slashing_block ORDER BY pubkey, slot"
_ALL_VOTES = (
    "SELECT pubkey, target, source, signing_root FROM slashing_vote ORDER BY pubkey, target"
)


class _Grouped:
    """Rows of several histories by key, ascending, in one pass: no index leads with the key."""

    def __init__(self, histories: Sequence[sqlite3.Connection], sql: str) -> None:
        rows = heapq.merge(*(c.execute(sql) for c in histories), key=lambda row: row[:2])
        self._groups = groupby(rows, key=lambda row: bytes(row[0]))
        self._next = next(self._groups, None)

    def of(self, pubkey: bytes) -> list[tuple[Any, ...]]:
        """The rows of ``pubkey``, without it; to be asked for each key, in order."""
        if self._next is None or self._next[0] != pubkey:
            return []
        rows = [row[1:] for row in self._next[1]]
        self._next = next(self._groups, None)
        return rows


def _united_blocks(
    histories: Sequence[sqlite3.Connection], pubkey: bytes, rows: list[tuple[Any, ...]]
) -> list[tuple[int, bytes | None]]:
    """(slot, root) ascending, the floor first: an importer takes the lowest for its floor."""
    known: dict[int, bytes | None] = {}
    for slot, root in rows:
        known[slot] = root if known.get(slot, root) == root else None
    floors = (KeyHistory(connection, pubkey).floor_slot() for connection in histories)
    floor = max((slot for slot in floors if slot is not None), default=None)
    if floor is None:
        return []
    known.setdefault(floor, None)
    return sorted((slot, root) for slot, root in known.items() if slot >= floor)


def _united_votes(
    histories: Sequence[sqlite3.Connection], pubkey: bytes, rows: list[tuple[Any, ...]]
) -> list[tuple[int, int, bytes | None]]:
    """(target, source, root) ascending by target, the floors first, as one record.

    What lies at or below that record goes into it: an importer takes the lowest source and
    target of all for its floors, and would lose them to an older record.
    """
    bounds = [b for c in histories if (b := KeyHistory(c, pubkey).bounds()) is not None]
    if not bounds:
        return []
    source = max(bound.floor_source for bound in bounds)
    target = max(bound.floor_target for bound in bounds)
    known: dict[int, tuple[int, bytes | None]] = {}
    for row_target, row_source, root in rows:
        one_source, one_root = known.setdefault(row_target, (row_source, root))
        if one_source != row_source:  # two votes of one target: deny all that clashes with either
            source, target = max(source, one_source, row_source), max(target, row_target)
        elif one_root != root:
            known[row_target] = (row_source, None)
    target = max(source, target)
    source = max([source, *(s for t, (s, _) in known.items() if t <= target)])
    at_floor = known.get(target)
    root = at_floor[1] if at_floor is not None and at_floor[0] == source else None
    above = sorted((t, s, r) for t, (s, r) in known.items() if t > target)
    return [(target, source, root), *above]


def _root_member(root: bytes | None) -> dict[str, str]:
    return {} if root is None else {"signing_root": _hex(root)}


def _hex(value: bytes) -> str:
    return "0x" + value.hex()
