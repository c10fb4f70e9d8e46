"""The lottery is exact, agrees with floating point wherever that can tell, and favours no way of sharing stake."""

from collections import Counter
from fractions import Fraction
from hashlib import blake2b
from math import ceil
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrarch.crypto.vrf import VrfKey
from tetrarch.ledger.praos import FIRST_NONCE, Nonce, drawn, evolve, threshold, vrf_input

ALL = 2**64
coefficients = st.integers(1, 1000)


def phi(stake: int, total: int, coefficient_milli: int) -> float:
    """As the reference has it."""
    return 1.0 - float((1.0 - coefficient_milli / 1000) ** (stake / total))


@given(
    total=st.integers(1, 10**19),
    share=st.floats(0, 1),
    coefficient=coefficients,
    v=st.integers(0, ALL - 1),
)
def test_it_agrees_with_the_reference_where_rounding_does_not_decide(
    total: int, share: float, coefficient: int, v: int
) -> None:
    stake = min(total, int(total * share))
    expected = phi(stake, total, coefficient)
    exact = threshold(stake, total, coefficient_milli=coefficient)
    assert abs(exact / ALL - expected) < 1e-15 * (1 + coefficient)
    if abs(v / ALL - expected) > 1e-11:
        assert (v < exact) is (v / ALL < expected)


@pytest.mark.parametrize(
    ("stake", "total", "coefficient", "expected"),
    [
        (0, 10, 500, Fraction(0)),
        (0, 0, 500, Fraction(0)),
        (10, 10, 500, Fraction(1, 2)),
        (10, 10, 100, Fraction(1, 10)),
        (1, 10, 1000, Fraction(1)),
        (1, 2, 750, Fraction(1, 2)),  # the root of a quarter
        (10**18, 3 * 10**18, 488, Fraction(1, 5)),  # of 0.512 the third root is 0.8
        (2, 3, 488, Fraction(9, 25)),
        (1, 9, 488, None),
    ],
)
def test_where_the_odds_are_rational_they_are_exact(
    stake: int, total: int, coefficient: int, expected: Fraction | None
) -> None:
    exact = threshold(stake, total, coefficient_milli=coefficient)
    if expected is not None:
        assert exact == ceil(expected * ALL)
    else:
        assert abs(exact / ALL - phi(stake, total, coefficient)) < 1e-15


@given(total=st.integers(1, 10**6), stakes=st.data(), coefficient=coefficients)
def test_the_result_is_the_one_whole_number(
    total: int, stakes: st.DataObject, coefficient: int
) -> None:
    """Held against integers alone: t - 1 < phi·2^64 <= t, raised to the power of the total."""
    total = min(total, 40)  # the power has so many times 64 bits
    stake = stakes.draw(st.integers(1, total))
    exact = threshold(stake, total, coefficient_milli=coefficient)
    rest = Fraction(1000 - coefficient, 1000) ** stake
    assert Fraction(ALL - exact, ALL) ** total <= rest
    assert Fraction(ALL - exact + 1, ALL) ** total > rest


@given(stake=st.integers(0, 10**6), more=st.integers(1, 10**6), coefficient=coefficients)
def test_more_stake_is_no_worse(stake: int, more: int, coefficient: int) -> None:
    total = 10**7
    less, greater = (
        threshold(each, total, coefficient_milli=coefficient) for each in (stake, stake + more)
    )
    assert less < greater or coefficient == 1000


@given(a=st.integers(1, 10**6), b=st.integers(1, 10**6), coefficient=st.integers(1, 999))
def test_two_halves_are_drawn_as_often_as_the_whole(a: int, b: int, coefficient: int) -> None:
    total = 10**7
    of_a, of_b, whole = (
        1 - threshold(each, total, coefficient_milli=coefficient) / ALL for each in (a, b, a + b)
    )
    assert of_a * of_b == pytest.approx(whole, abs=1e-14)


def test_the_input_is_the_references() -> None:
    nonce = Nonce(bytes(range(32)))
    assert vrf_input(nonce, 0x01020304) == nonce + b"\4\3\2\1", "little-endian, unlike its comment"


def test_what_is_drawn_and_what_the_nonce_becomes_are_the_references_hashes() -> None:
    key = VrfKey.from_bytes((9).to_bytes(32, "little"))
    message = vrf_input(FIRST_NONCE, 7)
    point = key.evaluate(message)
    hashed = blake2b(message + point + b"TEST", digest_size=32).digest()
    assert drawn(message, point) == int.from_bytes(hashed[:8], "big")
    block_nonce = blake2b(point + b"NONCE", digest_size=32).digest()
    assert evolve(FIRST_NONCE, point) == blake2b(bytes(32) + block_nonce, digest_size=32).digest()


def test_equal_pools_are_drawn_equally_often() -> None:
    """The reference's own trial: five pools, 1,700 slots, f = 0.18."""
    keys = [VrfKey.generate(Random(pool).randbytes) for pool in range(5)]
    wanted = threshold(1, 5, coefficient_milli=180)
    won: Counter[int] = Counter()
    empty = 0
    for slot in range(1700):
        message = vrf_input(FIRST_NONCE, slot)
        leaders = [
            pool for pool, key in enumerate(keys) if drawn(message, key.evaluate(message)) < wanted
        ]
        won.update(leaders)
        empty += not leaders
    assert empty / 1700 == pytest.approx(0.82, abs=0.03)
    for pool in range(5):
        assert won[pool] / won.total() == pytest.approx(0.2, abs=0.08)
