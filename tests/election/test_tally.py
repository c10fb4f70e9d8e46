"""Liars alone neither remove a member nor keep a dead one; order makes no difference."""

from collections.abc import Iterable
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.election.support import configuration

from tetrarch.election.configuration import Configuration
from tetrarch.election.quorums import Mode
from tetrarch.election.tally import Report, Standing, Tally

SIZES = [(count, Mode.BFT) for count in range(4, 11)]
SIZES += [(count, Mode.CRASH) for count in range(3, 11)]
sizes = pytest.mark.parametrize(("count", "mode"), SIZES)


def report(observer: int, *down: int, sequence: int = 1, echoed: Iterable[int] = ()) -> Report:
    return Report(observer, sequence, frozenset(down), frozenset(echoed))


def told(c: Configuration, *reports: Report) -> Tally:
    tally = Tally(c)
    for each in reports:
        assert tally.take(each)
    return tally


@sizes
def test_liars_alone_change_nothing(count: int, mode: Mode) -> None:
    c = configuration(count, mode)
    tally = told(c, *(report(liar, count - 1) for liar in range(c.liars_max)))
    assert tally.view(range(count)) == tuple(range(count))


@sizes
def test_dead_member_leaves_by_the_word_of_those_that_do_not_fail(count: int, mode: Mode) -> None:
    c = configuration(count, mode)
    others_failing = c.faulty_max - 1
    tally = told(c, *(report(each, count - 1) for each in range(others_failing, count - 1)))
    assert tally.standing(count - 1, range(count)) is Standing.DOWN
    assert tally.view(range(count)) == tuple(range(count - 1))


def test_in_between_there_is_no_list() -> None:
    tally = told(configuration(7), *(report(each, 6) for each in range(3)))
    assert tally.standing(6, range(7)) is Standing.UNSTABLE
    assert tally.view(range(7)) is None


def test_member_comes_back_by_the_same_observers() -> None:
    tally = told(configuration(), *(report(each, 3) for each in range(3)))
    assert tally.view(range(4)) == (0, 1, 2)
    for observer in range(3):
        assert tally.take(report(observer, sequence=2))
    assert tally.view(range(4)) == (0, 1, 2, 3)


def test_observers_that_are_gone_do_not_count() -> None:
    c = configuration(3, Mode.CRASH)
    tally = told(c, report(2, 1))
    assert tally.view((0, 1, 2)) is None
    assert tally.view((0, 1)) == (0, 1, 2)


def test_member_that_only_some_hear_leaves_when_the_others_join_them() -> None:
    c = configuration(7)
    unheard = [report(each, 6) for each in range(3)]
    assert told(c, *unheard, report(3, echoed=(6,))).view(range(7)) is None
    joined = [report(each, echoed=(6,)) for each in (3, 4)]
    assert told(c, *unheard, *joined).view(range(7)) == (0, 1, 2, 3, 4, 5)


def test_echoes_alone_move_nobody() -> None:
    tally = told(configuration(7), *(report(each, echoed=(6,)) for each in range(6)))
    assert tally.view(range(7)) == tuple(range(7))


def test_observer_counts_once_though_it_says_both() -> None:
    c = configuration(7)
    tally = told(c, *(report(each, 6, echoed=(6,)) for each in range(4)))
    assert tally.standing(6, range(7)) is Standing.UNSTABLE


def test_old_strange_and_own_reports_are_not_counted() -> None:
    tally = told(configuration(), report(0, 3, sequence=5))
    for false in (
        report(0, sequence=5),
        report(0, sequence=4),
        report(9, 3, sequence=9),
        report(0, 9, sequence=9),
        report(0, echoed=(-1,), sequence=9),
        report(2, 2, sequence=9),
        report(2, echoed=(2,), sequence=9),
    ):
        assert not tally.take(false)
    assert told(configuration(), report(1, 3)).view(range(4)) == (0, 1, 2, 3)
    assert tally.take(report(1, 3))
    assert tally.view(range(4)) is None


def test_observer_that_began_anew_may_count_from_one_again() -> None:
    tally = told(configuration(), report(0, 3, sequence=5), report(1, 3))
    tally.forget(0)
    assert tally.view(range(4)) == (0, 1, 2, 3)
    assert tally.take(report(0, 3))


def test_two_that_fall_together_leave_together() -> None:
    """Whatever part of the reports has come, nobody sees a list that never was."""
    c = configuration(7)
    seen = set()
    for known in product((None, (), (5,), (6,), (5, 6)), repeat=5):
        said = [report(o, *down) for o, down in enumerate(known) if down is not None]
        seen.add(told(c, *said).view(range(7)))
    whole, both = tuple(range(7)), tuple(range(5))
    # One about whom all have reported, while the other is not even suspected, leaves alone.
    assert seen == {whole, None, both, (0, 1, 2, 3, 4, 6), (0, 1, 2, 3, 4, 5)}


reports = st.builds(
    report,
    st.integers(0, 6),
    st.integers(0, 6),
    sequence=st.integers(0, 30),
    echoed=st.lists(st.integers(0, 6), max_size=3),
)


@given(st.lists(reports, max_size=40, unique_by=lambda r: (r.observer, r.sequence)))
def test_order_makes_no_difference(heard) -> None:
    one, other = Tally(configuration(7)), Tally(configuration(7))
    for each in heard:
        one.take(each)
    for each in reversed(heard):
        other.take(each)
    assert one.view(range(7)) == other.view(range(7))
