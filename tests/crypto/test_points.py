"""Parsing refuses by name; sums and pairings agree with their definitions."""

import contextlib
import pickle
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.crypto.keys import key

from tetrarch.crypto import bls, points
from tetrarch.crypto.blst import FIELD_MODULUS, ffi, lib
from tetrarch.errors import InputInvalid, InvariantBroken

INFINITY_G1 = b"\xc0" + bytes(47)
INFINITY_G2 = b"\xc0" + bytes(95)
ROOT = b"\x11" * 32


def point_outside_subgroup_g1() -> bytes:
    for x in range(1, 100):
        data = (x | 1 << 383).to_bytes(48, "big")
        try:
            bls.PublicKeyPoint.parse(data)
        except bls.PointNotInSubgroup:
            return data
        except bls.PointNotOnCurve:
            continue
    raise AssertionError("the curve has such points")


def point_outside_subgroup_g2() -> bytes:
    for x in range(1, 100):
        data = (x | 1 << 767).to_bytes(96, "big")
        try:
            bls.SignaturePoint.parse(data)
        except bls.PointNotInSubgroup:
            return data
        except bls.PointNotOnCurve:
            continue
    raise AssertionError("the curve has such points")


def test_malformed_public_keys_are_refused_by_name() -> None:
    good = key(1).public_key()
    for data, error in (
        (good[:-1], bls.WrongLength),
        (good + b"\0", bls.WrongLength),
        (b"", bls.WrongLength),
        (INFINITY_G1, bls.PointAtInfinity),
        (bytes(48), bls.PointEncodingInvalid),
        (b"\xc0" + bytes(46) + b"\1", bls.PointEncodingInvalid),
        (b"\xe0" + bytes(47), bls.PointEncodingInvalid),
        (b"\x9f" + b"\xff" * 47, bls.PointEncodingInvalid),
        ((1 << 383 | 1).to_bytes(48, "big"), bls.PointNotOnCurve),
        (point_outside_subgroup_g1(), bls.PointNotInSubgroup),
    ):
        with pytest.raises(error) as caught:
            bls.validate_public_key(data)
        assert type(caught.value) is error
        assert isinstance(caught.value, InputInvalid)
        assert not bls.verify(data, ROOT, key(1).sign(ROOT))


def test_malformed_signatures_are_refused_by_name() -> None:
    good = key(1).sign(ROOT)
    for data, error in (
        (good[:-1], bls.WrongLength),
        (good + b"\0", bls.WrongLength),
        (INFINITY_G2, bls.PointAtInfinity),
        (bytes(96), bls.PointEncodingInvalid),
        (b"\xc0" + bytes(94) + b"\1", bls.PointEncodingInvalid),
        ((1 << 767).to_bytes(96, "big"), bls.PointNotOnCurve),
        (point_outside_subgroup_g2(), bls.PointNotInSubgroup),
    ):
        with pytest.raises(error) as caught:
            bls.validate_signature(data)
        assert type(caught.value) is error
        assert not bls.verify(key(1).public_key(), ROOT, data)


def test_subgroup_check_can_be_deferred_but_not_forgotten() -> None:
    signature = bls.SignaturePoint.parse(point_outside_subgroup_g2(), check_subgroup=False)
    public_key = bls.PublicKeyPoint.parse(point_outside_subgroup_g1(), check_subgroup=False)
    good_key = bls.PublicKeyPoint.parse(key(1).public_key())
    good_signature = bls.SignaturePoint.parse(key(1).sign(ROOT))
    assert not bls.verify_points(good_key, ROOT, signature)
    assert not bls.verify_points(public_key, ROOT, good_signature)
    assert bls.verify_points(good_key, ROOT, good_signature)
    for point in (signature, public_key, pickle.loads(pickle.dumps(signature))):
        with pytest.raises(bls.PointNotInSubgroup):
            point.check_subgroup()


def test_verification_leaves_nothing_unchecked() -> None:
    signature = bls.SignaturePoint.parse(key(1).sign(ROOT), check_subgroup=False)
    public_key = bls.PublicKeyPoint.parse(key(1).public_key(), check_subgroup=False)
    assert not signature.membership_known
    assert not public_key.membership_known
    assert bls.verify_points(public_key, ROOT, signature)
    assert signature.membership_known
    assert public_key.membership_known


def test_points_are_values() -> None:
    data = key(1).public_key()
    point = bls.PublicKeyPoint.parse(data)
    assert point.to_bytes() == data
    assert point == bls.PublicKeyPoint.parse(data) == pickle.loads(pickle.dumps(point))
    assert len({point, bls.PublicKeyPoint.parse(data)}) == 1
    assert point != bls.PublicKeyPoint.parse(key(2).public_key())
    assert point != data
    assert data.hex() in repr(point)


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=96, max_size=96), st.binary(min_size=48, max_size=48))
def test_any_bytes_are_a_point_or_a_named_refusal(signature: bytes, public_key: bytes) -> None:
    for parse, data in (
        (bls.SignaturePoint.parse, signature),
        (bls.PublicKeyPoint.parse, public_key),
    ):
        with contextlib.suppress(bls.BlsInputInvalid):
            assert parse(data).to_bytes() == data


def ordinate_of(signature: bytes) -> bytes:
    point = points.SignaturePoint.parse(signature, check_subgroup=False)
    said, ordinate = points.write_signature(point.affine)
    assert said == signature
    return ordinate


def negated(ordinate: bytes) -> bytes:
    parts = (int.from_bytes(ordinate[at : at + 48], "big") for at in (0, 48))
    return b"".join(((FIELD_MODULUS - part) % FIELD_MODULUS).to_bytes(48, "big") for part in parts)


def test_ordinate_spares_the_square_root_and_is_never_believed() -> None:
    for signature in (key(1).sign(ROOT), key(2).sign(ROOT), point_outside_subgroup_g2()):
        right = ordinate_of(signature)
        plain = points.SignaturePoint.parse(signature, check_subgroup=False)
        for ordinate in (
            right,
            negated(right),  # on the curve, and another point
            ordinate_of(key(3).sign(ROOT)),
            b"",
            right[:-1],
            bytes(96),
            b"\xff" * 96,
            bytes((right[0] | 0x80,)) + right[1:],
        ):
            point = points.read_signature(signature, ordinate)
            assert bytes(ffi.buffer(point.affine)) == bytes(ffi.buffer(plain.affine))
            assert point.to_bytes() == signature
            assert not point.membership_known


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(st.binary(max_size=100), st.just(key(1).sign(ROOT)), st.just(INFINITY_G2)),
    st.one_of(st.binary(max_size=100), st.just(ordinate_of(key(1).sign(ROOT)))),
)
def test_ordinate_changes_no_refusal(signature: bytes, ordinate: bytes) -> None:
    outcomes: list[object] = []
    for read in (
        lambda: points.read_signature(signature, ordinate),
        lambda: points.SignaturePoint.parse(signature, check_subgroup=False),
    ):
        try:
            outcomes.append(read())
        except bls.BlsInputInvalid as error:
            outcomes.append(type(error))
    assert outcomes[0] == outcomes[1]


def multiple(point: points.PublicKeyPoint | points.SignaturePoint, scalar: int) -> Any:
    """``scalar * point``, affine, by blst's own single multiplication."""
    data = scalar.to_bytes(32, "little")
    if isinstance(point, points.PublicKeyPoint):
        key_term = ffi.new("blst_p1 *")
        lib.blst_p1_add_or_double_affine(key_term, key_term, point.affine)
        lib.blst_p1_mult(key_term, key_term, data, 255)
        return points.PublicKeyPoint.from_jacobian(key_term).affine
    term = ffi.new("blst_p2 *")
    lib.blst_p2_add_or_double_affine(term, term, point.affine)
    lib.blst_p2_mult(term, term, data, 255)
    return points.SignaturePoint.from_jacobian(term, in_subgroup=True).affine


@pytest.mark.parametrize("count", [1, 2, 7, 18, 19, 25, 31, 32, 33, 70])
@pytest.mark.parametrize("bits", [4, 64, 255])
def test_weighted_sums_agree_with_single_multiplications(count: int, bits: int) -> None:
    rng = Random(f"{count}/{bits}")
    keys = [bls.PublicKeyPoint.parse(key(n).public_key()) for n in range(count)]
    signatures = [bls.SignaturePoint.parse(key(n).sign(ROOT)) for n in range(count)]
    scalars = [rng.getrandbits(bits) for _ in range(count)]
    packed = b"".join(s.to_bytes((bits + 7) // 8, "little") for s in scalars)
    keys_sum, signatures_sum = ffi.new("blst_p1 *"), ffi.new("blst_p2 *")
    for public_key, signature, scalar in zip(keys, signatures, scalars, strict=True):
        term = multiple(public_key, scalar)
        lib.blst_p1_add_or_double_affine(keys_sum, keys_sum, term)
        term = multiple(signature, scalar)
        lib.blst_p2_add_or_double_affine(signatures_sum, signatures_sum, term)
    total_1 = points.PublicKeyPoint.from_jacobian(points.weighted_sum_g1(keys, packed, bits=bits))
    total_2 = points.SignaturePoint.from_jacobian(
        points.weighted_sum_g2(signatures, packed, bits=bits), in_subgroup=True
    )
    assert total_1 == points.PublicKeyPoint.from_jacobian(keys_sum)
    assert total_2 == points.SignaturePoint.from_jacobian(signatures_sum, in_subgroup=True)


def test_sum_without_a_weight_for_each_point_is_our_own_fault() -> None:
    point = bls.PublicKeyPoint.parse(key(1).public_key())
    for some, scalars in (([], b""), ([point], b""), ([point], bytes(16)), ([point] * 2, bytes(8))):
        with pytest.raises(InvariantBroken):
            points.weighted_sum_g1(some, scalars, bits=64)


def test_pairs_with_the_neutral_point_change_nothing() -> None:
    public_key = bls.PublicKeyPoint.parse(key(1).public_key()).affine
    signature = bls.SignaturePoint.parse(key(1).sign(ROOT)).affine
    hashed, minus = points.hash_to_g2(ROOT), points.negated_generator()
    neutral_1 = bls.PublicKeyPoint.parse(INFINITY_G1, allow_infinity=True).affine
    neutral_2 = bls.SignaturePoint.parse(INFINITY_G2, allow_infinity=True).affine
    pairs = [(public_key, hashed), (minus, signature)]
    idle = [(neutral_1, hashed), (public_key, neutral_2), (neutral_1, neutral_2)]
    assert points.pairings_cancel([])
    assert points.pairings_cancel(idle)
    assert points.pairings_cancel(pairs)
    assert points.pairings_cancel(pairs + idle)
    assert not points.pairings_cancel(pairs[:1] + idle)
