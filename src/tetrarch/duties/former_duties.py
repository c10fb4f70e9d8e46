"""Former duties: submitted before a restart, and the chain has not said yet what became of them.

Their records are on disk, without an end; what was submitted is in AggSigDB. Both together say
what to look for, so that a restart leaves no duty without the chain's answer. What a crash took
of the last seconds' records is not looked for, nor a duty of an epoch whose definitions the
scheduler resolves no more: it resolves two, more slots than the chain's answer takes on mainnet.
"""

import msgspec

from tetrarch.duties.aggsigdb import AggSigDB
from tetrarch.duties.duty import Duty, DutyType
from tetrarch.duties.failure_reasons import LEFT_OUT
from tetrarch.duties.inclusion import Inclusion
from tetrarch.duties.inclusion_rules import CHECKED_TYPES, UNKNOWN_SLOTS
from tetrarch.duties.report import DutyReport, InclusionReport, Outcome
from tetrarch.duties.report_store import ReportStore
from tetrarch.duties.types import SignedDataSet


class FormerDuties:
    """``resume`` once after the start; then ``answered`` for each of the chain's answers."""

    def __init__(self, *, reports: ReportStore, aggregated: AggSigDB) -> None:
        self._reports = reports
        self._aggregated = aggregated
        self._open: dict[Duty, DutyReport] = {}
        self._known: set[Duty] = set()

    async def resume(self, inclusion: Inclusion, *, now_slot: int) -> None:
        """Have ``inclusion`` look for what former lives submitted."""
        stored = await self._reports.list(
            since_slot=max(now_slot - UNKNOWN_SLOTS, 0), failed=False, types=tuple(CHECKED_TYPES)
        )
        for report in stored:
            if report.ended or report.outcome is not Outcome.DONE or report.inclusion is not None:
                continue
            duty = Duty(report.slot, DutyType[report.type.upper()])
            taken = (await self._aggregated.submissions(duty)).taken
            if taken:
                self._open[duty] = report
                self._known.add(duty)
                await inclusion.watch(SignedDataSet(duty=duty, items=taken))

    def knows(self, duty: Duty) -> bool:
        """Whether the record of ``duty`` is a former life's: what this life saw says less."""
        return duty in self._known

    def answered(self, answer: InclusionReport) -> DutyReport | None:
        """The whole record of the duty by now; None where it is not a former life's."""
        report = self._open.pop(Duty(answer.slot, DutyType[answer.type.upper()]), None)
        if report is None:
            return None
        reason = LEFT_OUT.get(answer.verdict)
        return msgspec.structs.replace(
            report,
            inclusion=answer,
            ended=True,
            outcome=report.outcome if reason is None else Outcome.FAILED,
            reason=reason or "",
        )
