"""The score is bounded, moves the right way with each of its parts, and is what the page says."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrarch.ethereum.beacon_nodes import scoring
from tetrarch.ethereum.beacon_nodes.scoring import Standing, score

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "several-beacon-nodes.md"
latencies = st.floats(0, 1e7)
distances = st.integers(0, 10**7)
shares = st.floats(0, 1)


@given(latencies, distances, shares)
def test_score_is_bounded(latency_ms: float, distance: int, share: float) -> None:
    assert 0 < score(latency_ms=latency_ms, sync_distance=distance, inclusion=share) <= 1


@given(latencies, latencies, distances, distances, shares, shares)
def test_score_is_monotone_in_each_part(
    latency_a: float, latency_b: float, near: int, far: int, less: float, more: float
) -> None:
    quick, slow = sorted((latency_a, latency_b))
    near, far = sorted((near, far))
    less, more = sorted((less, more))
    best = score(latency_ms=quick, sync_distance=near, inclusion=more)
    assert score(latency_ms=slow, sync_distance=near, inclusion=more) <= best
    assert score(latency_ms=quick, sync_distance=far, inclusion=more) <= best
    assert score(latency_ms=quick, sync_distance=near, inclusion=less) <= best


def test_each_part_halves_the_score_where_the_page_says() -> None:
    assert score(latency_ms=0, sync_distance=0, inclusion=1) == 1
    assert score(latency_ms=1000, sync_distance=0, inclusion=1) == pytest.approx(0.5)
    assert score(latency_ms=0, sync_distance=1, inclusion=1) == pytest.approx(0.5)
    assert score(latency_ms=0, sync_distance=0, inclusion=0) == pytest.approx(0.5)


def test_formula_stands_in_the_docs_as_in_the_code() -> None:
    text = scoring.__doc__
    assert text is not None
    formula = next(line.strip() for line in text.splitlines() if "score =" in line)
    assert formula in PAGE.read_text()


@given(st.lists(shares, max_size=200))
def test_inclusion_stays_a_share(judged: list[float]) -> None:
    standing = Standing()
    for share in judged:
        standing = standing.judged(share)
    assert 0 <= standing.inclusion <= 1


def test_node_whose_data_is_never_included_falls_behind_an_equal_one() -> None:
    good = bad = Standing(latency_ms=20)
    for _ in range(8):
        good, bad = good.judged(1), bad.judged(0)
    assert bad.score < 0.85 * good.score


def test_latency_is_a_moving_average_and_an_overdue_answer_never_lowers_it() -> None:
    standing = Standing().answered(100)
    assert standing.latency_ms == 100
    assert standing.answered(200).latency_ms == pytest.approx(120)
    assert standing.overdue(50) == standing
    assert standing.overdue(600).latency_ms == pytest.approx(200)
