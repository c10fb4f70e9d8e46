"""Reports: how far a duty got, why it failed, who took part."""

from dataclasses import replace

import pytest
from tests.duties.duty_world import CHAIN, GENESIS_S, FixedClock, RecordingLog, Validators

from tetrarch.duties.duty import PeerIndex
from tetrarch.duties.report import (
    InclusionReport,
    PeerPart,
    Standing,
    Verdict,
    decode_report,
    encode_report,
)
from tetrarch.duties.tracker import REPORTS_KEPT, Cluster, Outcome, Step, Tracker
from tetrarch.duties.types import Duty, DutyType, PartialSet, SyncMessagePayload

DUTY = Duty(9, DutyType.ATTESTER)
START_S = GENESIS_S + 12 * 9 + 4
VALIDATORS = Validators(2)


class World:
    def __init__(self, *, by_client: bool = False) -> None:
        self.clock = FixedClock(START_S)
        self.log = RecordingLog()
        self.finished: list[Duty] = []
        self.faults: list[tuple[int, str]] = []
        self.tracker = Tracker(
            chain=CHAIN,
            clock=self.clock,
            cluster=Cluster(4, "node{}".format),
            log=self.log,
            by_client=by_client,
            on_last_step=self.finished.append,
            on_fault=lambda peer, kind: self.faults.append((peer, kind)),
        )

    def passes(self, *steps: Step, duty: Duty = DUTY) -> None:
        for step in steps:
            self.tracker.passed(duty, step, validators=2)

    def hears(self, *shares: int, after_s: float = 0.0) -> None:
        """Partials of ``shares`` come so long after the duty's start, and are accepted."""
        self.clock.now_s = START_S + after_s
        for share in shares:
            self.tracker.arrived(VALIDATORS.partials(share))
            self.tracker.participated(VALIDATORS.partials(share))


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


def test_failure_has_its_reason_and_the_words_of_what_failed() -> None:
    world = World()
    world.passes(Step.SCHEDULED)
    world.tracker.failed("scheduler>fetcher.fetch", DUTY, "connection refused")
    report = world.tracker.finish(DUTY)
    assert (report.outcome, report.reason) == ("failed", "fetch_bn_error")
    (line,) = world.log.find("duty_ended")
    assert line["detail"] == "scheduler>fetcher.fetch: connection refused"
    assert world.log.lines[0][0] == "warning"


def test_reason_looks_at_the_duties_that_it_rests_on() -> None:
    world = World()
    randao, proposer = Duty(9, DutyType.RANDAO), Duty(9, DutyType.PROPOSER)
    world.passes(Step.SCHEDULED, Step.SIGNED, duty=randao)
    world.passes(Step.SCHEDULED, duty=proposer)
    world.tracker.failed("scheduler>fetcher.fetch", proposer, "deadline passed")
    assert world.tracker.finish(proposer).reason == "proposer_no_external_randaos"
    assert world.tracker.finish(randao).reason == "no_peer_signatures"


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
        world.tracker.arrived(VALIDATORS.partials(share))
    (report,) = world.tracker.reports()
    assert report.partials_by_share == {1: 2, 3: 2}


def test_missing_late_and_bad_peers_are_named_with_their_times() -> None:
    world = World()
    world.passes(Step.SCHEDULED, Step.SIGNED)
    world.hears(1, 2, after_s=0.1)
    world.hears(3, after_s=0.2)
    world.passes(Step.THRESHOLD)
    world.hears(4, after_s=0.2 + 1.1)  # more than a twelfth of a slot later
    world.tracker.rejected(VALIDATORS.partials(3))
    report = world.tracker.finish(DUTY)
    assert report.parts == (
        PeerPart(peer=0, standing=Standing.ON_TIME, partials=2, first_ms=100.0),
        PeerPart(peer=1, standing=Standing.ON_TIME, partials=2, first_ms=100.0),
        PeerPart(peer=2, standing=Standing.BAD, partials=2, bad=2, first_ms=200.0),
        PeerPart(peer=3, standing=Standing.LATE, partials=2, first_ms=1300.0),
    )
    (line,) = world.log.find("duty_ended")
    assert (line["late"], line["bad"]) == ("node3", "node2")
    assert "missing" not in line
    assert world.faults == [(2, "false_partial")]


def test_last_of_many_is_not_late_for_coming_last() -> None:
    world = World()
    world.passes(Step.SCHEDULED, Step.SIGNED)
    world.hears(1, 2, 3, after_s=0.1)
    world.passes(Step.THRESHOLD)
    world.hears(4, after_s=0.4)
    assert world.tracker.finish(DUTY).peers_that_are(Standing.LATE) == ()


def test_silent_peer_is_named_missing() -> None:
    world = World()
    world.passes(*Step)
    world.hears(1, 2, 4)
    report = world.tracker.finish(DUTY)
    assert report.peers_that_are(Standing.MISSING) == (2,)
    (line,) = world.log.find("duty_ended")
    assert line["missing"] == "node2"


@pytest.mark.parametrize("ours", [False, True])
def test_nobody_is_missed_in_a_duty_that_nobody_had_or_began(ours: bool) -> None:
    world = World()
    if ours:
        world.passes(Step.SCHEDULED)
    else:
        world.hears(2)
        world.passes(Step.EXCHANGED)
    assert world.tracker.finish(DUTY).peers_that_are(Standing.MISSING) == ()


def test_shares_that_sign_different_heads_are_told_apart() -> None:
    world = World()
    duty = Duty(9, DutyType.SYNC_MESSAGE)
    for share, head in ((1, b"a"), (2, b"b"), (3, b"a"), (4, b"a")):
        (first, *_) = VALIDATORS.partials(share).partials
        payload = SyncMessagePayload(slot=9, beacon_block_root=head * 32)
        partial = replace(first, payload=payload)
        world.tracker.arrived(PartialSet(duty=duty, partials=(partial,)))
    world.tracker.passed(duty, Step.SCHEDULED)
    world.tracker.passed(duty, Step.SIGNED)
    world.tracker.passed(duty, Step.EXCHANGED)
    report = world.tracker.finish(duty)
    assert report.reason == "par_sig_db_inconsistent_sync"
    assert [(each.said, each.peers) for each in report.cohorts] == [
        ("0x6161616161616161", (0, 2, 3)),
        ("0x6262626262626262", (1,)),
    ]
    (line,) = world.log.find("duty_ended")
    assert line["disagreement"] == "node0, node2, node3 against node1"


def test_round_changes_say_who_led_and_what_lacked() -> None:
    world = World()
    world.tracker.round_changed(DUTY, 2, "no_pre_prepare", PeerIndex(3))
    (report,) = world.tracker.reports()
    (change,) = report.round_changes
    assert (change.round, change.lacked, change.leader) == (2, "no_pre_prepare", 3)


def test_faults_are_of_a_duty_or_of_the_slot_they_came_in() -> None:
    world = World()
    world.passes(Step.SCHEDULED)
    world.tracker.fault(1, "equivocation", DUTY)
    world.tracker.fault(2, "flood: inbox_full")
    world.tracker.fault(2, "flood: inbox_full")
    found = [(f.peer, f.kind, f.count, f.of_duty) for f in world.tracker.finish(DUTY).faults]
    assert found == [(1, "equivocation", 1, True), (2, "flood: inbox_full", 2, False)]
    world.clock.now_s += 12  # the next slot
    world.passes(Step.SCHEDULED, duty=Duty(10, DutyType.ATTESTER))
    assert world.tracker.finish(Duty(10, DutyType.ATTESTER)).faults == ()
    assert len(world.faults) == 3


def test_faults_without_end_take_bounded_memory() -> None:
    world = World()
    world.passes(Step.SCHEDULED)
    for number in range(1000):
        world.tracker.fault(1, f"kind{number}", DUTY)
        world.tracker.fault(1, f"kind{number}")
        world.tracker.round_changed(DUTY, number, "x" * 1000, PeerIndex(0))
    assert len(decode_report(encode_report(world.tracker.finish(DUTY))).faults) == 32


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (Verdict.NOT_INCLUDED, "not_included_onchain"),
        (Verdict.OTHER_HEAD, "voted_for_another_head"),
    ],
)
def test_vote_that_the_chain_did_not_take_up_is_a_failure_with_that_reason(
    verdict: Verdict, reason: str
) -> None:
    world = World()
    world.passes(*Step)
    missed = InclusionReport(
        slot=9, type="attester", verdict=verdict, due=2, included=1, distance=1
    )
    world.tracker.included(missed)
    report = world.tracker.finish(DUTY)
    assert (report.outcome, report.reason) == ("failed", reason)
    assert report.inclusion == missed
    (line,) = world.log.find("duty_ended")
    assert (line["included"], line["inclusion"]) == ("1/2", verdict)


@pytest.mark.parametrize("verdict", [Verdict.INCLUDED, Verdict.NO_BLOCK, Verdict.UNKNOWN])
def test_other_answers_of_the_chain_leave_a_duty_done(verdict: Verdict) -> None:
    world = World()
    world.passes(*Step)
    answer = InclusionReport(slot=9, type="attester", verdict=verdict, due=2, included=0)
    world.tracker.included(answer)
    assert world.tracker.finish(DUTY).outcome == Outcome.DONE


def test_last_step_is_told_once() -> None:
    world = World()
    world.passes(*Step, Step.SUBMITTED)
    assert world.finished == [DUTY]


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
        (DutyType.SYNC_MESSAGE, Step.FETCHED, "no_local_vc_signature"),
        (DutyType.PREPARE_AGGREGATOR, Step.SCHEDULED, "no_local_vc_signature"),
        (DutyType.AGGREGATOR, Step.FETCHED, "no_consensus"),
    ],
)
def test_reason_knows_what_is_agreed_on(duty_type: DutyType, last: Step, reason: str) -> None:
    world = World()
    duty = Duty(9, duty_type)
    for step in (Step.SCHEDULED, last):
        world.tracker.passed(duty, step)
    assert world.tracker.finish(duty).reason == reason


def test_client_that_never_sends_selections_makes_no_failures_until_it_does() -> None:
    world = World(by_client=True)
    for slot in (7, 8):
        duty = Duty(slot, DutyType.AGGREGATOR)
        world.passes(Step.SCHEDULED, duty=duty)
        report = world.tracker.finish(duty)
        assert (report.outcome, report.reason) == ("idle", "zero_aggregator_prepares")
    assert len(world.log.find("client_sends_no_selections")) == 1
    world.passes(Step.SIGNED, duty=Duty(9, DutyType.PREPARE_AGGREGATOR))
    duty = Duty(10, DutyType.AGGREGATOR)
    world.passes(Step.SCHEDULED, duty=duty)
    assert world.tracker.finish(duty).outcome == "failed"


def test_own_signer_without_selections_is_a_failure() -> None:
    world, duty = World(), Duty(7, DutyType.AGGREGATOR)
    world.passes(Step.SCHEDULED, duty=duty)
    assert world.tracker.finish(duty).outcome == "failed"
