"""Metrics of duties, counted once each, when a duty has ended."""

from tetrarch.duties.report import DutyReport, InclusionReport, Outcome, Verdict
from tetrarch.duties.types import DutyType
from tetrarch.observability.metrics import Metrics
from tetrarch.observability.reference_metrics import peer_name


def count_duty(metrics: Metrics, report: DutyReport) -> None:
    """Add an ended duty to the node's metrics."""
    metrics.counter("duties_total").labels(report.type, report.outcome, report.reason).inc()
    steps = metrics.histogram("duty_step_seconds")
    for step, at_ms in report.at_ms.items():
        steps.labels(report.type, step).observe(max(at_ms, 0) / 1000)
    if report.round is not None:
        metrics.counter("consensus_rounds_total").labels(report.type, str(report.round)).inc()
    partials = metrics.counter("partials_total")
    for share, count in report.partials_by_share.items():
        partials.labels(report.type, str(share)).inc(count)
    if report.outcome in (Outcome.DONE, Outcome.FAILED):
        standings = metrics.counter("duty_participation_total")
        for part in report.parts:
            standings.labels(report.type, peer_name(part.peer), part.standing.value).inc()
    if report.inclusion is not None:
        _count_inclusion(metrics, report.inclusion)


def _count_inclusion(metrics: Metrics, inclusion: InclusionReport) -> None:
    counter = metrics.counter("duty_inclusion_total")
    if inclusion.included:
        counter.labels(inclusion.type, Verdict.INCLUDED.value).inc(inclusion.included)
    if inclusion.included < inclusion.due:
        left = inclusion.due - inclusion.included
        counter.labels(inclusion.type, inclusion.verdict.value).inc(left)
    if inclusion.distance is not None:
        distances = metrics.histogram("duty_inclusion_distance_slots")
        distances.labels(inclusion.type).observe(inclusion.distance)


def count_peer_fault(metrics: Metrics, peer: int, kind: str) -> None:
    """A peer broke the protocol in a duty."""
    metrics.counter("peer_faults_total").labels(peer_name(peer), kind).inc()


def count_duty_by_reference(metrics: Metrics, node_count: int, report: DutyReport) -> None:
    """Add an ended duty to the metrics under the reference's names. Nodes hold share index + 1."""
    counter, name = metrics.counter, report.type
    took_part = {share - 1 for share in report.partials_by_share}
    if report.outcome == Outcome.NOT_OURS:
        for peer in sorted(took_part):
            counter("core_tracker_unexpected_events_total").labels(peer_name(peer)).inc()
    if report.outcome not in (Outcome.DONE, Outcome.FAILED):
        return
    _count_cohorts(metrics, report)
    done = report.outcome == Outcome.DONE
    counter("core_tracker_expect_duties_total").labels(name).inc()
    if name == "attester":
        counter("core_tracker_attestation_expect_total").inc()
        counter("core_tracker_attestation_success_total").inc(done)
    if done:
        counter("core_tracker_success_duties_total").labels(name).inc()
    else:
        counter("core_tracker_failed_duties_total").labels(name).inc()
        counter("core_tracker_failed_duty_reasons_total").labels(name, report.reason).inc()
    for peer in range(node_count):
        labels, there = (name, peer_name(peer)), peer in took_part
        metrics.gauge("core_tracker_participation").labels(*labels).set(there)
        counter("core_tracker_participation_expected_total").labels(*labels).inc()
        counter("core_tracker_participation_success_total").labels(*labels).inc(there)
        counter("core_tracker_participation_total").labels(*labels).inc(there)
        counter("core_tracker_participation_missed_total").labels(*labels).inc(not there)


def _count_cohorts(metrics: Metrics, report: DutyReport) -> None:
    """Who signed the same as whom, and what the chain took up."""
    counter = metrics.counter
    cohorts = sorted(report.cohorts, key=lambda cohort: -len(cohort.peers))
    if len(cohorts) > 1:
        counter("core_tracker_inconsistent_parsigs_total").labels(report.type).inc()
    for rank, cohort in enumerate(cohorts, start=1):
        for peer in cohort.peers:
            labels = (report.type, str(peer + 1), str(rank))
            counter("core_tracker_parsig_cohort_rank_total").labels(*labels).inc()
    inclusion = report.inclusion
    if inclusion is None:
        return
    if inclusion.distance is not None:
        metrics.gauge("core_tracker_inclusion_delay").set(inclusion.distance)
    if inclusion.verdict in (Verdict.NOT_INCLUDED, Verdict.OTHER_HEAD):
        left = inclusion.due - inclusion.included
        counter("core_tracker_inclusion_missed_total").labels(inclusion.type).inc(left)


def count_lasting(metrics: Metrics, kind: DutyType, outcome: str, count: int) -> None:
    """Add what became of exits or registrations."""
    metrics.counter("lasting_duties_total").labels(kind.name.lower(), outcome).inc(count)
    if kind is DutyType.BUILDER_REGISTRATION and outcome == "submitted":
        metrics.counter("core_scheduler_submit_registration_total").inc(count)
    elif kind is DutyType.BUILDER_REGISTRATION and outcome in {"postponed", "refused"}:
        metrics.counter("core_scheduler_submit_registration_errors_total").inc(count)
