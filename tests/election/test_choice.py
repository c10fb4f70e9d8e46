"""The same leader everywhere; a living one stays; the beacon favours nobody."""

from collections import Counter

from tests.election.support import configuration, view_of

from tetrarch.election.choice import choose
from tetrarch.election.configuration import Rule
from tetrarch.election.statements import View

C = configuration(7)


def test_living_leader_stays_by_every_rule() -> None:
    for rule in Rule:
        assert choose(rule, view_of(C, (1, 3, 5, 6)), incumbent=5, seed=b"x") == 5


def test_dead_leader_is_replaced() -> None:
    assert choose(Rule.LOWEST, view_of(C, (1, 3, 5, 6)), incumbent=0) == 1


def test_leader_that_resigned_does_not_follow_itself() -> None:
    for rule in Rule:
        view = View(C.hash, 2, (1, 3, 5, 6), vacated=True)
        chosen = {choose(rule, view, incumbent=1, seed=bytes([n])) for n in range(40)}
        assert chosen <= {3, 5, 6}
    alone = View(C.hash, 2, (1,), vacated=True)
    assert choose(Rule.LOWEST, alone, incumbent=1) == 1


def test_round_robin_takes_turns() -> None:
    chosen = [
        choose(Rule.ROUND_ROBIN, view_of(C, (1, 3, 5), term=term), incumbent=None)
        for term in range(1, 7)
    ]
    assert chosen == [3, 5, 1, 3, 5, 1]


def test_beacon_depends_on_seed_and_view_and_is_fair() -> None:
    drawn = Counter(
        choose(Rule.BEACON, view_of(C, range(7)), incumbent=None, seed=bytes([low, high]))
        for low in range(256)
        for high in range(8)
    )
    assert set(drawn) == set(range(7))
    assert all(230 < count < 360 for count in drawn.values())  # 293 expected, sigma 16
    seed = b"one seed"
    of_views = {
        choose(Rule.BEACON, view_of(C, range(7), term=term), incumbent=None, seed=seed)
        for term in range(1, 30)
    }
    assert len(of_views) > 3
