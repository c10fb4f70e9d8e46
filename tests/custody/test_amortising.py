"""Fees are spread evenly, to the last unit, and nobody gets dust."""

from hypothesis import given
from hypothesis import strategies as st

from tetrarch.custody.amortising import amortise

DUST = 10


def test_everybody_bears_the_same_and_the_first_ones_the_rest() -> None:
    borne = amortise([("a", 100), ("b", 200), ("c", 300)], lambda _: 8, dust=DUST)
    assert borne.paid == (("a", 98), ("b", 197), ("c", 297))
    assert borne.dropped == ()


def test_who_would_get_dust_is_not_paid_and_helps_the_others() -> None:
    borne = amortise([("a", 100), ("b", 12), ("c", 300)], lambda kept: 5 * len(kept), dust=DUST)
    assert borne.dropped == ("b",)
    assert borne.paid == (("a", 100), ("c", 300)), "10 were to be borne, 12 were dropped"
    borne = amortise([("a", 100), ("b", 12), ("c", 300)], lambda kept: 10 * len(kept), dust=DUST)
    assert borne.paid == (("a", 96), ("c", 296))


def test_nobody_is_paid_if_nothing_would_be_left() -> None:
    assert amortise([("a", 20)], lambda _: 11, dust=DUST).dropped == ("a",)
    assert amortise([("a", 20)], lambda _: 10, dust=DUST).paid == (("a", 10),)
    assert amortise([], lambda _: 7, dust=DUST).paid == ()


@given(st.lists(st.integers(0, 10_000), max_size=30), st.integers(0, 50_000), st.integers(0, 300))
def test_nothing_is_made_or_lost(amounts: list[int], base: int, each: int) -> None:
    cost = lambda kept: base + each * len(kept)  # noqa: E731
    borne = amortise(list(enumerate(amounts)), cost, dust=DUST)
    assert sorted([item for item, _ in borne.paid] + list(borne.dropped)) == list(
        range(len(amounts))
    )
    assert all(left >= DUST for _, left in borne.paid)
    gained = sum(amounts[item] for item in borne.dropped)
    bears = [amounts[item] - left for item, left in borne.paid]
    if bears:
        assert sum(bears) == max(cost(bears) - gained, 0)
        assert max(bears) - min(bears) <= 1
