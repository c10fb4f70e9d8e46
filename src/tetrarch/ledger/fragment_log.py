"""What became of the latest fragments that a node was given: they wait, are in a block, or came to nothing. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from tetrarch.ledger.blocks import FragmentId
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.headers import BlockId

KEPT_MAX: Final = 4096  # some 2 MB
REASON_LENGTH_MAX: Final = 300


class FragmentStatus(Enum):
    """See the module."""

    PENDING = "pending"
    IN_BLOCK = "in_block"
    REJECTED = "rejected"


@dataclass(slots=True)
class FragmentEntry:
    """Of one fragment. Times are Unix times; ``is_own``: it was given to this node, not told by others."""

    fragment: FragmentId
    is_own: bool
    received_s: float
    updated_s: float
    status: FragmentStatus = FragmentStatus.PENDING
    date: BlockDate | None = None
    block: BlockId | None = None
    reason: str = ""


class FragmentLog:
    """The oldest go."""

    def __init__(self, *, kept_max: int = KEPT_MAX) -> None:
        self._kept_max = kept_max
        self._entries: dict[FragmentId, FragmentEntry] = {}

    def __iter__(self) -> Iterator[FragmentEntry]:
        return iter(tuple(self._entries.values()))

    def get(self, fragment: FragmentId) -> FragmentEntry | None:
        """One that is known of."""
        return self._entries.get(fragment)

    def given(self, fragment: FragmentId, *, now_s: float) -> None:
        """It is given to this node; what becomes of it comes next."""
        self._entry(fragment, now_s).is_own = True

    def waits(self, fragment: FragmentId, *, now_s: float) -> None:
        """For a block: for the first time, or again."""
        entry = self._entry(fragment, now_s)
        entry.status, entry.date, entry.block, entry.reason = FragmentStatus.PENDING, None, None, ""

    def is_in(self, fragment: FragmentId, date: BlockDate, block: BlockId, *, now_s: float) -> None:
        """A block on the branch that counts has it."""
        entry = self._entry(fragment, now_s)
        entry.status, entry.date, entry.block = FragmentStatus.IN_BLOCK, date, block

    def rejected(self, fragment: FragmentId, reason: str, *, now_s: float) -> None:
        """It waits no more, or never did. One that is in a block may be told again: it is there still."""
        entry = self._entry(fragment, now_s)
        if entry.status is FragmentStatus.IN_BLOCK:
            return
        entry.status, entry.reason = FragmentStatus.REJECTED, reason[:REASON_LENGTH_MAX]

    def _entry(self, fragment: FragmentId, now_s: float) -> FragmentEntry:
        entry = self._entries.get(fragment)
        if entry is None:
            entry = self._entries[fragment] = FragmentEntry(fragment, False, now_s, now_s)
            while len(self._entries) > self._kept_max:
                del self._entries[next(iter(self._entries))]
        entry.updated_s = now_s
        return entry
