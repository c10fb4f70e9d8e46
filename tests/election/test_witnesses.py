"""What is kept of a member never falls back, in whatever order it is heard."""

from hypothesis import given
from hypothesis import strategies as st
from tests.election.support import configuration, signed

from tetrarch.election.statements import Reservation, Signed
from tetrarch.election.witnesses import Kept, Registry, keep, learn

C = configuration()
EMPTY: Registry = (None,) * 4


def reservation(
    incarnation: int, to: int, boot: int | None = None, source: int = 1
) -> Signed[Reservation]:
    letter = bytes([incarnation if boot is None else boot])
    return signed(Reservation(C.hash, source, incarnation, letter * 32, to))


def kept(registry: Registry | Kept) -> Registry:
    assert isinstance(registry, tuple)
    return registry


def test_same_life_may_reserve_more_and_not_less() -> None:
    registry = kept(keep(kept(keep(EMPTY, reservation(1, 4))), reservation(1, 8)))
    assert isinstance(keep(registry, reservation(1, 7)), Kept)
    assert isinstance(keep(registry, reservation(1, 8)), tuple)


def test_newer_life_ends_the_older_one() -> None:
    registry = kept(keep(kept(keep(EMPTY, reservation(1, 4))), reservation(2, 4)))
    refused = keep(registry, reservation(1, 9))
    assert refused == Kept(newest=reservation(2, 4), highest=reservation(2, 4))


def test_newer_life_must_begin_above_the_older_one() -> None:
    registry = kept(keep(EMPTY, reservation(1, 4)))
    refused = keep(registry, reservation(2, 3))
    assert isinstance(refused, Kept)
    assert refused.highest == reservation(1, 4)


def test_second_copy_with_the_same_number_is_refused() -> None:
    registry = kept(keep(EMPTY, reservation(2, 4, boot=1)))
    assert isinstance(keep(registry, reservation(2, 9, boot=2)), Kept)


def test_members_do_not_touch_each_other() -> None:
    registry = kept(keep(EMPTY, reservation(5, 9, source=1)))
    assert isinstance(keep(registry, reservation(1, 1, source=2)), tuple)


reservations = st.builds(reservation, st.integers(1, 5), st.integers(0, 9), st.integers(0, 3))


@given(st.lists(reservations, max_size=8), st.randoms())
def test_learning_loses_neither_the_newest_nor_the_highest(heard, random) -> None:
    registry = learn(EMPTY, heard)
    if not heard:
        assert registry == EMPTY
        return
    found = registry[1]
    assert found is not None
    assert found.newest.what.incarnation == max(each.what.incarnation for each in heard)
    assert found.highest.what.reserved_to == max(each.what.reserved_to for each in heard)


@given(st.lists(reservations, max_size=12))
def test_kept_newest_and_highest_never_fall(asked) -> None:
    registry: Registry = EMPTY
    highest = newest = 0
    for each in asked:
        after = keep(registry, each)
        registry = registry if isinstance(after, Kept) else after
        found = registry[1]
        assert found is not None
        assert found.newest.what.incarnation >= newest
        assert found.highest.what.reserved_to >= highest
        newest, highest = found.newest.what.incarnation, found.highest.what.reserved_to
