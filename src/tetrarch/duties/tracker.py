"""Tracker: follows every duty from step to step and says in one line how it ended.

It only listens: the wiring reports each edge that a duty passes. A duty's report holds when
it passed each step (milliseconds after the duty's start), what consensus took, who took part,
and, when it failed, the step it got stuck at with a reason code.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from tetrarch.clock import Clock
from tetrarch.duties.timing import start_s
from tetrarch.duties.types import Duty, DutyType, PartialSet, ShareIndex
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.observability.logs import Log

REPORTS_KEPT = 1024  # more than are open at once: eight kinds, some of them for two epochs


class Step(StrEnum):
    """Stations of a duty, in order."""

    SCHEDULED = "scheduled"
    FETCHED = "fetched"
    DECIDED = "decided"
    STORED = "stored"
    SIGNED = "signed"
    EXCHANGED = "exchanged"
    THRESHOLD = "threshold"
    AGGREGATED = "aggregated"
    SUBMITTED = "submitted"


class Outcome(StrEnum):
    """How a duty stands or ended."""

    OPEN = "open"
    DONE = "done"
    FAILED = "failed"
    NOT_OURS = "not_ours"  # never scheduled here: we only heard of it
    IDLE = "idle"  # nobody was drawn to aggregate


_ORDER = tuple(Step)
# Why a duty failed when it got no further than the step: code for logs, metrics and docs.
REASONS = {
    None: "not_scheduled",
    Step.SCHEDULED: "fetch_failed",
    Step.FETCHED: "no_consensus",
    Step.DECIDED: "bug_duty_db_error",
    Step.STORED: "no_local_signature",
    Step.SIGNED: "no_peer_signatures",
    Step.EXCHANGED: "insufficient_peer_signatures",
    Step.THRESHOLD: "bug_sig_agg",
    Step.AGGREGATED: "broadcast_bn_error",
}
# What is signed without agreement: there nothing is decided and stored in between.
_UNDECIDED_REASONS = REASONS | {
    Step.SCHEDULED: "no_local_signature",
    Step.FETCHED: "no_local_signature",
}
# Nothing is fetched for the cluster's own agreement: the nodes tell each other of themselves.
_INFO_SYNC_REASONS = REASONS | {
    Step.SCHEDULED: "too_few_statements",
    Step.DECIDED: "agreement_not_stored",
}
_UNDECIDED = frozenset(
    {
        DutyType.RANDAO,
        DutyType.EXIT,
        DutyType.BUILDER_REGISTRATION,
        DutyType.PREPARE_AGGREGATOR,
        DutyType.SYNC_MESSAGE,
        DutyType.PREPARE_SYNC_CONTRIBUTION,
    }
)
# A randao reveal and its like end in AggSigDB: nothing is submitted, or at another time.
_ENDS_AT_AGGREGATED = frozenset(
    {
        DutyType.RANDAO,
        DutyType.EXIT,
        DutyType.BUILDER_REGISTRATION,
        DutyType.PREPARE_AGGREGATOR,
        DutyType.PREPARE_SYNC_CONTRIBUTION,
    }
)


@dataclass(slots=True)
class _Record:
    at_ms: dict[Step, float] = field(default_factory=dict)
    validators: int = 0
    round: int | None = None
    leader: int | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    shares: dict[ShareIndex, int] = field(default_factory=dict)
    outcome: Outcome = Outcome.OPEN
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DutyReport:
    """What is known of one duty; times in milliseconds after the duty's start."""

    slot: int
    type: str
    outcome: str
    reason: str
    validators: int
    round: int | None
    leader: int | None
    at_ms: dict[str, float]
    partials_by_share: dict[int, int]


class Tracker:
    """Inputs: ``passed``, ``decision``, ``participated``, ``failed``, ``was_done``,
    ``nothing_due``, ``finish``.
    """

    def __init__(self, *, chain: ChainSpec, clock: Clock, log: Log) -> None:
        self._chain = chain
        self._clock = clock
        self._log = log
        self._records: dict[Duty, _Record] = {}

    def passed(self, duty: Duty, step: Step, *, validators: int = 0) -> None:
        """``duty`` reached ``step``; the first time counts."""
        record = self._record(duty)
        now_ms = (self._clock.wall_s() - start_s(duty, self._chain)) * 1000
        record.at_ms.setdefault(step, round(now_ms, 2))
        record.validators = max(record.validators, validators)
        if step is self._last_step(duty):
            record.outcome = Outcome.DONE

    def decision(self, duty: Duty, *, round_number: int, leader: int) -> None:
        """Consensus decided in that round under that leader (0-based peer)."""
        record = self._record(duty)
        record.round, record.leader = round_number, leader

    def participated(self, partial_set: PartialSet) -> None:
        """Partials of one share were accepted."""
        shares = self._record(partial_set.duty).shares
        for partial in partial_set.partials:
            shares[partial.share_index] = shares.get(partial.share_index, 0) + 1

    def failed(self, edge: str, duty: Duty, reason: str) -> None:
        """A step ended without success; the duty may still succeed through the peers."""
        self._record(duty).reasons[edge] = reason

    def was_done(self, duty: Duty) -> None:
        """The node finished ``duty`` before it was restarted; when is not known any more."""
        self._record(duty).outcome = Outcome.DONE

    def nothing_due(self, duty: Duty) -> None:
        """None of the cluster's validators was drawn for ``duty``."""
        self._record(duty).outcome = Outcome.IDLE

    def finish(self, duty: Duty) -> DutyReport:
        """The duty's deadline has passed: log its outcome and return the report."""
        record = self._record(duty)
        if record.outcome is Outcome.OPEN:
            record.outcome = Outcome.FAILED
            if Step.SCHEDULED not in record.at_ms:
                record.outcome = Outcome.NOT_OURS
            reasons = _UNDECIDED_REASONS if duty.type in _UNDECIDED else REASONS
            if duty.type is DutyType.INFO_SYNC:
                reasons = _INFO_SYNC_REASONS
            record.reason = reasons[self._furthest(record)]
        report = self._report(duty, record)
        write = self._log.info if record.outcome is not Outcome.FAILED else self._log.warning
        write(
            "duty_ended",
            duty=str(duty),
            outcome=report.outcome,
            reason=report.reason,
            validators=report.validators,
            round=report.round,
            detail="; ".join(f"{edge}: {why}" for edge, why in record.reasons.items()),
            **{f"{step}_ms": at_ms for step, at_ms in report.at_ms.items()},
        )
        return report

    def reports(self, *, since_slot: int = 0) -> tuple[DutyReport, ...]:
        """Reports of the kept duties from ``since_slot`` on, open ones included, in order."""
        return tuple(
            self._report(duty, record)
            for duty, record in sorted(self._records.items())
            if duty.slot >= since_slot
        )

    def _record(self, duty: Duty) -> _Record:
        if duty not in self._records:
            self._records[duty] = _Record()
            while len(self._records) > REPORTS_KEPT:
                del self._records[min(self._records)]
        return self._records.setdefault(duty, _Record())

    @staticmethod
    def _last_step(duty: Duty) -> Step:
        if duty.type is DutyType.INFO_SYNC:
            return Step.STORED  # the cluster's own agreement: nothing is signed or submitted
        return Step.AGGREGATED if duty.type in _ENDS_AT_AGGREGATED else Step.SUBMITTED

    @staticmethod
    def _furthest(record: _Record) -> Step | None:
        reached = [step for step in _ORDER if step in record.at_ms]
        return reached[-1] if reached else None

    @staticmethod
    def _report(duty: Duty, record: _Record) -> DutyReport:
        return DutyReport(
            slot=duty.slot,
            type=duty.type.name.lower(),
            outcome=record.outcome.value,
            reason=record.reason,
            validators=record.validators,
            round=record.round,
            leader=record.leader,
            at_ms={step.value: at_ms for step, at_ms in record.at_ms.items()},
            partials_by_share={int(share): count for share, count in record.shares.items()},
        )
