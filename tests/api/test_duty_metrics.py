"""Ended duties: counted once, under our names and under the reference's."""

import msgspec
import pytest

from tetrarch.api.duty_metrics import (
    count_duty,
    count_duty_by_reference,
    count_lasting,
    count_peer_fault,
)
from tetrarch.duties.report import (
    Cohort,
    DutyReport,
    InclusionReport,
    Outcome,
    PeerPart,
    Standing,
    Step,
    Verdict,
)
from tetrarch.duties.types import DutyType
from tetrarch.observability.metrics import Metrics


def report(outcome: Outcome, *, shares: tuple[int, ...] = (), reason: str = "") -> DutyReport:
    return DutyReport(
        slot=9,
        type="attester",
        outcome=outcome,
        reason=reason,
        validators=2,
        round=1,
        leader=3,
        at_ms={Step.FETCHED: 20.0, Step.SUBMITTED: 80.0},
        parts=tuple(
            PeerPart(peer=share - 1, standing=Standing.ON_TIME, partials=2) for share in shares
        ),
    )


def test_duty_is_counted_by_outcome_step_round_and_share() -> None:
    metrics = Metrics()
    count_duty(metrics, report(Outcome.DONE, shares=(1, 3)))
    value = metrics.registry.get_sample_value
    outcome = {"type": "attester", "outcome": "done", "reason": ""}
    assert value("tetrarch_duties_total", outcome) == 1
    step = {"type": "attester", "step": "submitted"}
    assert value("tetrarch_duty_step_seconds_sum", step) == pytest.approx(0.08)
    assert value("tetrarch_consensus_rounds_total", {"type": "attester", "round": "1"}) == 1
    assert value("tetrarch_partials_total", {"type": "attester", "share": "3"}) == 2


def test_participation_is_by_the_names_of_nodes_and_not_by_shares() -> None:
    metrics = Metrics()
    count_duty_by_reference(metrics, 4, report(Outcome.DONE, shares=(1, 2, 4)))
    for peer, took_part in (("node0", 1), ("node1", 1), ("node2", 0), ("node3", 1)):
        labels, name = {"duty": "attester", "peer": peer}, "core_tracker_participation"
        value = metrics.registry.get_sample_value
        assert value(name, labels) == took_part
        assert value(f"{name}_expected_total", labels) == 1
        assert value(f"{name}_success_total", labels) == took_part
        assert value(f"{name}_total", labels) == took_part
        assert value(f"{name}_missed_total", labels) == 1 - took_part


@pytest.mark.parametrize(
    ("outcome", "expected", "success", "failed"),
    [(Outcome.DONE, 1, 1, None), (Outcome.FAILED, 1, None, 1), (Outcome.IDLE, None, None, None)],
)
def test_success_and_failure_are_counted_by_the_references_names(
    outcome: Outcome, expected: int | None, success: int | None, failed: int | None
) -> None:
    metrics, duty = Metrics(), {"duty": "attester"}
    count_duty_by_reference(metrics, 4, report(outcome, reason="no_consensus"))
    value = metrics.registry.get_sample_value
    assert value("core_tracker_expect_duties_total", duty) == expected
    assert value("core_tracker_success_duties_total", duty) == success
    assert value("core_tracker_failed_duties_total", duty) == failed
    reason = {**duty, "reason": "no_consensus"}
    assert value("core_tracker_failed_duty_reasons_total", reason) == failed
    assert value("core_tracker_attestation_expect_total") == (expected or 0)
    assert value("core_tracker_attestation_success_total") == (success or 0)


def test_disagreement_and_inclusion_are_counted_by_the_references_names() -> None:
    metrics = Metrics()
    told = msgspec.structs.replace(
        report(Outcome.DONE, shares=(1, 2, 3, 4)),
        cohorts=(Cohort(said="aa", peers=(2,)), Cohort(said="bb", peers=(0, 1, 3))),
        inclusion=InclusionReport(
            slot=9,
            type="attester",
            verdict=Verdict.NOT_INCLUDED,
            due=3,
            included=1,
            distance=2,
        ),
    )
    count_duty_by_reference(metrics, 4, told)
    value = metrics.registry.get_sample_value
    assert value("core_tracker_inconsistent_parsigs_total", {"duty": "attester"}) == 1
    for share, rank in (("1", "1"), ("2", "1"), ("3", "2"), ("4", "1")):
        labels = {"duty": "attester", "peer_idx": share, "rank": rank}
        assert value("core_tracker_parsig_cohort_rank_total", labels) == 1
    assert value("core_tracker_inclusion_delay") == 2
    assert value("core_tracker_inclusion_missed_total", {"duty": "attester"}) == 2


def test_partials_for_a_duty_that_is_not_ours_are_unexpected() -> None:
    metrics = Metrics()
    count_duty_by_reference(metrics, 4, report(Outcome.NOT_OURS, shares=(4,)))
    value = metrics.registry.get_sample_value
    assert value("core_tracker_unexpected_events_total", {"peer": "node3"}) == 1
    assert value("core_tracker_expect_duties_total", {"duty": "attester"}) is None


def test_registrations_are_counted_by_the_references_names_and_exits_are_not() -> None:
    metrics = Metrics()
    for outcome, count in (("submitted", 3), ("postponed", 1), ("refused", 1), ("adopted", 9)):
        count_lasting(metrics, DutyType.BUILDER_REGISTRATION, outcome, count)
    count_lasting(metrics, DutyType.EXIT, "submitted", 5)
    value = metrics.registry.get_sample_value
    assert value("core_scheduler_submit_registration_total") == 3
    assert value("core_scheduler_submit_registration_errors_total") == 2
    exits = {"type": "exit", "outcome": "submitted"}
    assert value("tetrarch_lasting_duties_total", exits) == 5


def test_inclusion_is_counted_in_validators_with_its_distance() -> None:
    metrics = Metrics()
    inclusion = InclusionReport(
        slot=9, type="attester", verdict=Verdict.NOT_INCLUDED, due=5, included=3, distance=2
    )
    ended = msgspec.structs.replace(report(Outcome.FAILED, shares=(1,)), inclusion=inclusion)
    count_duty(metrics, ended)
    value, name = metrics.registry.get_sample_value, "tetrarch_duty_inclusion"
    assert value(f"{name}_total", {"type": "attester", "verdict": "included"}) == 3
    assert value(f"{name}_total", {"type": "attester", "verdict": "not_included"}) == 2
    assert value(f"{name}_distance_slots_sum", {"type": "attester"}) == 2
    labels = {"type": "attester", "peer": "node0", "standing": "on_time"}
    assert value("tetrarch_duty_participation_total", labels) == 1


def test_faults_are_counted_by_the_peers_name() -> None:
    metrics = Metrics()
    count_peer_fault(metrics, 2, "equivocation")
    labels = {"peer": "node2", "kind": "equivocation"}
    assert metrics.registry.get_sample_value("tetrarch_peer_faults_total", labels) == 1
