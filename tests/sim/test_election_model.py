"""Small elections, all of their states."""

from tetrarch.sim.election_model import Limits, explore


def test_no_state_has_two_leaders_in_a_term() -> None:
    """One term, one restart from any state; the count stands in docs/explanation/election.md."""
    explored = explore(Limits(terms=1, restarts=1))
    assert explored.conflict is None
    assert explored.states == 26_494


def test_without_the_guard_a_restart_is_enough() -> None:
    explored = explore(Limits(terms=1, restarts=1, guarded=False))
    assert explored.conflict is not None
    assert "0 restarts" in explored.conflict


def test_one_answer_fewer_is_too_few() -> None:
    explored = explore(Limits(terms=1, restarts=1, answers_fewer=1))
    assert explored.conflict is not None
