"""A score is the sum of reasons that a person can read, and old sins fade."""

import pytest
from tests.network.overlay.support import NOW_S

from tetrarch.network.conduct import (
    EVENTS_MAX,
    Conduct,
    Fault,
    Points,
    ScoreRules,
    Tip,
    explain,
    score,
)
from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS, Topic

RULES = ScoreRules()


def points(
    conduct: Conduct[Topic], *, after_s: float = 0.0, own_height: int | None = None
) -> dict[str, float]:
    parts = explain(conduct, RULES, now_s=NOW_S + after_s, own_height=own_height)
    return {part.reason: part.points for part in parts}


def test_a_stranger_has_no_points() -> None:
    assert explain(Conduct[Topic](NOW_S), RULES, now_s=NOW_S) == ()
    assert score(Conduct[Topic](NOW_S), RULES, now_s=NOW_S) == 0


@pytest.mark.parametrize("fault", Fault)
def test_a_fault_costs_and_half_of_it_after_its_half_life(fault: Fault) -> None:
    conduct = Conduct[Topic](NOW_S)
    conduct.broke(fault, NOW_S)
    assert points(conduct) == {fault.label: -fault.cost}
    assert points(conduct, after_s=1800) == {fault.label: pytest.approx(-fault.cost / 2)}
    conduct.broke(fault, NOW_S)
    assert points(conduct) == {fault.label: -2 * fault.cost}


def test_failures_count_until_it_answers_or_they_are_old() -> None:
    conduct = Conduct[Topic](NOW_S)
    for _ in range(3):
        conduct.failed(NOW_S)
    assert points(conduct) == {"connection_failures": -15}
    assert points(conduct, after_s=300) == {"connection_failures": -7.5}
    assert points(conduct, after_s=600) == {}
    conduct.answered(NOW_S)
    assert points(conduct) == {}
    assert conduct.met_s == NOW_S


def test_latency_is_a_mean_and_costs_above_what_is_free() -> None:
    conduct = Conduct[Topic](NOW_S)
    conduct.answered(NOW_S, 0.4)
    assert points(conduct) == {}
    for _ in range(100):
        conduct.answered(NOW_S, 1.5)
    assert points(conduct) == {"latency": pytest.approx(-5.0, abs=0.01)}
    for _ in range(100):
        conduct.answered(NOW_S, 60.0)
    assert points(conduct) == {"latency": -10.0}


def test_first_to_bring_is_worth_something_and_not_without_end() -> None:
    conduct = Conduct[Topic](NOW_S)
    conduct.brought(BLOCKS, NOW_S, first=False)
    assert points(conduct) == {}
    conduct.brought(FRAGMENTS, NOW_S + 1, first=True)
    assert points(conduct) == {"contributions": 1.0}
    assert conduct.last_message_s == {BLOCKS: NOW_S, FRAGMENTS: NOW_S + 1}
    for _ in range(5000):
        conduct.brought(BLOCKS, NOW_S, first=True)
    assert points(conduct) == {"contributions": 10.0}


def test_a_chain_far_behind_costs() -> None:
    conduct = Conduct[Topic](NOW_S, tip=Tip(b"t" * 32, 100, NOW_S))
    assert points(conduct, own_height=110) == {}
    assert points(conduct, own_height=111) == {"chain_behind": -5.0}
    assert points(conduct, own_height=None) == {}
    assert points(conduct, own_height=50) == {}


def test_the_score_is_the_sum_worst_first() -> None:
    conduct = Conduct[Topic](NOW_S)
    conduct.broke(Fault.FLOOD, NOW_S)
    conduct.failed(NOW_S)
    conduct.brought(BLOCKS, NOW_S, first=True)
    parts = explain(conduct, RULES, now_s=NOW_S + 0.0)
    assert parts == (
        Points("flood", -20.0, "1 times, last 0 s ago"),
        Points("connection_failures", -5.0, "1 since it last answered"),
        Points("contributions", 1.0, "1 in all"),
    )
    assert score(conduct, RULES, now_s=NOW_S) == -24.0


def test_what_is_kept_is_bounded() -> None:
    conduct = Conduct[Topic](NOW_S)
    for number in range(10_000):
        conduct.failed(NOW_S + number)
        conduct.broke(Fault.FLOOD, NOW_S + number)
    assert len(conduct.failures_s) == len(conduct.faults) == EVENTS_MAX
