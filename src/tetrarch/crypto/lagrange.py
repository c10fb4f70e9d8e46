"""Interpolation weights for small indices, as integers over one common denominator.

For shares ``f(i)`` of a polynomial of degree t-1 at t distinct indices,

    denominator * f(at) = sum(numerators[k] * f(indices[k]))

with small integers on both sides, because indices are small. A group element is then combined
with a few doublings and additions instead of one 255-bit multiplication for each share: 100
combines of 3 shares take 2 ms instead of 35 ms. Where the denominator is not 1 one full
multiplication remains, so ``choose_indices`` prefers sets of indices that have denominator 1.

Everything here is public: indices and weights are no secrets, so nothing is constant time.

Source: Shamir 1979; the common denominator is ours.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations
from math import comb, gcd, lcm
from typing import Final

from tetrarch.crypto.blst import CURVE_ORDER
from tetrarch.crypto.points import BlsInputInvalid

INDEX_MAX: Final = 1024  # shares of one key; clusters have at most 256 operators
_SUBSETS_MAX: Final = 1_000  # examined one by one; beyond that the heuristic decides
_FULL_MULTIPLICATION_STEPS: Final = 110  # cost of one 255-bit multiplication, in additions


class IndexZero(BlsInputInvalid):
    """Share index 0: the polynomial's value there is the secret itself."""

    code = "bls_index_zero"


class IndexRepeated(BlsInputInvalid):
    """Two shares with the same index."""

    code = "bls_index_repeated"


class IndexOutOfRange(BlsInputInvalid):
    """A share index below 0 or above ``INDEX_MAX``."""

    code = "bls_index_out_of_range"


class SharesTooFew(BlsInputInvalid):
    """Fewer shares than the threshold, or a threshold below 1."""

    code = "bls_shares_too_few"


@dataclass(frozen=True)
class Weights:
    """Integers that turn values at ``t`` indices into the value elsewhere. See the module."""

    numerators: tuple[int, ...]
    denominator: int  # positive

    @cached_property
    def bits(self) -> int:
        """Size of the largest numerator."""
        return max(abs(n) for n in self.numerators).bit_length()

    @cached_property
    def total(self) -> int:
        """Additions that a combine takes when it adds each share as often as its weight says."""
        return sum(abs(n) for n in self.numerators)

    @cached_property
    def steps(self) -> int:
        """Doublings and additions that a combine takes, the full multiplication converted."""
        additions = sum(abs(n).bit_count() for n in self.numerators)
        scaling = _FULL_MULTIPLICATION_STEPS if self.denominator != 1 else 0
        return self.bits + additions + scaling

    @cached_property
    def scalars(self) -> tuple[int, ...]:
        """The same weights as field elements in [0, r)."""
        inverse = pow(self.denominator, -1, CURVE_ORDER)
        return tuple(n * inverse % CURVE_ORDER for n in self.numerators)


def check_indices(indices: Iterable[int]) -> tuple[int, ...]:
    """Return ``indices`` as a tuple of distinct numbers in [1, INDEX_MAX].

    Raises:
        IndexZero, IndexOutOfRange, IndexRepeated: what its name says.
    """
    checked = tuple(indices)
    for index in checked:
        if index == 0:
            raise IndexZero("check share index")
        if not 0 < index <= INDEX_MAX:
            raise IndexOutOfRange("check share index", index=index, index_max=INDEX_MAX)
    if len(set(checked)) != len(checked):
        raise IndexRepeated("check share index", indices=checked)
    return checked


@lru_cache(maxsize=4096)
def weights(indices: tuple[int, ...], *, at: int = 0) -> Weights:
    """Weights of the values at ``indices`` for the value at ``at``.

    Args:
        indices: ``t`` distinct numbers in [1, INDEX_MAX]; weights follow their order.
        at: 0 for the secret, a share's index to predict that share.

    Raises:
        IndexZero, IndexOutOfRange, IndexRepeated, SharesTooFew: what its name says.
    """
    if not check_indices(indices):
        raise SharesTooFew("interpolate", got=0)
    fractions = []
    for i in indices:
        numerator = denominator = 1
        for j in indices:
            if j != i:
                numerator *= at - j
                denominator *= i - j
        shared = gcd(numerator, denominator)
        fractions.append((numerator // shared, denominator // shared))
    common = lcm(*(denominator for _, denominator in fractions))
    return Weights(tuple(n * (common // d) for n, d in fractions), common)


def choose_indices(available: Collection[int], threshold: int) -> tuple[int, ...]:
    """The ``threshold`` indices of ``available`` that are cheapest to combine, ascending.

    Deterministic. With 3 of {1, 2, 3, 4} any triple but {1, 2, 4} has denominator 1.

    Raises:
        SharesTooFew: fewer than ``threshold`` indices, or a threshold below 1.
        IndexZero, IndexOutOfRange, IndexRepeated: what its name says.
    """
    checked = tuple(sorted(check_indices(available)))
    if threshold < 1 or len(checked) < threshold:
        raise SharesTooFew("choose shares", got=len(checked), threshold=threshold)
    return _cheapest(checked, threshold)


@lru_cache(maxsize=4096)
def _cheapest(available: tuple[int, ...], threshold: int) -> tuple[int, ...]:
    candidates: Iterable[Sequence[int]]
    if comb(len(available), threshold) <= _SUBSETS_MAX:
        candidates = combinations(available, threshold)
    else:  # runs of neighbours: an unbroken run of numbers always has denominator 1
        starts = range(len(available) - threshold + 1)
        candidates = (available[start : start + threshold] for start in starts)
    return min(
        (tuple(candidate) for candidate in candidates),
        key=lambda candidate: (weights(candidate).steps, candidate),
    )
