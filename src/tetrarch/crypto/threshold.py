"""Threshold keys: split a BLS key among n holders so that any t can sign for it.

The dealer draws a polynomial ``f`` of degree t-1 with ``f(0)`` the secret; holder ``i`` (1-based)
gets ``f(i)``. Feldman commitments ``a_k * g1`` to its coefficients let everybody compute public
shares. Signing is linear in the key, so the weights that recover ``f(0)`` from t shares also turn
t partial signatures into the signature under the root key.

Source: Shamir 1979; Feldman 1987; Boldyreva 2003 for the combination.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from tetrarch.crypto.bls import SecretKey
from tetrarch.crypto.blst import (
    CURVE_ORDER,
    FIELD_MODULUS,
    FIELD_SIZE_BYTES,
    SCALAR_BITS,
    CData,
    ffi,
    lib,
)
from tetrarch.crypto.lagrange import (
    INDEX_MAX,
    SharesTooFew,
    Weights,
    check_indices,
    choose_indices,
    weights,
)
from tetrarch.crypto.points import (
    SCALAR_SIZE_BYTES,
    BlsInputInvalid,
    PublicKeyPoint,
    SignaturePoint,
    weighted_sum_g1,
    weighted_sum_g2,
)
from tetrarch.entropy import Entropy

_MSM_STEPS_PER_POINT: Final = 75  # cost of a point in a 255-bit MSM of few points, in additions
# Up to so many additions are one native call. Each call gives up the interpreter lock, and a
# busy event loop may keep it for a whole switch interval: fewer calls are worth some additions.
_SUM_MAX: Final = 48


class ThresholdInvalid(BlsInputInvalid):
    """No key can be split that way: 1 <= threshold <= shares <= INDEX_MAX must hold."""

    code = "bls_threshold_invalid"


class SharesInconsistent(BlsInputInvalid):
    """Shares that do not lie on one polynomial of degree threshold - 1."""

    code = "bls_shares_inconsistent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dealing:
    """A split key. ``shares`` are secret; each goes to its holder alone."""

    shares: Mapping[int, SecretKey]  # by index 1..n
    commitments: tuple[bytes, ...]  # t points of 48 bytes; the first is the root public key


def split(secret: SecretKey, *, share_count: int, threshold: int, entropy: Entropy) -> Dealing:
    """Split ``secret`` into shares 1..``share_count``, any ``threshold`` of which suffice.

    Args:
        secret: stays the root secret; forget it afterwards.
        share_count: n, at most INDEX_MAX.
        threshold: t, at least 1.
        entropy: 48 bytes are drawn for each coefficient but the secret.

    Raises:
        ThresholdInvalid: the numbers do not fit together.

    Safety: the polynomial is evaluated with Python integers, which is not constant time. Deal
        where no one measures.
    """
    if not 1 <= threshold <= share_count <= INDEX_MAX:
        raise ThresholdInvalid("split key", shares=share_count, threshold=threshold)
    while True:
        coefficients = [int.from_bytes(secret.to_bytes(), "big")]
        while len(coefficients) < threshold:
            coefficients.append(1 + int.from_bytes(entropy(48), "big") % (CURVE_ORDER - 1))
        values = {i: _evaluate(coefficients, i) for i in range(1, share_count + 1)}
        if all(values.values()):  # a share 0 has no key; chance below 2**-240
            break
    return Dealing(
        shares={i: _secret_key(value) for i, value in values.items()},
        commitments=tuple(_secret_key(a).public_key() for a in coefficients),
    )


def _evaluate(coefficients: Sequence[int], x: int) -> int:
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * x + coefficient) % CURVE_ORDER
    return value


def _secret_key(value: int) -> SecretKey:
    return SecretKey.from_bytes((value % CURVE_ORDER).to_bytes(SCALAR_SIZE_BYTES, "big"))


def recover_secret(shares: Mapping[int, SecretKey], *, threshold: int) -> SecretKey:
    """The root secret from at least ``threshold`` shares by index.

    Raises:
        SharesTooFew: fewer shares than ``threshold``.
        SharesInconsistent: shares beyond the first ``threshold`` are not on their polynomial.
        IndexZero, IndexOutOfRange: an index is no share's.
    """
    base = _base(shares, threshold)
    values = {i: int.from_bytes(share.to_bytes(), "big") for i, share in shares.items()}

    def at(x: int) -> int:
        pairs = zip(weights(base, at=x).scalars, base, strict=True)
        return sum(weight * values[i] for weight, i in pairs) % CURVE_ORDER

    wrong = [i for i in sorted(shares) if i not in base and at(i) != values[i]]
    if wrong:
        raise SharesInconsistent("recover secret", indices=wrong)
    return _secret_key(at(0))


def _base(shares: Mapping[int, Any], threshold: int) -> tuple[int, ...]:
    indices = tuple(sorted(check_indices(shares)))
    if threshold < 1 or len(indices) < threshold:
        raise SharesTooFew("interpolate", got=len(indices), threshold=threshold)
    return indices[:threshold]


def public_share(commitments: Sequence[PublicKeyPoint], index: int) -> PublicKeyPoint:
    """The public key of share ``index``, from the dealing's commitments."""
    check_indices((index,))
    scalar = index.to_bytes(2, "little")
    total = ffi.new("blst_p1 *")
    for point in reversed(commitments):  # Horner's scheme
        lib.blst_p1_mult(total, total, scalar, index.bit_length())
        lib.blst_p1_add_or_double_affine(total, total, point.affine)
    return PublicKeyPoint.from_jacobian(total)


def recover_public_key(
    public_shares: Mapping[int, PublicKeyPoint], *, threshold: int
) -> PublicKeyPoint:
    """The root public key that all of ``public_shares``, by index, agree on.

    Raises:
        SharesTooFew: fewer shares than ``threshold``.
        SharesInconsistent: the shares do not lie on one polynomial of degree threshold - 1.
        IndexZero, IndexOutOfRange: an index is no share's.

    Cost: 0.05 ms for each share beyond ``threshold`` at 3 of 4.
    """
    base = _base(public_shares, threshold)
    points = [public_shares[i] for i in base]
    for index in sorted(public_shares):
        if index not in base:
            predicted = _combine_g1(points, weights(base, at=index))
            if not lib.blst_p1_affine_is_equal(predicted.affine, public_shares[index].affine):
                raise SharesInconsistent("interpolate public shares", index=index)
    return _combine_g1(points, weights(base))


def combine(partials: Mapping[int, SignaturePoint]) -> SignaturePoint:
    """The signature under the root key from exactly t partial signatures by share index.

    Nothing is checked: a wrong partial, or fewer than t, gives a wrong signature. Verify the
    result (``verify_points`` or a batch), which also checks its subgroup.

    Raises:
        SharesTooFew: no partial.
        IndexZero, IndexOutOfRange: an index is no share's.

    Cost: 20 us for 3-of-4, 60 us for 7-of-10; 120 us more where the indices have a common
        denominator (``choose_indices`` avoids that where it can).
    """
    return SignaturePoint.from_jacobian(
        _sum_g2(list(partials.values()), weights(tuple(partials))), in_subgroup=False
    )


def agrees(partials: Mapping[int, SignaturePoint], index: int, point: SignaturePoint) -> bool:
    """Whether ``point`` is the partial signature that share ``index`` must make, if ``partials``
    are right: t of them over the same message, by share index.

    All lie on one polynomial of degree t - 1, so any t say what every other one is; the common
    denominator of their weights is multiplied away. No pairing is needed.

    Raises:
        SharesTooFew: no partial.
        IndexZero, IndexOutOfRange: an index is no share's.

    Cost: 35 us at 3 of 4, 23 of them for the subgroup.
    """
    difference = _sum_g2([*partials.values(), point], _relation(tuple(partials), index))
    return bool(lib.blst_p2_is_inf(difference)) and point.in_subgroup()


@lru_cache(maxsize=4096)
def _relation(indices: tuple[int, ...], at: int) -> Weights:
    """Small numbers by which the values at ``indices`` and then at ``at`` add up to zero."""
    check_indices((at,))
    by = weights(indices, at=at)
    return Weights((*by.numerators, -by.denominator), 1)


def combine_many(
    items: Sequence[Mapping[int, SignaturePoint]], *, threshold: int
) -> list[SignaturePoint]:
    """``combine`` for many validators, each from the cheapest ``threshold`` of its partials."""
    combined = []
    for partials in items:
        chosen = choose_indices(partials, threshold)
        combined.append(combine({index: partials[index] for index in chosen}))
    return combined


def _sum_g2(points: Sequence[SignaturePoint], by: Weights) -> CData:
    total = ffi.new("blst_p2 *")
    if by.steps > _MSM_STEPS_PER_POINT * (len(points) + 1):
        return weighted_sum_g2(points, _scalars(by), bits=SCALAR_BITS)
    terms = [
        (abs(number), point.affine if number > 0 else _negated(point.affine, "blst_p2_affine *"))
        for number, point in zip(by.numerators, points, strict=True)
    ]
    if by.total <= _SUM_MAX:
        table = ffi.new("blst_p2_affine *[]", _repeated(terms))
        lib.blst_p2s_add(total, table, by.total)
    else:
        _add_by_bits(
            total, terms, by.bits, double=lib.blst_p2_double, add=lib.blst_p2_add_or_double_affine
        )
    if by.denominator != 1:
        lib.blst_p2_mult(total, total, _inverse(by.denominator), SCALAR_BITS)
    return total


def _combine_g1(points: Sequence[PublicKeyPoint], by: Weights) -> PublicKeyPoint:
    total = ffi.new("blst_p1 *")
    if by.steps > _MSM_STEPS_PER_POINT * (len(points) + 1):
        total = weighted_sum_g1(points, _scalars(by), bits=SCALAR_BITS)
        return PublicKeyPoint.from_jacobian(total)
    terms = [
        (abs(number), point.affine if number > 0 else _negated(point.affine, "blst_p1_affine *"))
        for number, point in zip(by.numerators, points, strict=True)
    ]
    if by.total <= _SUM_MAX:
        table = ffi.new("blst_p1_affine *[]", _repeated(terms))
        lib.blst_p1s_add(total, table, by.total)
    else:
        _add_by_bits(
            total, terms, by.bits, double=lib.blst_p1_double, add=lib.blst_p1_add_or_double_affine
        )
    if by.denominator != 1:
        lib.blst_p1_mult(total, total, _inverse(by.denominator), SCALAR_BITS)
    return PublicKeyPoint.from_jacobian(total)


def _repeated(terms: Sequence[tuple[int, CData]]) -> list[CData]:
    return [point for number, point in terms for _ in range(number)]


def _add_by_bits(
    total: CData, terms: Sequence[tuple[int, CData]], bits: int, *, double: Any, add: Any
) -> None:
    """Add ``sum(number * point)`` to ``total`` (0 at first), one bit of all numbers at a time."""
    for bit in range(bits - 1, -1, -1):
        if bit != bits - 1:
            double(total, total)
        for number, point in terms:
            if number >> bit & 1:
                add(total, total, point)


def _negated(affine: CData, kind: str) -> CData:
    """``-affine``. In Python, because a native call would give up the interpreter lock."""
    memory = bytes(ffi.buffer(affine))
    half = len(memory) // 2  # x, then y: one coordinate in G1, two in G2
    negated = bytearray(memory)
    for start in range(half, len(memory), FIELD_SIZE_BYTES):
        y = int.from_bytes(memory[start : start + FIELD_SIZE_BYTES], "little")
        if y:
            value = (FIELD_MODULUS - y).to_bytes(FIELD_SIZE_BYTES, "little")
            negated[start : start + FIELD_SIZE_BYTES] = value
    out = ffi.new(kind)
    ffi.buffer(out)[:] = negated
    return out


def _inverse(denominator: int) -> bytes:
    return pow(denominator, -1, CURVE_ORDER).to_bytes(SCALAR_SIZE_BYTES, "little")


def _scalars(by: Weights) -> bytes:
    return b"".join(scalar.to_bytes(SCALAR_SIZE_BYTES, "little") for scalar in by.scalars)
