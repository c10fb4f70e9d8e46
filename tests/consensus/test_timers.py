"""Every round lasts, deadlines grow, and nodes that are in time end rounds together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrarch.consensus.timers import ROUND_MAX_S, RoundTimer, RoundTimes
from tetrarch.duties.types import Duty, DutyType
from tetrarch.errors import InvariantBroken

ATTESTER = Duty(7, DutyType.ATTESTER)
PROPOSER = Duty(7, DutyType.PROPOSER)
times = st.builds(
    RoundTimes, round_s=st.floats(0.05, 5), proposer_extra_s=st.sampled_from([0.0, 0.5])
)
duties = st.sampled_from([ATTESTER, PROPOSER])


def test_mainnet_rounds_are_a_second_and_the_proposer_has_half_more() -> None:
    rounds = RoundTimes.for_slot(12.0)
    assert [rounds.total_s(ATTESTER, round_) for round_ in (1, 2, 3)] == [1.0, 2.0, 3.0]
    assert [rounds.total_s(PROPOSER, round_) for round_ in (1, 2, 3)] == [1.5, 2.5, 3.5]


def test_short_slots_have_short_rounds_with_a_floor() -> None:
    assert RoundTimes.for_slot(6.0).duration_s(ATTESTER, 1) == pytest.approx(0.5)
    assert RoundTimes.for_slot(2.0).duration_s(ATTESTER, 1) == pytest.approx(0.4)
    assert RoundTimes.for_slot(2.0).duration_s(PROPOSER, 1) == pytest.approx(0.6)
    assert RoundTimes.for_slot(2.0).duration_s(PROPOSER, 2) == pytest.approx(0.4)


def test_late_rounds_double_up_to_a_maximum() -> None:
    rounds = RoundTimes.for_slot(12.0)
    lengths = [rounds.duration_s(ATTESTER, round_) for round_ in range(8, 16)]
    assert lengths == [1.0, 2.0, 4.0, 8.0, 16.0, 16.0, 16.0, 16.0]
    assert RoundTimes.for_slot(600.0).duration_s(ATTESTER, 900) > ROUND_MAX_S


def test_empty_round_is_refused() -> None:
    with pytest.raises(InvariantBroken):
        RoundTimes(round_s=0.0, proposer_extra_s=0.0)


def test_round_after_one_with_a_late_proposal_is_not_empty() -> None:
    """With absolute deadlines alone, round 2 would be over as soon as it began."""
    timer = RoundTimer(RoundTimes.for_slot(12.0), PROPOSER, start_s=100.0)
    first_s = timer.proposed(1, timer.entered(1, 100.0), 101.5)
    assert first_s == pytest.approx(103.0)
    assert timer.entered(2, first_s) == pytest.approx(103.5)
    assert timer.proposed(2, 103.5, 103.4) == pytest.approx(104.4)


def test_cluster_that_is_late_catches_up_with_the_schedule() -> None:
    timer = RoundTimer(RoundTimes.for_slot(12.0), ATTESTER, start_s=0.0)
    now_s = 2.0  # entered two seconds late
    for round_ in range(1, 9):
        now_s = timer.entered(round_, now_s)
    assert now_s == pytest.approx(timer.start_s + timer.times.total_s(ATTESTER, 8))


@given(times, duties, st.floats(-50, 500), st.lists(st.booleans(), min_size=1, max_size=40))
def test_every_round_lasts_and_deadlines_grow(
    rounds: RoundTimes, duty: Duty, entry_s: float, proposals: list[bool]
) -> None:
    timer = RoundTimer(rounds, duty, start_s=0.0)
    now_s = entry_s
    for round_, proposed in enumerate(proposals, start=1):
        deadline_s = timer.entered(round_, now_s)
        if proposed:
            deadline_s = timer.proposed(round_, deadline_s, now_s)
        duration_s = rounds.duration_s(duty, round_)
        assert deadline_s - now_s >= duration_s / 2 - 1e-9
        assert deadline_s - max(now_s, 0.0) <= 2 * duration_s + 1e-9, "no round is endless"
        now_s = deadline_s


@given(times, duties, st.integers(1, 30), st.floats(0, 1), st.floats(0, 1))
def test_nodes_that_enter_in_time_end_the_round_together(
    rounds: RoundTimes, duty: Duty, round_: int, early: float, late: float
) -> None:
    timer = RoundTimer(rounds, duty, start_s=0.0)
    end_s = rounds.total_s(duty, round_)
    duration_s = rounds.duration_s(duty, round_)
    # In time: up to one duration before the round's nominal begin, or in its first half.
    for entry_s in (end_s - (1 + early) * duration_s, end_s - (1 + late) * duration_s / 2):
        assert timer.entered(round_, entry_s) == pytest.approx(end_s)
