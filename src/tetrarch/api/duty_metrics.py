"""Metrics of duties, counted once each, when a duty has ended."""

from tetrarch.duties.tracker import DutyReport, Outcome
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


def count_duty_by_reference(metrics: Metrics, node_count: int, report: DutyReport) -> None:
    """Add an ended duty to the metrics under the reference's names. Nodes hold share index + 1."""
    counter, name = metrics.counter, report.type
    took_part = {share - 1 for share in report.partials_by_share}
    if report.outcome == Outcome.NOT_OURS:
        for peer in sorted(took_part):
            counter("core_tracker_unexpected_events_total").labels(peer_name(peer)).inc()
    if report.outcome not in (Outcome.DONE, Outcome.FAILED):
        return
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


def count_lasting(metrics: Metrics, kind: DutyType, outcome: str, count: int) -> None:
    """Add what became of exits or registrations."""
    metrics.counter("lasting_duties_total").labels(kind.name.lower(), outcome).inc(count)
