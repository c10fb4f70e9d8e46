"""Records of duties on disk: what is left to explain a duty when the node's memory is gone.

Off the critical path: records wait in memory and go out every few seconds, all in one
transaction. What a crash takes is the last seconds' records, and of a duty that was not over
only what became of it after its last step. A full disk costs records, never a duty.
"""

import asyncio
import sqlite3
from collections.abc import Callable

from tetrarch.duties.duty import Duty, DutyType
from tetrarch.duties.ports import Storage
from tetrarch.duties.report import DutyReport, Outcome, decode_report, encode_report
from tetrarch.duties.worker import work
from tetrarch.errors import InputInvalid, Transient
from tetrarch.observability.logs import Log
from tetrarch.storage.migrations import Schema

STORE_PAUSE_S = 2.0
WAITING_MAX = 4096  # records; the oldest are dropped where the disk takes none
LISTED_MAX = 512

_TABLE = """
CREATE TABLE duty_reports (
    slot INTEGER NOT NULL,
    duty_type INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    record BLOB NOT NULL,
    PRIMARY KEY (slot, duty_type)
) WITHOUT ROWID
"""
_FAILED = "CREATE INDEX duty_reports_failed ON duty_reports (failed, slot) WHERE failed"
SCHEMA = Schema(component="duty_reports", steps=((_TABLE, _FAILED),))


class ReportStore:
    """Inputs: ``note`` (write it as it is by then), ``add`` (a report that is complete)."""

    def __init__(
        self, *, storage: Storage, report_of: Callable[[Duty], DutyReport | None], log: Log
    ) -> None:
        self._storage = storage
        self._report_of = report_of
        self._log = log
        self._waiting: dict[Duty, DutyReport | None] = {}
        self._due = asyncio.Event()

    def note(self, duty: Duty) -> None:
        """Something of ``duty`` is worth keeping, though it is not over."""
        if duty not in self._waiting:
            self._wait(duty, None)

    def add(self, report: DutyReport) -> None:
        """``report`` will be written soon; it replaces what is there of its duty."""
        self._wait(_duty_of(report), report)

    async def run(self) -> None:
        """Worker: write what waits, until cancelled."""
        await work(self._due, self.flush, pause_s=STORE_PAUSE_S, log=self._log)

    async def flush(self) -> None:
        """Write what waits in one transaction.

        Raises:
            Transient: the disk has no room; all of it goes on waiting.
        """
        waiting, self._waiting = self._waiting, {}
        reports = [report or self._report_of(duty) for duty, report in waiting.items()]
        known = [report for report in reports if report is not None]
        if not known:
            return
        whole = [_row(report) for report in known if report.is_whole]
        # Of a duty that was done before a restart, the record of that time says more.
        rest = [_row(report) for report in known if not report.is_whole]
        try:
            await self._storage.write(lambda connection: _insert(connection, whole, rest))
        except Transient:
            for duty, report in waiting.items():
                self._waiting.setdefault(duty, report)
            raise

    async def find(self, duty: Duty) -> DutyReport | None:
        """The stored record of ``duty``."""
        return await self._storage.read(lambda connection: select(connection, duty))

    async def list(
        self, *, since_slot: int, failed: bool, types: tuple[DutyType, ...] = ()
    ) -> tuple[DutyReport, ...]:
        """The latest ``LISTED_MAX`` stored records, by slot and type."""
        return await self._storage.read(
            lambda connection: select_list(
                connection, since_slot=since_slot, failed=failed, types=types
            )
        )

    async def delete_before(self, duty_type: DutyType, slot: int) -> int:
        """Delete records of ``duty_type`` older than ``slot``; see ``retention``."""
        return await self._storage.write(
            lambda connection: (
                connection.execute(
                    "DELETE FROM duty_reports WHERE duty_type = ? AND slot < ?",
                    (int(duty_type), slot),
                ).rowcount
            )
        )

    def _wait(self, duty: Duty, report: DutyReport | None) -> None:
        self._waiting[duty] = report
        if len(self._waiting) > WAITING_MAX:
            del self._waiting[next(iter(self._waiting))]
        self._due.set()


_Row = tuple[int, int, bool, bytes]
_INSERT = "INTO duty_reports VALUES (?, ?, ?, ?)"


def _duty_of(report: DutyReport) -> Duty:
    return Duty(report.slot, DutyType[report.type.upper()])


def _row(report: DutyReport) -> _Row:
    duty = _duty_of(report)
    failed = report.outcome is Outcome.FAILED
    return duty.slot, int(duty.type), failed, encode_report(report)


def _insert(connection: sqlite3.Connection, whole: list[_Row], rest: list[_Row]) -> None:
    connection.executemany(f"INSERT OR REPLACE {_INSERT}", whole)
    connection.executemany(f"INSERT OR IGNORE {_INSERT}", rest)


def select(connection: sqlite3.Connection, duty: Duty) -> DutyReport | None:
    """The record of ``duty``; None where there is none, or none that can be read."""
    row = connection.execute(
        "SELECT record FROM duty_reports WHERE slot = ? AND duty_type = ?",
        (duty.slot, int(duty.type)),
    ).fetchone()
    return None if row is None else _decode(row[0])


def select_list(
    connection: sqlite3.Connection, *, since_slot: int, failed: bool, types: tuple[DutyType, ...]
) -> tuple[DutyReport, ...]:
    """The latest records, by slot and type; only of the given types, where some are."""
    wanted = sum(1 << duty_type for duty_type in types or DutyType)
    rows = connection.execute(
        "SELECT record FROM duty_reports WHERE slot >= ? AND failed >= ?"
        " AND (? >> duty_type) & 1 ORDER BY slot DESC, duty_type DESC LIMIT ?",
        (since_slot, int(failed), wanted, LISTED_MAX),
    ).fetchall()
    reports = (_decode(record) for (record,) in reversed(rows))
    return tuple(report for report in reports if report is not None)


def _decode(record: object) -> DutyReport | None:
    """A record is no reason to stop a node: one that cannot be read is as good as none."""
    try:
        return decode_report(record) if isinstance(record, bytes) else None
    except InputInvalid:
        return None
