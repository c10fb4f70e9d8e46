"""ParSigDB's writes that nobody waits for: peers' partials, and changes of state.

They wait in memory for each other, and longer while the disk is full. A peer's partial that is
lost in a crash is sent again by the peer.
"""

from collections.abc import Callable

from tetrarch.clock import Clock
from tetrarch.duties import parsig_rows as rows
from tetrarch.duties.parsig_rows import Status
from tetrarch.duties.ports import Storage
from tetrarch.duties.types import Duty, PartialSet, PartialSignature
from tetrarch.errors import Transient
from tetrarch.observability.logs import Log


class PartialWriter:
    """``store`` and ``mark`` collect; ``flush`` writes all in one transaction."""

    def __init__(
        self,
        *,
        storage: Storage,
        clock: Clock,
        status: Callable[[Duty, PartialSignature], Status | None],
        log: Log,
    ) -> None:
        """``status`` tells the state of a partial by now; None when its duty has ended."""
        self._storage = storage
        self._clock = clock
        self._status = status
        self._log = log
        self._to_store: list[PartialSet] = []
        self._to_mark: list[tuple[PartialSet, Status]] = []

    def store(self, partial_set: PartialSet) -> None:
        """Insert these rows at the next flush, in the state that they have then."""
        self._to_store.append(partial_set)

    def mark(self, partial_set: PartialSet, status: Status) -> None:
        """Move these rows on to ``status`` at the next flush."""
        self._to_mark.append((partial_set, status))

    async def flush_if_room(self) -> None:
        """``flush``, and leave what the disk has no room for to the next time."""
        try:
            await self.flush()
        except Transient as error:
            self._log.warning("partials_not_written", reason=str(error), code=error.code)

    async def flush(self) -> None:
        """Write in one transaction all that waits, except partials of duties that ended.

        Raises:
            Transient: it was not written, and waits on.
        """
        batch, marks = self._to_store, self._to_mark
        self._to_store, self._to_mark = [], []
        # A mark may have been written before its row: so the row starts in its latest state.
        inserts = [part for partial_set in batch for part in self._by_status(partial_set)]
        if not inserts and not marks:
            return
        now_s = self._clock.wall_s()

        def transaction(connection: rows.Connection) -> None:
            for partial_set, status in inserts:
                rows.insert(connection, partial_set, status, now_s=now_s)
            for partial_set, status in marks:
                rows.set_status(connection, partial_set, status, now_s=now_s)

        try:
            await self._storage.write(transaction)
        except Transient:
            self._to_store = [*batch, *self._to_store]
            self._to_mark = [*marks, *self._to_mark]
            raise

    def _by_status(self, partial_set: PartialSet) -> list[tuple[PartialSet, Status]]:
        parts: dict[Status, list[PartialSignature]] = {}
        for partial in partial_set.partials:
            status = self._status(partial_set.duty, partial)
            if status is not None:
                parts.setdefault(status, []).append(partial)
        return [
            (PartialSet(duty=partial_set.duty, partials=tuple(partials)), status)
            for status, partials in parts.items()
        ]
