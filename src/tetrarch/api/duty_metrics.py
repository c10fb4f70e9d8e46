"""Metrics of duties, counted once each, when a duty has ended."""

from tetrarch.duties.tracker import DutyReport
from tetrarch.observability.metrics import Metrics


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
