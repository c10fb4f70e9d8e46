"""Tracker: follows every duty from step to step and says in one line how it ended.

It only listens: the wiring reports each edge that a duty passes. A duty's report holds when
it passed each step, what consensus took, who took part and how, who broke the protocol, what
became of it on chain, and, when it failed, a reason code (see ``failure_reasons``).
"""

from collections.abc import Callable
from dataclasses import dataclass

from tetrarch.clock import Clock
from tetrarch.duties.duty import PeerIndex
from tetrarch.duties.failure_reasons import (
    LEFT_OUT,
    NO_SELECTIONS,
    PREPARES,
    REASONS,
    RESTS_ON,
    STORE_AGGREGATED_EDGE,
    Related,
    failure_reason,
)
from tetrarch.duties.record import Record
from tetrarch.duties.report import (
    FAULTS_MAX,
    DutyReport,
    InclusionReport,
    Outcome,
    RoundChange,
    Standing,
    Step,
    printable,
)
from tetrarch.duties.timing import MARGIN_DIVISOR, start_s
from tetrarch.duties.types import Duty, DutyType, PartialSet
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.observability.logs import Log

__all__ = ["REPORTS_KEPT", "DutyReport", "Outcome", "Step", "Tracker"]

REPORTS_KEPT = 1024  # more than are open at once: eight kinds, some of them for two epochs
FAULT_SLOTS_KEPT = 64
ERROR_LENGTH_MAX = 160


@dataclass(frozen=True, slots=True)
class Cluster:
    """What the tracker knows of the cluster: how many nodes, and what they are called."""

    peer_count: int
    name_of: Callable[[int], str] = "node{}".format


class Tracker:
    """Inputs: ``passed``, ``arrived``, ``decision``, ``round_changed``, ``participated``,
    ``rejected``, ``fault``, ``failed``, ``was_done``, ``nothing_due``, ``included``, ``finish``.

    ``on_last_step`` hears of a duty that has passed its last step, and ``on_fault`` of each fault.
    """

    def __init__(
        self,
        *,
        chain: ChainSpec,
        clock: Clock,
        cluster: Cluster,
        log: Log,
        by_client: bool = False,
        on_last_step: Callable[[Duty], None] = lambda _duty: None,
        on_fault: Callable[[int, str], None] = lambda _peer, _kind: None,
    ) -> None:
        self._chain = chain
        self._clock = clock
        self._cluster = cluster
        self._log = log
        self._on_last_step = on_last_step
        self._on_fault = on_fault
        # Validator clients without the option for distributed validators never send a selection
        # proof: their aggregations are no failures until one came.
        self._awaits_selections = set(NO_SELECTIONS) if by_client else set[str]()
        self._late_ms = chain.slot_duration_ms / MARGIN_DIVISOR
        self._records: dict[Duty, Record] = {}
        # Faults that say no duty, by the slot in which they came.
        self._told_of_selections = False
        self._slot_faults: dict[int, dict[tuple[int, str], int]] = {}

    def passed(self, duty: Duty, step: Step, *, validators: int = 0) -> None:
        """``duty`` reached ``step``; the first time counts."""
        record = self._record(duty)
        if step not in record.at_ms:
            record.at_ms[step] = self._since_start_ms(duty)
        record.validators = max(record.validators, validators)
        if step is Step.SIGNED and self._awaits_selections and duty.type in PREPARES:
            self._awaits_selections.discard(PREPARES[duty.type])
        if step is record.last_step and record.outcome is not Outcome.DONE:
            record.outcome = Outcome.DONE
            self._on_last_step(duty)

    def arrived(self, partial_set: PartialSet) -> None:
        """Partials of one share are there: our own, or a peer's, not yet verified."""
        if partial_set.partials:
            duty = partial_set.duty
            peer = partial_set.partials[0].share_index - 1
            self._record(duty).arrived(peer, partial_set, self._since_start_ms(duty))

    def decision(self, duty: Duty, *, round_number: int, leader: int) -> None:
        """Consensus decided in that round under that leader (0-based peer)."""
        record = self._record(duty)
        record.round, record.leader = round_number, leader

    def round_changed(self, duty: Duty, round_number: int, lacked: str, leader: PeerIndex) -> None:
        """Consensus left the round of ``leader`` for ``round_number``."""
        change = RoundChange(
            round=round_number,
            lacked=printable(lacked, length_max=64),
            at_ms=self._since_start_ms(duty),
            leader=leader,
        )
        self._record(duty).change_round(change)

    def participated(self, partial_set: PartialSet) -> None:
        """Partials of one share were accepted."""
        if partial_set.partials:
            peer = partial_set.partials[0].share_index - 1
            accepted = self._record(partial_set.duty).accepted
            accepted[peer] = accepted.get(peer, 0) + len(partial_set.partials)

    def rejected(self, false_set: PartialSet, kind: str = "false_partial") -> None:
        """Partials turned out to be false, or contradict what their share signed before."""
        record = self._record(false_set.duty)
        counts: dict[int, int] = {}
        for partial in false_set.partials:
            peer = partial.share_index - 1
            counts[peer] = counts.get(peer, 0) + 1
        for peer, count in counts.items():
            record.bad[peer] = record.bad.get(peer, 0) + count
            record.fault(peer, kind, count)
            self._on_fault(peer, kind)

    def fault(self, peer: int, kind: str, duty: Duty | None = None) -> None:
        """A peer broke the protocol; not always does it say in which duty."""
        kind = printable(kind, length_max=64)
        self._on_fault(peer, kind)
        if duty is not None and duty in self._records:
            self._records[duty].fault(peer, kind)
            return
        slot = max(self._chain.slot_at(self._clock.wall_s()), 0)
        found = self._slot_faults.setdefault(slot, {})
        if (peer, kind) in found or len(found) < FAULTS_MAX:
            found[peer, kind] = found.get((peer, kind), 0) + 1
        while len(self._slot_faults) > FAULT_SLOTS_KEPT:
            del self._slot_faults[next(iter(self._slot_faults))]

    def failed(self, edge: str, duty: Duty, reason: str) -> None:
        """A step ended without success; the duty may still succeed through the peers."""
        record = self._record(duty)
        record.errors[edge] = printable(reason, length_max=ERROR_LENGTH_MAX)
        if edge == STORE_AGGREGATED_EDGE and record.last_step is Step.AGGREGATED:
            record.outcome = Outcome.OPEN

    def was_done(self, duty: Duty) -> None:
        """The node finished ``duty`` before it was restarted; when is not known any more."""
        record = self._record(duty)
        record.outcome, record.from_former_life = Outcome.DONE, True

    def nothing_due(self, duty: Duty) -> None:
        """None of the cluster's validators was drawn for ``duty``."""
        self._record(duty).outcome = Outcome.IDLE

    def included(self, inclusion: InclusionReport) -> None:
        """The chain's last word on a duty."""
        record = self._record(Duty(inclusion.slot, DutyType[inclusion.type.upper()]))
        record.inclusion = inclusion
        reason = LEFT_OUT.get(inclusion.verdict)
        if reason is not None and record.outcome is Outcome.DONE:
            record.outcome, record.reason = Outcome.FAILED, reason

    def finish(self, duty: Duty) -> DutyReport:
        """The duty is over: log its outcome and return the report."""
        record = self._record(duty)
        if record.outcome is Outcome.OPEN:
            self._fail(record)
        record.ended = True
        report = self._report(record)
        self.tell(report)
        return report

    def tell(self, report: DutyReport) -> None:
        """Log how a duty ended."""
        write = self._log.warning if report.outcome is Outcome.FAILED else self._log.info
        fields: dict[str, object] = {
            standing.value: self._names(peers)
            for standing in (Standing.MISSING, Standing.LATE, Standing.BAD)
            if (peers := report.peers_that_are(standing))
        }
        if report.cohorts:
            groups = (self._names(cohort.peers) for cohort in report.cohorts)
            fields["disagreement"] = " against ".join(groups)
        if report.inclusion is not None:
            fields["inclusion"] = report.inclusion.verdict.value
            fields["included"] = f"{report.inclusion.included}/{report.inclusion.due}"
            fields["inclusion_distance_slots"] = report.inclusion.distance
        write(
            "duty_ended",
            duty=report.name,
            outcome=report.outcome.value,
            reason=report.reason,
            validators=report.validators,
            round=report.round,
            leader=None if report.leader is None else self._cluster.name_of(report.leader),
            detail=report.detail,
            **fields,
            **{f"{step}_ms": at_ms for step, at_ms in report.at_ms.items()},
        )

    def report_of(self, duty: Duty) -> DutyReport | None:
        """What is known by now; None where nothing is."""
        record = self._records.get(duty)
        return None if record is None else self._report(record)

    def reports(
        self, *, since_slot: int = 0, count_max: int = REPORTS_KEPT
    ) -> tuple[DutyReport, ...]:
        """Reports of the latest kept duties from ``since_slot`` on, open ones included, in order."""
        duties = sorted(duty for duty in self._records if duty.slot >= since_slot)[-count_max:]
        return tuple(self._report(self._records[duty]) for duty in duties)

    def open_reports(self) -> tuple[DutyReport, ...]:
        """Of the duties that have begun and not ended, for a node that stops."""
        return tuple(self._report(record) for record in self._records.values() if not record.ended)

    # --- inside ------------------------------------------------------------------------------

    def _fail(self, record: Record) -> None:
        if not record.is_ours:
            record.outcome, record.reason = Outcome.NOT_OURS, "not_scheduled"
            return
        record.outcome = Outcome.FAILED
        progresses = {
            other: self._records[rested].progress
            for other in RESTS_ON.get(record.duty.type, ())
            if (rested := Duty(record.duty.slot, other)) in self._records
        }
        related = Related(by_type=progresses)
        record.reason = failure_reason(record.duty.type, record.progress, related)
        if record.reason in self._awaits_selections:
            record.outcome = Outcome.IDLE
            if not self._told_of_selections:
                self._told_of_selections = True
                self._log.warning("client_sends_no_selections", mend=REASONS[record.reason].mend)

    def _since_start_ms(self, duty: Duty) -> float:
        return round((self._clock.wall_s() - start_s(duty, self._chain)) * 1000, 2)

    def _record(self, duty: Duty) -> Record:
        record = self._records.get(duty)
        if record is None:
            record = self._records[duty] = Record(duty)
            while len(self._records) > REPORTS_KEPT:
                del self._records[min(self._records)]
        return record

    def _report(self, record: Record) -> DutyReport:
        return record.report(
            peer_count=self._cluster.peer_count,
            late_ms=self._late_ms,
            started_s=start_s(record.duty, self._chain),
            slot_faults=self._slot_faults.get(record.duty.slot, {}),
        )

    def _names(self, peers: tuple[int, ...]) -> str:
        return ", ".join(map(self._cluster.name_of, peers))
