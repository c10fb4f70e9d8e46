"""Suspicion grows with silence, by what intervals were before."""

from hypothesis import given
from hypothesis import strategies as st

from tetrarch.election.suspicion import PHI_MAX, Suspicion


def regular(interval_s: float, count: int = 50, slack_s: float = 0.02) -> Suspicion:
    suspicion = Suspicion(started_s=0, expected_s=interval_s, slack_s=slack_s)
    for beat in range(1, count + 1):
        suspicion.heard(beat * interval_s)
    return suspicion


def test_paper_s_meaning_of_a_level() -> None:
    """One deviation late: a chance of 15.9 percent; five: of 2.9e-7."""
    suspicion = regular(0.1)
    assert round(suspicion.phi(5.0 + 0.1 + 0.02), 2) == 0.80
    assert round(suspicion.phi(5.0 + 0.1 + 0.10), 2) == 6.54


def test_silence_ends_in_certainty_and_a_heartbeat_ends_the_silence() -> None:
    suspicion = regular(0.1)
    assert suspicion.phi(60) == PHI_MAX
    suspicion.heard(60)
    assert suspicion.phi(60.05) < 1


def test_silence_of_a_member_that_was_away_does_not_make_later_ones_normal() -> None:
    suspicion = regular(0.1)
    suspicion.heard(60)
    assert suspicion.phi(60.6) > 8


def test_irregular_past_makes_patient() -> None:
    steady, unsteady = regular(0.1), Suspicion(started_s=0, expected_s=0.1, slack_s=0.02)
    now_s = 0.0
    for beat in range(50):
        now_s += 0.05 if beat % 2 else 0.15
        unsteady.heard(now_s)
    assert unsteady.phi(now_s + 0.3) < steady.phi(5.0 + 0.3)


def test_before_the_first_heartbeat_the_expected_interval_counts() -> None:
    suspicion = Suspicion(started_s=10, expected_s=0.5, slack_s=0.1)
    assert suspicion.phi(10.4) < 1
    assert suspicion.phi(12) > 8


@given(st.lists(st.floats(0.001, 5), max_size=20), st.floats(0, 30), st.floats(1, 300))
def test_level_is_reached_when_phi_says_so(intervals, more_s, level) -> None:
    suspicion = Suspicion(started_s=0, expected_s=1, slack_s=0.01)
    now_s = 0.0
    for interval in intervals:
        now_s += interval
        suspicion.heard(now_s)
    now_s += more_s
    assert suspicion.is_above(level, now_s) is (suspicion.phi(now_s) >= level)


@given(st.lists(st.floats(0.001, 5), min_size=1, max_size=40), st.floats(0, 9), st.floats(0, 9))
def test_never_falls_while_nothing_is_heard(intervals, one, more) -> None:
    suspicion = Suspicion(started_s=0, expected_s=1, slack_s=0.01)
    now_s = 0.0
    for interval in intervals:
        now_s += interval
        suspicion.heard(now_s)
    assert 0 <= suspicion.phi(now_s + one) <= suspicion.phi(now_s + one + more) <= PHI_MAX
