"""A node says what an honest one may, and what it was asked for; no more."""

import pytest
from tests.network.overlay.support import node_id

from tetrarch.network.overlay.messages import CONTENT_MAX_BYTES, IDS_MAX, Kind
from tetrarch.network.overlay.pace import (
    BUCKETS_MAX,
    GOSSIP_COST,
    TOKENS_MAX,
    TOKENS_PER_S,
    Pace,
    cost,
)
from tetrarch.network.overlay.profile import NodeId

A, B = node_id(1), node_id(2)


def said(pace: Pace[NodeId], *, now_s: float, node=A) -> int:
    """How many small messages it may say at one moment."""
    return sum(pace.takes(node, 1.0, now_s=now_s) for _ in range(5 * int(TOKENS_MAX)))


def test_much_at_first_then_a_rate() -> None:
    pace: Pace[NodeId] = Pace()
    assert said(pace, now_s=0.0) == TOKENS_MAX
    assert said(pace, now_s=2.0) == 2 * TOKENS_PER_S
    assert said(pace, now_s=1e6) == TOKENS_MAX
    assert said(pace, now_s=0.0) == 0, "a clock that goes back gives nothing"


def test_each_node_has_its_own() -> None:
    pace: Pace[NodeId] = Pace()
    said(pace, now_s=0.0)
    assert said(pace, now_s=0.0, node=B) == TOKENS_MAX


def test_what_was_asked_for_costs_nothing_else() -> None:
    pace: Pace[NodeId] = Pace()
    pace.grant(A, 100.0, now_s=0.0)
    assert said(pace, now_s=0.0) == TOKENS_MAX + 100


def test_questions_are_not_saved_up() -> None:
    pace: Pace[NodeId] = Pace()
    for _ in range(100):
        pace.grant(A, 100.0, now_s=0.0)
    assert said(pace, now_s=0.0) == 2 * TOKENS_MAX
    pace.grant(A, 3 * TOKENS_MAX, now_s=0.0)
    assert said(pace, now_s=0.0) == 3 * TOKENS_MAX, "one large answer comes whole"


def test_what_is_too_much_takes_nothing() -> None:
    pace: Pace[NodeId] = Pace()
    assert not pace.takes(A, TOKENS_MAX + 1, now_s=0.0)
    assert said(pace, now_s=0.0) == TOKENS_MAX


def test_of_who_is_gone_nothing_is_kept() -> None:
    pace: Pace[NodeId] = Pace()
    said(pace, now_s=0.0)
    pace.forget(A)
    pace.forget(A)
    assert not pace._buckets


def test_an_address_has_a_rate_of_its_own() -> None:
    pace: Pace[str] = Pace(tokens_per_s=2.0, tokens_max=3.0)
    assert [pace.takes("a", 1.0, now_s=0.0) for _ in range(4)] == [True, True, True, False]
    assert [pace.takes("a", 1.0, now_s=1.0) for _ in range(3)] == [True, True, False]
    assert pace.takes("b", 1.0, now_s=1.0)


def test_buckets_are_bounded() -> None:
    pace: Pace[int] = Pace(tokens_per_s=1.0, tokens_max=2.0)
    for who in range(BUCKETS_MAX):
        pace.takes(who, 1.0, now_s=0.0)
    assert pace.takes(-1, 2.0, now_s=0.5)
    assert len(pace._buckets) == BUCKETS_MAX, "the oldest is gone"
    assert 0 not in pace._buckets
    assert not pace.takes(1, 2.0, now_s=0.5), "of the others nothing is forgotten"
    pace.grant(1, 1.0, now_s=1.0)
    pace.takes(-2, 1.0, now_s=1.0)
    assert set(pace._buckets) == {1, -1, -2}, "full ones are as good as new"


@pytest.mark.parametrize(
    ("kind", "size_bytes", "least", "most"),
    [
        (Kind.STATUS, 40, 1, 2),
        (Kind.ITEM, 1000, 1, 2),
        (Kind.ITEM, CONTENT_MAX_BYTES, 200, 300),
        (Kind.ANNOUNCE, 32 * IDS_MAX, 100, 200),
        (Kind.GOSSIP, 11_000, GOSSIP_COST, GOSSIP_COST),
        (99, 0, 1, 1),
    ],
)
def test_work_has_its_cost(kind: int, size_bytes: int, least: float, most: float) -> None:
    assert least <= cost(kind, size_bytes) <= most
