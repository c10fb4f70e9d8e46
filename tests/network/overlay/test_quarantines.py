"""Who is put aside stays so for a time, and is renewed by its own word alone."""

from dataclasses import replace

import pytest
from tests.network.overlay.support import NOW_S, node_id, profile

from tetrarch.network.conduct import UNREACHABLE
from tetrarch.network.overlay.policy import PolicyRules
from tetrarch.network.overlay.quarantines import Quarantine, Quarantines

RULES = PolicyRules()
X = node_id(1)


def begun(reason: str = "score", *, times: int = 1) -> Quarantines:
    quarantines = Quarantines(RULES)
    for _ in range(times):
        assert quarantines.begin(profile(1), reason, now_s=NOW_S) is None
    return quarantines


def test_the_time_grows_with_how_often() -> None:
    assert begun().by_node[X] == Quarantine(profile(1), NOW_S, NOW_S + 600, "score")
    again = begun(times=3)
    assert (again.times(X), again.by_node[X].until_s) == (3, NOW_S + 2400)
    again.end(X)
    assert (X in again.by_node, again.times(X)) == (False, 3)
    again.forget(X)
    assert again.times(X) == 0


@pytest.mark.parametrize(
    ("said_s", "now_s", "is_renewed"),
    [
        (60, 600, False),  # by a clock that was ahead it may be of before
        (61, 600, True),
        (0, 599, False),
        (61, 661, False),  # stale by now
    ],
)
def test_renewed_is_who_spoke_since(said_s: int, now_s: int, is_renewed: bool) -> None:
    quarantines = begun()
    quarantines.renew(profile(1, time_s=NOW_S + said_s))
    assert quarantines.is_renewed(X, now_s=NOW_S + now_s) is is_renewed


def test_an_older_word_renews_nothing() -> None:
    quarantines = begun()
    quarantines.renew(profile(1, time_s=NOW_S + 100))
    quarantines.renew(profile(1, time_s=NOW_S + 50))
    assert quarantines.by_node[X].profile.time_s == NOW_S + 100


def test_who_could_not_be_reached_and_shows_itself_is_free_at_once() -> None:
    quarantines = begun(UNREACHABLE)
    assert quarantines.shown(X, now_s=NOW_S + 5)
    assert quarantines.by_node[X].until_s == NOW_S + 5
    assert quarantines.is_renewed(X, now_s=NOW_S + 5), "no word of it is needed"
    assert not quarantines.shown(node_id(2), now_s=NOW_S)


def test_who_did_wrong_and_shows_itself_stays() -> None:
    quarantines = begun("score")
    assert not quarantines.shown(X, now_s=NOW_S + 5)
    assert quarantines.by_node[X].until_s == NOW_S + 600


def test_a_restored_one_goes_on() -> None:
    quarantines = Quarantines(RULES)
    kept = Quarantine(profile(1), NOW_S, NOW_S + 9, "score")
    quarantines.restore(X, kept, times=4)
    quarantines.restore(node_id(2), None, times=2)
    assert dict(quarantines.by_node) == {X: kept}
    assert (quarantines.times(X), quarantines.times(node_id(2))) == (4, 2)


def test_room_is_made_by_who_would_be_free_first() -> None:
    quarantines = Quarantines(replace(RULES, quarantined_max=2))
    for number in (1, 2):
        assert quarantines.begin(profile(number), "score", now_s=NOW_S + number) is None
    assert quarantines.begin(profile(1), "score", now_s=NOW_S + 3) is None, "it has its place"
    assert quarantines.begin(profile(3), "score", now_s=NOW_S + 4) == node_id(2)


def test_a_crowd_makes_room_for_its_own() -> None:
    """However many of one network are put aside, others stay so."""
    quarantines = Quarantines(replace(RULES, quarantined_max=3))
    quarantines.begin(profile(1), "score", now_s=NOW_S)
    crowd = [profile(number, ip=f"20.1.1.{number}") for number in range(10, 15)]
    gone = []
    for late_s, each in enumerate(crowd):
        crowded = quarantines.begin(each, "score", now_s=NOW_S + late_s)
        if crowded is not None:
            quarantines.forget(crowded)
            gone.append(crowded)
    assert gone == [each.node for each in crowd[:3]]
    assert set(quarantines.by_node) == {X, crowd[3].node, crowd[4].node}
