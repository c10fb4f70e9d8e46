"""Goal: who leads goes by stake, and is nobody's to change by splitting it: counted over many slots.

Method: real keys draw in each slot below real thresholds. Keys and nonce are fixed, so a run is the
same each time; bounds are those of 99.9 % of honest lotteries.
"""

from collections.abc import Callable
from random import Random

import pytest

from tetrarch.crypto.vrf import VrfKey
from tetrarch.ledger.praos import Nonce, drawn, threshold, vrf_input

NONCE = Nonce(bytes(range(32)))
COEFFICIENT_MILLI = 500
F = COEFFICIENT_MILLI / 1000
WHOLE = 2**64
STAKES = (1, 2, 3, 5, 8, 13, 21, 34)
CHI_SQUARED_8_MAX = 26.12  # of 8 degrees of freedom, 99.9 %


def key(number: int) -> VrfKey:
    return VrfKey.generate(Random(f"statistics/{number}").randbytes)


def wins(number: int, stake: int, total: int, slots: int) -> list[bool]:
    """In which slots the holder of one stake is drawn."""
    own, limit = key(number), threshold(stake, total, coefficient_milli=COEFFICIENT_MILLI)
    messages = (vrf_input(NONCE, slot) for slot in range(slots))
    return [drawn(message, own.evaluate(message)) < limit for message in messages]


def chance(stake: int, total: int) -> float:
    return 1.0 - float((1 - F) ** (stake / total))


def count(slots: int) -> str:
    total = sum(STAKES)
    won = [wins(number, stake, total, slots) for number, stake in enumerate(STAKES)]
    empty = sum(not any(each) for each in zip(*won, strict=True)) / slots
    deviation = (F * (1 - F) / slots) ** 0.5
    assert abs(empty - (1 - F)) < 3.3 * deviation, empty
    expected = [slots * chance(stake, total) for stake in STAKES]
    chi_squared = sum(
        (sum(own) - mean) ** 2 / (mean * (1 - mean / slots))
        for own, mean in zip(won, expected, strict=True)
    )
    assert chi_squared < CHI_SQUARED_8_MAX, chi_squared
    return f"{slots} slots: {empty:.4f} empty of {1 - F:.4f}, chi squared {chi_squared:.1f} of 8"


def split(slots: int) -> float:
    """How often one of two halves of a stake is drawn, to how often the whole of it is."""
    whole = wins(100, 50, 100, slots)
    halves = zip(wins(101, 25, 100, slots), wins(102, 25, 100, slots), strict=True)
    return sum(map(any, halves)) / sum(whole)


def test_empty_slots_and_leaders_are_as_stake_is() -> None:
    count(2_000)


@pytest.mark.soak
def test_two_hundred_thousand_slots(tell: Callable[[object], None]) -> None:
    tell(count(200_000))
    ratio = split(200_000)
    assert 0.98 < ratio < 1.02
    tell(f"a stake in two halves leads {ratio:.4f} times as often")
