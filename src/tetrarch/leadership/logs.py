"""What became of each block that one of our leaders was to make. Pure; times are Unix seconds.

    pending  -> woken  -> made      -> accepted   its block is on the branch that counts
                                    -> orphaned   it was, or never came to be, on it
             -> rejected                          and why

An entry is of one leader and one date. Whoever makes the block, and whoever sees what becomes of it, hold a handle to their one
entry and nothing else. Entries that are still to come are never dropped for want of room: the reference lost them, and
their blocks with them.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import Enum
from heapq import heappop, heappush
from typing import Final

from tetrarch.errors import InputInvalid, invariant
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.headers import BlockId

ENDED_MAX: Final = 1024
REASON_LENGTH_MAX: Final = 300


class ScheduleFull(InputInvalid):
    """More is to come than is kept."""

    code = "leadership_schedule_full"


class Status(Enum):
    """Where an entry stands."""

    PENDING = "pending"
    WOKEN = "woken"
    MADE = "made"
    ACCEPTED = "accepted"
    ORPHANED = "orphaned"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class MadeBlock:
    """What came of an event."""

    block: BlockId
    parent: BlockId
    chain_length: int


@dataclass(slots=True)
class Entry:
    """One event of one leader. Times are None until they have come."""

    leader: int
    date: BlockDate
    created_s: float
    scheduled_s: float
    status: Status = Status.PENDING
    woken_s: float | None = None
    finished_s: float | None = None
    made: MadeBlock | None = None
    reason: str = ""

    @property
    def late_s(self) -> float | None:
        """How long after its slot's beginning it was woken."""
        return None if self.woken_s is None else self.woken_s - self.scheduled_s


class Handle:
    """Writes one entry. What became of an entry is said once."""

    __slots__ = ("_entry", "_logs")

    def __init__(self, logs: "Logs", entry: Entry) -> None:
        """``Logs.add`` and ``Logs.handle_of`` make them."""
        self._logs = logs
        self._entry = entry

    @property
    def entry(self) -> Entry:
        """As it stands."""
        return self._entry

    def wake(self, now_s: float) -> None:
        """Its time has come."""
        self._to(Status.WOKEN, {Status.PENDING})
        self._entry.woken_s = now_s

    def made(self, made: MadeBlock, now_s: float) -> None:
        """Its block was made and given to the chain, which will say more."""
        self._to(Status.MADE, {Status.WOKEN})
        self._entry.made = made
        self._finish(now_s)

    def reject(self, reason: str, now_s: float) -> None:
        """No block came of it, and why."""
        self._to(Status.REJECTED, {Status.PENDING, Status.WOKEN})
        self._entry.reason = reason[:REASON_LENGTH_MAX]
        self._finish(now_s)

    def accepted(self) -> None:
        """Its block is on the branch that counts, again or for the first time."""
        self._to(Status.ACCEPTED, {Status.MADE, Status.ACCEPTED, Status.ORPHANED})

    def orphaned(self) -> None:
        """Its block is not on the branch that counts."""
        self._to(Status.ORPHANED, {Status.MADE, Status.ACCEPTED, Status.ORPHANED})

    def _to(self, status: Status, allowed: set[Status]) -> None:
        invariant(self._entry.status in allowed, f"an entry is {status.value} in its turn")
        self._entry.status = status

    def _finish(self, now_s: float) -> None:
        self._entry.finished_s = now_s
        self._logs.ended(self._entry)


class Logs:
    """All entries: those to come, and the last that ended."""

    def __init__(self, *, to_come_max: int = 100_000, ended_max: int = ENDED_MAX) -> None:
        self._to_come_max = to_come_max
        self._ended_max = ended_max
        self._to_come: dict[tuple[int, BlockDate], Entry] = {}
        self._by_block: dict[BlockId, Entry] = {}  # of those that ended
        self._by_time: list[tuple[float, int, BlockDate]] = []  # a heap; some may be gone
        self._ended: dict[tuple[int, BlockDate], Entry] = {}  # in the order in which they did

    def add(
        self, leader: int, date: BlockDate, *, scheduled_s: float, now_s: float
    ) -> Handle | None:
        """One more event; None: it is here already, from an earlier trigger.

        Raises:
            ScheduleFull: too many are to come.
        """
        key = (leader, date)
        if key in self._to_come or key in self._ended:
            return None
        if len(self._to_come) >= self._to_come_max:
            raise ScheduleFull("add event", date=str(date), maximum=self._to_come_max)
        entry = self._to_come[key] = Entry(leader, date, now_s, scheduled_s)
        heappush(self._by_time, (scheduled_s, leader, date))
        return Handle(self, entry)

    def handle_of(self, block: BlockId) -> Handle | None:
        """Of the entry whose block it is, if it is one of ours and of late."""
        entry = self._by_block.get(block)
        return None if entry is None else Handle(self, entry)

    def drop(self, leader: int) -> int:
        """A leader is gone: nothing is to come of it. How much was."""
        gone = [key for key, entry in self._to_come.items() if entry.leader == leader]
        for key in gone:
            del self._to_come[key]
        return len(gone)

    def drop_epoch(self, epoch: int) -> int:
        """Somebody else may make an epoch's blocks: those of it that wait are to come no more. How many there were."""
        gone = [
            key
            for key, entry in self._to_come.items()
            if entry.date.epoch == epoch and entry.status is Status.PENDING
        ]
        for key in gone:
            del self._to_come[key]
        return len(gone)

    def next_pending(self) -> Handle | None:
        """Of the entry that is to be woken next. Cost: the logarithm of how many there are."""
        while self._by_time:
            _, leader, date = self._by_time[0]
            entry = self._to_come.get((leader, date))
            if entry is not None and entry.status is Status.PENDING:
                return Handle(self, entry)
            heappop(self._by_time)
        return None

    def ended(self, entry: Entry) -> None:
        """Said by its handle."""
        key = (entry.leader, entry.date)
        self._to_come.pop(key, None)
        self._ended[key] = entry
        if entry.made is not None:
            self._by_block[entry.made.block] = entry
        while len(self._ended) > self._ended_max:
            gone = self._ended.pop(next(iter(self._ended)))
            if gone.made is not None:
                self._by_block.pop(gone.made.block, None)

    def lost(self, final_height: int, final: Collection[BlockId]) -> None:
        """Blocks up to a height are final: ours of that height or below that were made, and not counted, are orphaned."""
        for block, entry in self._by_block.items():
            is_over = entry.made is not None and entry.made.chain_length <= final_height
            if entry.status is Status.MADE and is_over and block not in final:
                entry.status = Status.ORPHANED

    def to_come(self) -> list[Entry]:
        """The schedule, by date."""
        return sorted(self._to_come.values(), key=lambda entry: (entry.date, entry.leader))

    def __iter__(self) -> Iterator[Entry]:
        """All that is kept, by date."""
        entries = (*self._to_come.values(), *self._ended.values())
        return iter(sorted(entries, key=lambda entry: (entry.date, entry.leader)))
