"""Who may make a block by stake: the lottery of Ouroboros Praos, in exact arithmetic. Pure.

In each slot a pool with the share s of all pools' stake is drawn with probability phi(s) = 1 - (1 - f)^s, whether
others are or not: the number of leaders of a slot is none, one or several. phi is such that a pool gains nothing by
being two: 1 - phi(a + b) = (1 - phi(a))(1 - phi(b)).

The drawn number is the first 64 bits of a hash of the pool's random function at the epoch's nonce and the slot. It is
held against phi·2^64, rounded up: the reference compares in floating point, so nodes may differ where it rounds.

Source: David, Gaži, Kiayias, Russell, "Ouroboros Praos" (EUROCRYPT 2018), section 3; the bytes are the reference's.
"""

from decimal import Context, Decimal
from fractions import Fraction
from hashlib import blake2b
from math import ceil
from typing import Final, NewType

from tetrarch.crypto.ristretto import Point
from tetrarch.crypto.vrf import vrf_output
from tetrarch.errors import invariant

DRAWN_BITS: Final = 64
COEFFICIENT_ONE: Final = 1000  # f is given in thousandths
NONCE_SIZE_BYTES: Final = 32

Nonce = NewType("Nonce", bytes)  # 32 bytes
FIRST_NONCE: Final = Nonce(bytes(NONCE_SIZE_BYTES))

_ALL: Final = 1 << DRAWN_BITS
_DIGITS_FIRST: Final = 60
_ROOT_MAX: Final = 9  # of a number up to 1000 no higher root is whole, but of 1


def threshold(stake: int, total: int, *, coefficient_milli: int) -> int:
    """A pool that draws less may make a block: phi·2^64, rounded up, 0 to 2^64.

    ``coefficient_milli`` is f in thousandths, 1 to 1000. Cost: 0.05 ms, for a pool once an epoch.
    """
    invariant(0 <= stake <= total, "a pool has a part of the stake of all")
    invariant(0 < coefficient_milli <= COEFFICIENT_ONE, "some slots have leaders")
    if stake == 0:
        return 0
    rest = Fraction(COEFFICIENT_ONE - coefficient_milli, COEFFICIENT_ONE)  # 1 - f
    if not rest:
        return _ALL
    share = Fraction(stake, total)
    exact = _power(rest, share)
    if exact is not None:
        return ceil((1 - exact) * _ALL)
    return _by_digits(rest, share)


def vrf_input(nonce: Nonce, slot: int) -> bytes:
    """What a pool's random function is asked in a slot of the epoch that has ``nonce``: 36 bytes."""
    return nonce + slot.to_bytes(4, "little")  # as the reference's code has it, not its comment


def drawn(message: bytes, point: Point) -> int:
    """The number that a pool draws, of 64 bits; ``message`` is the input that gave ``point``."""
    return int.from_bytes(vrf_output(message, point, b"TEST")[: DRAWN_BITS // 8], "big")


def evolve(nonce: Nonce, point: Point) -> Nonce:
    """The nonce after a block whose maker drew ``point``."""
    block_nonce = vrf_output(b"", point, b"NONCE")
    return Nonce(blake2b(nonce + block_nonce, digest_size=NONCE_SIZE_BYTES).digest())


def stir(nonce: Nonce, block: bytes) -> Nonce:
    """The nonce after a block, of that id, for which nothing was drawn."""
    return Nonce(blake2b(nonce + b"tetrarch/block" + block, digest_size=NONCE_SIZE_BYTES).digest())


def without_blocks(nonce: Nonce, epoch: int) -> Nonce:
    """What the nonce of the last block becomes by ``epoch``, which has none, nor has any since that block's."""
    passed = b"tetrarch/epoch" + epoch.to_bytes(4, "big")
    return Nonce(blake2b(nonce + passed, digest_size=NONCE_SIZE_BYTES).digest())


def _power(base: Fraction, exponent: Fraction) -> Fraction | None:
    """``base`` to ``exponent`` where that is rational: only then can digits without end not tell."""
    if exponent.denominator > _ROOT_MAX:
        return None
    degree = exponent.denominator
    root = Fraction(_root(base.numerator, degree), _root(base.denominator, degree))
    return root**exponent.numerator if root**degree == base else None


def _root(value: int, degree: int) -> int:
    """The whole number nearest to a root of ``value``, up to 1000."""
    root: float = value ** (1 / degree)
    return round(root)


def _by_digits(base: Fraction, exponent: Fraction) -> int:
    """With as many digits as it takes to know on which side of a whole number the result is."""
    digits = _DIGITS_FIRST
    while True:
        context = Context(prec=digits)
        logarithm = context.divide(Decimal(base.numerator), Decimal(base.denominator)).ln(context)
        share = context.divide(Decimal(exponent.numerator), Decimal(exponent.denominator))
        power = context.multiply(logarithm, share).exp(context)
        value = context.multiply(context.subtract(Decimal(1), power), Decimal(_ALL))
        # Each step is off by a unit of its last digit at most; the logarithm is above -7, the power below 1.
        error = Decimal(_ALL).scaleb(3 - digits, context)
        lowest, highest = ceil(context.subtract(value, error)), ceil(context.add(value, error))
        if lowest == highest:
            return lowest
        digits *= 2
