"""Keys made from numbers, for tests."""

from hashlib import sha256
from random import Random

from tetrarch.crypto.bls import SecretKey
from tetrarch.crypto.blst import CURVE_ORDER, ffi, lib
from tetrarch.crypto.points import SignaturePoint
from tetrarch.crypto.threshold import Dealing, split


def key(number: int) -> SecretKey:
    value = int.from_bytes(sha256(b"key %d" % number).digest(), "big") % CURVE_ORDER
    return SecretKey.from_bytes(value.to_bytes(32, "big"))


def deal(number: int, *, shares: int, threshold: int) -> Dealing:
    entropy = Random(f"{number}/{shares}/{threshold}").randbytes
    return split(key(number), share_count=shares, threshold=threshold, entropy=entropy)


def sum_g2(*points: SignaturePoint) -> SignaturePoint:
    total = ffi.new("blst_p2 *")
    for point in points:
        lib.blst_p2_add_or_double_affine(total, total, point.affine)
    return SignaturePoint.from_jacobian(total, in_subgroup=False)


def outside_subgroup_g2(*, skip: int = 0) -> bytes:
    """A point of the curve over G2's field that is not in G2."""
    from tetrarch.crypto.bls import PointNotInSubgroup, PointNotOnCurve

    for x in range(1, 1000):
        data = (x | 1 << 767).to_bytes(96, "big")
        try:
            SignaturePoint.parse(data)
        except PointNotInSubgroup:
            if skip == 0:
                return data
            skip -= 1
        except PointNotOnCurve:
            continue
    raise AssertionError("the curve has such points")
