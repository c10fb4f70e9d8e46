"""Reports: how far a duty got, why it failed, who took part."""

import pytest
from tests.duties.duty_world import CHAIN, GENESIS_S, FixedClock, RecordingLog, Validators

from tetrarch.duties.tracker import REASONS, REPORTS_KEPT, Outcome, Step, Tracker
from tetrarch.duties.types import Duty, DutyType

DUTY = Duty(9, DutyType.ATTESTER)
START_S = GENESIS_S + 12 * 9 + 4
VALIDATORS = Validators(2)


class World:
    def __init__(self) -> None:
        self.clock = FixedClock(START_S)
        self.log = RecordingLog()
        self.tracker = Tracker(chain=CHAIN, clock=self.clock, log=self.log)

    def passes(self, *steps: Step, duty: Duty = DUTY) -> None:
        for step in steps:
            self.tracker.passed(duty, step, validators=2)


def test_times_count_from_the_duty_start_and_the_first_passage_stands() -> None:
    world = World()
    world.passes(Step.SCHEDULED)
    world.clock.now_s = START_S + 0.02
    world.passes(Step.SCHEDULED, Step.FETCHED)
    (report,) = world.tracker.reports()
    assert report.at_ms == {"scheduled": 0.0, "fetched": pytest.approx(20, abs=0.1)}
    assert report.validators == 2


def test_submitted_duty_is_done_with_one_line() -> None:
    world = World()
    world.passes(*Step)
    world.tracker.decision(DUTY, round_number=2, leader=3)
    report = world.tracker.finish(DUTY)
    assert (report.outcome, report.reason) == ("done", "")
    assert (report.round, report.leader) == (2, 3)
    (line,) = world.log.find("duty_ended")
    assert line["duty"] == "9/attester"
    assert line["submitted_ms"] == 0.0


def test_duty_that_was_done_in_a_former_life_is_done_without_times() -> None:
    world = World()
    world.tracker.was_done(DUTY)
    report = world.tracker.finish(DUTY)
    assert (report.outcome, report.reason, report.at_ms) == ("done", "", {})


def test_randao_is_done_once_it_is_aggregated() -> None:
    world = World()
    duty = Duty(9, DutyType.RANDAO)
    world.passes(Step.SCHEDULED, Step.SIGNED, Step.AGGREGATED, duty=duty)
    assert world.tracker.finish(duty).outcome == Outcome.DONE


@pytest.mark.parametrize(
    ("last", "reason"), [(step, why) for step, why in REASONS.items() if step is not None]
)
def test_reason_names_the_step_at_which_it_got_stuck(last: Step, reason: str) -> None:
    world = World()
    steps = tuple(Step)
    world.passes(*steps[: steps.index(last) + 1])
    world.tracker.failed("some>edge", DUTY, "connection refused")
    report = world.tracker.finish(DUTY)
    assert (report.outcome, report.reason) == ("failed", reason)
    (line,) = world.log.find("duty_ended")
    assert line["detail"] == "some>edge: connection refused"
    assert world.log.lines[0][0] == "warning"


def test_every_step_but_the_last_has_a_reason_and_reasons_differ() -> None:
    assert set(REASONS) == {None, *Step} - {Step.SUBMITTED}
    assert len(set(REASONS.values())) == len(REASONS)


def test_duty_only_heard_of_is_no_failure_of_ours() -> None:
    world = World()
    world.passes(Step.EXCHANGED)
    report = world.tracker.finish(DUTY)
    assert report.outcome == Outcome.NOT_OURS
    assert world.log.lines[0][0] == "info"


def test_step_that_failed_does_not_spoil_a_duty_that_was_done() -> None:
    world = World()
    world.passes(Step.SCHEDULED)
    world.tracker.failed("scheduler>fetcher.fetch", DUTY, "away")
    world.passes(Step.DECIDED, Step.SUBMITTED)
    assert world.tracker.finish(DUTY).outcome == Outcome.DONE


def test_participation_counts_partials_by_share() -> None:
    world = World()
    for share in (1, 3):
        world.tracker.participated(VALIDATORS.partials(share))
    (report,) = world.tracker.reports()
    assert report.partials_by_share == {1: 2, 3: 2}


def test_reports_are_in_order_and_since_a_slot() -> None:
    world = World()
    for slot in (9, 7, 8):
        world.passes(Step.SCHEDULED, duty=Duty(slot, DutyType.ATTESTER))
    assert [report.slot for report in world.tracker.reports()] == [7, 8, 9]
    assert [report.slot for report in world.tracker.reports(since_slot=8)] == [8, 9]


def test_ring_keeps_the_latest_and_is_bounded() -> None:
    world = World()
    for slot in range(REPORTS_KEPT + 100):
        world.passes(Step.SCHEDULED, duty=Duty(slot, DutyType.ATTESTER))
    reports = world.tracker.reports()
    assert len(reports) == REPORTS_KEPT
    assert reports[-1].slot == REPORTS_KEPT + 99
    for _ in range(3):  # one that is older than all that is kept
        world.passes(Step.SCHEDULED, duty=Duty(0, DutyType.ATTESTER))
        assert len(world.tracker.reports()) <= REPORTS_KEPT + 1


def test_duty_for_which_nobody_was_drawn_is_idle_and_no_failure() -> None:
    world = World()
    duty = Duty(9, DutyType.AGGREGATOR)
    world.tracker.passed(duty, Step.SCHEDULED, validators=2)
    world.tracker.nothing_due(duty)
    assert world.tracker.finish(duty).outcome == "idle"


@pytest.mark.parametrize(
    ("duty_type", "last", "reason"),
    [
        (DutyType.SYNC_MESSAGE, Step.FETCHED, "no_local_signature"),
        (DutyType.PREPARE_AGGREGATOR, Step.SCHEDULED, "no_local_signature"),
        (DutyType.AGGREGATOR, Step.FETCHED, "no_consensus"),
    ],
)
def test_reason_knows_what_is_agreed_on(duty_type: DutyType, last: Step, reason: str) -> None:
    world = World()
    duty = Duty(9, duty_type)
    for step in (Step.SCHEDULED, last):
        world.tracker.passed(duty, step)
    assert world.tracker.finish(duty).reason == reason
