"""What the slashing rules ask of the history's tables: for one key, or for a slot's votes at once."""

import sqlite3
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tetrarch.enclave.rules import TIME_MAX, Block, Vote, VoteBounds, Wish
from tetrarch.errors import invariant

_KEYS_PER_STATEMENT = 500  # below SQLite's lowest bound for parameters

# Walks the distinct targets by index, so that its cost does not grow with the other keys.
_REACHING_BEYOND = """
WITH RECURSIVE epoch(target) AS (
    SELECT min(target) FROM slashing_vote WHERE target > :after
    UNION ALL
    SELECT (SELECT min(v.target) FROM slashing_vote v WHERE v.target > epoch.target)
    FROM epoch WHERE epoch.target IS NOT NULL
)
SELECT v.source, v.target, v.signing_root FROM epoch CROSS JOIN slashing_vote v
WHERE v.target = epoch.target AND v.pubkey = :pubkey
"""
_BOUNDS_OF = (
    "SELECT pubkey, floor_source, floor_target, max_source, max_target FROM slashing_key"
    " WHERE floor_target IS NOT NULL AND pubkey IN "
)
_VOTES_OF = "SELECT pubkey, source, signing_root FROM slashing_vote WHERE target = ? AND pubkey IN "


@dataclass(frozen=True, slots=True)
class KeyHistory:
    """One root key's rows, as the rules ask for them (``BlockHistory`` and ``VoteHistory``)."""

    connection: sqlite3.Connection
    pubkey: bytes

    def floor_slot(self) -> int | None:
        """As ``rules.BlockHistory``."""
        row = self._one("SELECT floor_slot FROM slashing_key WHERE pubkey = ?", self.pubkey)
        return row[0] if row else None

    def at_slot(self, slot: int) -> Block | None:
        """As ``rules.BlockHistory``."""
        row = self._one(
            "SELECT signing_root FROM slashing_block WHERE slot = ? AND pubkey = ?",
            slot,
            self.pubkey,
        )
        return Block(slot=slot, signing_root=row[0]) if row else None

    def bounds(self) -> VoteBounds | None:
        """As ``rules.VoteHistory``."""
        row = self._one(
            "SELECT floor_source, floor_target, max_source, max_target "
            "FROM slashing_key WHERE pubkey = ? AND floor_target IS NOT NULL",
            self.pubkey,
        )
        if row is None:
            return None
        return VoteBounds(
            floor_source=row[0], floor_target=row[1], max_source=row[2], max_target=row[3]
        )

    def at_target(self, target: int) -> Vote | None:
        """As ``rules.VoteHistory``."""
        row = self._one(
            "SELECT source, signing_root FROM slashing_vote WHERE target = ? AND pubkey = ?",
            target,
            self.pubkey,
        )
        return Vote(source=row[0], target=target, signing_root=row[1]) if row else None

    def reaching_beyond(self, epoch: int) -> tuple[Vote, ...]:
        """As ``rules.VoteHistory``. Cost: about 3 us per epoch that has any vote after it."""
        rows = self.connection.execute(
            _REACHING_BEYOND, {"after": epoch, "pubkey": self.pubkey}
        ).fetchall()
        return tuple(Vote(source=row[0], target=row[1], signing_root=row[2]) for row in rows)

    def _one(self, sql: str, *values: object) -> Any:
        return self.connection.execute(sql, values).fetchone()


@dataclass(frozen=True, slots=True)
class _ReadAhead(KeyHistory):
    """A key's rows as far as its one vote of a batch asks for them; the rest is read as ever."""

    target: int
    known_bounds: VoteBounds | None
    known_vote: Vote | None

    def bounds(self) -> VoteBounds | None:
        return self.known_bounds

    def at_target(self, target: int) -> Vote | None:
        invariant(target == self.target, "a vote asks for its own target")
        return self.known_vote


class Lookups:
    """Reads for a whole batch what most of its votes ask for.

    ``repeated``: keys with more than one wish. They are judged by the tables themselves, for
    there a wish of the same batch counts too.
    """

    def __init__(self, connection: sqlite3.Connection, wishes: tuple[Wish, ...]) -> None:
        self._connection = connection
        count = Counter(wish.pubkey for wish in wishes)
        self.repeated = frozenset(pubkey for pubkey, times in count.items() if times > 1)
        by_target: dict[int, list[bytes]] = {}
        for wish in wishes:
            if isinstance(wish.what, Vote) and count[wish.pubkey] == 1:
                by_target.setdefault(min(wish.what.target, TIME_MAX), []).append(wish.pubkey)
        self._bounds: dict[bytes, VoteBounds] = {}
        self._votes: dict[bytes, Vote] = {}
        for target, pubkeys in by_target.items():
            for start in range(0, len(pubkeys), _KEYS_PER_STATEMENT):
                self._read(target, pubkeys[start : start + _KEYS_PER_STATEMENT])

    def of(self, wish: Wish) -> KeyHistory:
        """The history that ``wish`` is judged by."""
        if not isinstance(wish.what, Vote) or wish.pubkey in self.repeated:
            return KeyHistory(self._connection, wish.pubkey)
        return _ReadAhead(
            self._connection,
            wish.pubkey,
            target=wish.what.target,
            known_bounds=self._bounds.get(wish.pubkey),
            known_vote=self._votes.get(wish.pubkey),
        )

    def _read(self, target: int, pubkeys: list[bytes]) -> None:
        marks = "(" + ", ".join("?" * len(pubkeys)) + ")"
        rows = self._connection.execute(_BOUNDS_OF + marks, pubkeys)
        for pubkey, floor_source, floor_target, max_source, max_target in rows:
            self._bounds[pubkey] = VoteBounds(
                floor_source=floor_source,
                floor_target=floor_target,
                max_source=max_source,
                max_target=max_target,
            )
        rows = self._connection.execute(_VOTES_OF + marks, (target, *pubkeys))
        for pubkey, source, root in rows:
            self._votes[pubkey] = Vote(source=source, target=target, signing_root=root)
