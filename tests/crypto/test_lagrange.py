"""Weights interpolate exactly, and the cheapest shares are chosen."""

from itertools import combinations
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.crypto.keys import key

from tetrarch.crypto import bls, threshold
from tetrarch.crypto.blst import CURVE_ORDER
from tetrarch.crypto.lagrange import (
    INDEX_MAX,
    IndexOutOfRange,
    IndexRepeated,
    IndexZero,
    SharesTooFew,
    check_indices,
    choose_indices,
    weights,
)
from tetrarch.crypto.points import SignaturePoint

ROOT = b"\x22" * 32


@pytest.mark.parametrize(
    ("indices", "error"),
    [
        ((0,), IndexZero),
        ((1, 0, 2), IndexZero),
        ((1, 1), IndexRepeated),
        ((2, 3, 2), IndexRepeated),
        ((-1, 2), IndexOutOfRange),
        ((1, INDEX_MAX + 1), IndexOutOfRange),
        ((), SharesTooFew),
    ],
)
def test_bad_indices_are_refused_by_name(
    indices: tuple[int, ...], error: type[bls.BlsInputInvalid]
) -> None:
    with pytest.raises(error):
        weights(indices)
    partial = SignaturePoint.parse(key(1).sign(ROOT))
    if error is not IndexRepeated:  # a mapping cannot repeat a key
        with pytest.raises(error):
            threshold.combine(dict.fromkeys(indices, partial))
    if indices:
        with pytest.raises(error):
            check_indices(indices)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(1, INDEX_MAX), min_size=1, max_size=12, unique=True),
    st.lists(st.integers(-(10**6), 10**6), min_size=12, max_size=12),
    st.integers(0, INDEX_MAX),
)
def test_weights_interpolate_every_polynomial(
    indices: list[int], coefficients: list[int], at: int
) -> None:
    def value(x: int) -> int:
        return sum(c * x**k for k, c in enumerate(coefficients[: len(indices)]))

    by = weights(tuple(indices), at=at)
    total = sum(n * value(i) for n, i in zip(by.numerators, indices, strict=True))
    assert total == by.denominator * value(at)
    assert by.denominator > 0
    assert sum(s * value(i) for s, i in zip(by.scalars, indices, strict=True)) % CURVE_ORDER == (
        value(at) % CURVE_ORDER
    )


def cost(indices: tuple[int, ...]) -> int:
    """Doublings and additions; 110 for a full multiplication."""
    by = weights(indices)
    additions = sum(abs(n).bit_count() for n in by.numerators)
    return by.bits + additions + 110 * (by.denominator != 1)


@settings(max_examples=100, deadline=None)
@given(st.sets(st.integers(1, 40), min_size=1, max_size=14), st.data())
def test_chosen_indices_are_available_and_cheapest(
    available: set[int], data: st.DataObject
) -> None:
    needed = data.draw(st.integers(1, len(available)))
    chosen = choose_indices(available, needed)
    assert set(chosen) <= available
    assert list(chosen) == sorted(chosen)
    assert len(chosen) == needed
    assert chosen == choose_indices(sorted(available, reverse=True), needed)
    if comb(len(available), needed) <= 1000:
        assert cost(chosen) == min(map(cost, combinations(sorted(available), needed)))


def test_choice_avoids_denominators() -> None:
    assert choose_indices({1, 2, 3, 4}, 3) == (1, 3, 4)
    assert weights(choose_indices(range(1, 11), 7)).denominator == 1
    assert choose_indices({1, 2, 4}, 3) == (1, 2, 4)
    with pytest.raises(SharesTooFew):
        choose_indices({1, 2}, 3)
    with pytest.raises(SharesTooFew):
        choose_indices({1, 2}, 0)
    with pytest.raises(IndexRepeated):
        choose_indices([1, 1, 2], 2)


def test_choice_among_very_many_does_not_try_them_all() -> None:
    available = set(range(1, 257)) - {3}
    chosen = choose_indices(available, 171)
    assert len(chosen) == 171
    assert set(chosen) <= available
    assert choose_indices(range(1, 41), 10) == tuple(range(1, 11))
