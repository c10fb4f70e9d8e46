"""Goal: nodes that know one of them find their places, and what one has all get, whatever befalls them.

Method: the overlay of many nodes on virtual time. 100 here, 1,000 in the integration tier, 10,000 in
the soak; the goals are those of the project's issue on the network.
"""

import gc

import pytest

from tetrarch.sim.overlay_life import LifePlan, OverlayLife, live
from tetrarch.sim.overlay_world import OverlayKnobs


def lived(nodes: int, seed: int, **plan) -> OverlayLife:
    return live(OverlayKnobs(nodes=nodes), seed=seed, plan=LifePlan(**plan))


def check(life: OverlayLife) -> None:
    rounds = len(life.rings_right_by_round)
    assert life.rings_right_by_round[rounds // 2 - 1] >= 0.99
    assert life.rings_right_by_round[-1] == 1.0
    assert life.hits == 1.0
    assert life.copies_mean < 3
    assert life.copies_large_mean < 1.05
    assert life.churn_hits >= 0.999
    assert life.vanish[0].hits >= 0.99
    assert life.vanish[9].rings_right == 1.0
    assert life.vanish[10].hits == 1.0


@pytest.mark.parametrize("seed", [1, 2])
def test_a_hundred_nodes(seed: int) -> None:
    check(lived(100, seed))


@pytest.mark.integration
@pytest.mark.timeout(1200)
def test_a_thousand_nodes() -> None:
    """In a quarter of the time of the goals."""
    check(lived(1000, 1, rounds=5, churn_rounds=5, items=1))


@pytest.mark.soak
def test_ten_thousand_nodes() -> None:
    check(lived(10_000, 1))


def test_what_is_counted() -> None:
    told: list[int] = []
    plan = LifePlan(rounds=3, items=2, churn_rounds=2, churn_share=0.1, rounds_after=1)
    life = live(OverlayKnobs(nodes=20), seed=1, plan=plan, told=told.append)
    assert told == list(range(1, plan.rounds_all + 1))
    assert (len(life.rings_right_by_round), len(life.churn), len(life.vanish)) == (6, 2, 1)
    assert sum(life.copies) == sum(life.copies_large) == 4 * 19, (
        "each item came to all but its publisher"
    )
    assert life.copies[0] == 0
    assert sum(life.hops) == 8 * 20
    assert life.hops[0] == 8, "each item has one publisher"
    assert life.copies_mean == sum(n * count for n, count in enumerate(life.copies)) / (4 * 19)
    assert life.copies_large == (0, 4 * 19)
    assert gc.isenabled()
