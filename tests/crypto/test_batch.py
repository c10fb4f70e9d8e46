"""Batches accept what single verification accepts, and name exactly what it refuses."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.crypto.keys import key, outside_subgroup_g2

from tetrarch.crypto import batch, bls
from tetrarch.crypto.blst import ffi, lib
from tetrarch.crypto.points import PublicKeyPoint, SignaturePoint
from tetrarch.entropy import system_entropy

ROOT = b"\x33" * 32
INFINITY_G2 = b"\xc0" + bytes(95)
PUBLIC_KEYS = [PublicKeyPoint.parse(key(n).public_key()) for n in range(100)]
SIGNATURES = [key(n).sign(ROOT) for n in range(100)]


def claim(number: int, *, signature: bytes | None = None, message: bytes = ROOT) -> batch.Claim:
    data = SIGNATURES[number] if signature is None else signature
    point = SignaturePoint.parse(data, check_subgroup=False, allow_infinity=True)
    return batch.Claim(PUBLIC_KEYS[number], message, point)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 18, 19, 31, 32, 33, 63, 64, 65, 100])
def test_true_claims_on_one_message_hold(count: int) -> None:
    claims = [claim(n) for n in range(count)]
    assert batch.verify_all(claims, entropy=system_entropy)
    assert batch.find_false(claims, entropy=system_entropy) == ()
    assert batch.find_suspects(claims, entropy=system_entropy) == ()
    assert all(c.signature.membership_known for c in claims)


@pytest.mark.parametrize("count", [1, 2, 31, 64, 100])
def test_one_false_claim_is_found_wherever_it_stands(count: int) -> None:
    for position in sorted({0, 1 % count, count // 2, count - 1}):
        claims = [claim(n) for n in range(count)]
        claims[position] = claim(position, signature=SIGNATURES[(position + 1) % 100])
        assert not batch.verify_all(claims, entropy=system_entropy)
        assert batch.find_false(claims, entropy=system_entropy) == (position,)
        assert batch.find_suspects(claims, entropy=system_entropy) == (position,)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_false_claims_are_named_exactly(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 70))
    false = data.draw(st.sets(st.integers(0, count - 1), max_size=6))
    kinds = data.draw(st.lists(st.integers(0, 4), min_size=count, max_size=count))
    claims = []
    for n in range(count):
        message = ROOT if kinds[n] else b"%032d" % (n % 3)
        good = SIGNATURES[n] if message == ROOT else key(n).sign(message)
        wrong = {
            0: SIGNATURES[n],
            1: SIGNATURES[(n + 1) % 100],
            2: outside_subgroup_g2(),
            3: INFINITY_G2,
            4: bytes((good[0] ^ 0x20,)) + good[1:],
        }[kinds[n]]
        claims.append(claim(n, signature=wrong if n in false else good, message=message))
    entropy = Random(count).randbytes
    assert batch.find_false(claims, entropy=entropy) == tuple(sorted(false))
    assert batch.verify_all(claims, entropy=entropy) == (not false)
    suspects = batch.find_suspects(claims, entropy=entropy)
    assert false <= set(suspects)
    assert bool(suspects) == bool(false)


def test_all_false_claims_are_all_named() -> None:
    claims = [claim(n, signature=SIGNATURES[n - 1]) for n in range(40)]
    assert batch.find_false(claims, entropy=system_entropy) == tuple(range(40))


def test_errors_that_cancel_in_a_plain_sum_do_not_cancel_here() -> None:
    claims = [claim(0, signature=SIGNATURES[1]), claim(1, signature=SIGNATURES[0])]
    assert bls.aggregate([SIGNATURES[1], SIGNATURES[0]]) == bls.aggregate(SIGNATURES[:2])
    assert not batch.verify_all(claims, entropy=system_entropy)
    assert batch.find_false(claims, entropy=system_entropy) == (0, 1)


def test_distinct_messages_hold_and_swapped_ones_are_named() -> None:
    messages = [b"%032d" % n for n in range(12)]
    claims = [claim(n, signature=key(n).sign(m), message=m) for n, m in enumerate(messages)]
    assert batch.verify_all(claims, entropy=system_entropy)
    claims[4] = claim(4, signature=key(4).sign(messages[5]), message=messages[4])
    assert batch.find_false(claims, entropy=system_entropy) == (4,)


def test_zero_weights_are_never_used() -> None:
    claims = [claim(0, signature=SIGNATURES[1]), claim(2)]
    assert not batch.verify_all(claims, entropy=bytes)  # bytes(n) is n zeros


def test_neutral_points_prove_nothing() -> None:
    neutral = PublicKeyPoint.parse(b"\xc0" + bytes(47), allow_infinity=True)
    signature = SignaturePoint.parse(INFINITY_G2, allow_infinity=True)
    assert not batch.verify_all([batch.Claim(neutral, ROOT, signature)], entropy=system_entropy)
    assert not batch.verify_all([claim(0, signature=INFINITY_G2)], entropy=system_entropy)


def small_order_point(order: int) -> bytes:
    """A point whose order is ``order``, a prime of G2's cofactor."""
    cofactor = int(
        "5d543a95414e7f1091d50792876a202cd91de4547085abaa68a205b2e5a7ddfa628f1cb4d9e82ef21537e293a6691ae"
        "1616ec6e786f0c70cf1c38e31c7238e5",
        16,
    )
    curve_order = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
    assert cofactor % order == 0
    factor = cofactor * curve_order
    while factor % order == 0:
        factor //= order
    for skip in range(50):
        affine = SignaturePoint.parse(outside_subgroup_g2(skip=skip), check_subgroup=False).affine
        point = _times(affine, factor)
        while not SignaturePoint.from_jacobian(point, in_subgroup=False).is_infinity():
            previous = SignaturePoint.from_jacobian(point, in_subgroup=False)
            point = _times(previous.affine, order)
            if SignaturePoint.from_jacobian(point, in_subgroup=False).is_infinity():
                return previous.to_bytes()
    raise AssertionError("the curve has such points")


def _times(affine: object, number: int) -> object:
    total = ffi.new("blst_p2 *")
    for bit in f"{number:b}":
        lib.blst_p2_double(total, total)
        if bit == "1":
            lib.blst_p2_add_or_double_affine(total, total, affine)
    return total


@pytest.mark.parametrize("order", [13, 23, 2713])
@pytest.mark.parametrize("count", [10, 80])
def test_signature_plus_point_of_small_order_is_refused(order: int, count: int) -> None:
    torsion = SignaturePoint.parse(small_order_point(order), check_subgroup=False)
    claims = [claim(n) for n in range(count)]
    total = ffi.new("blst_p2 *")
    lib.blst_p2_add_or_double_affine(total, total, torsion.affine)
    lib.blst_p2_add_or_double_affine(total, total, claims[7].signature.affine)
    dirty = SignaturePoint.from_jacobian(total, in_subgroup=False)
    claims[7] = batch.Claim(PUBLIC_KEYS[7], ROOT, dirty)
    for seed in range(5):
        entropy = Random(seed).randbytes
        assert not batch.in_subgroup([c.signature for c in claims], entropy=entropy)
        assert batch.find_false(claims, entropy=entropy) == (7,)
        assert not dirty.membership_known


def test_no_draw_of_weights_lets_a_point_of_small_order_pass() -> None:
    # One sum misses it for one draw in 13, two for one in 169: a thousand draws tell.
    torsion = SignaturePoint.parse(small_order_point(13), check_subgroup=False)
    good = [SignaturePoint.parse(data, check_subgroup=False) for data in SIGNATURES[:63]]
    for seed in range(1000):
        assert not batch.in_subgroup([*good, torsion], entropy=Random(seed).randbytes)


def test_membership_of_many_agrees_with_one_by_one() -> None:
    points = [SignaturePoint.parse(data, check_subgroup=False) for data in SIGNATURES]
    assert batch.in_subgroup(points, entropy=system_entropy)
    assert all(point.membership_known for point in points)
    outside = [
        SignaturePoint.parse(outside_subgroup_g2(skip=n), check_subgroup=False) for n in range(80)
    ]
    assert not batch.in_subgroup(outside, entropy=system_entropy)
    assert not any(point.membership_known for point in outside)
    assert batch.in_subgroup([], entropy=system_entropy)


def test_verdict_is_a_function_of_claims_and_entropy() -> None:
    drawn: list[list[int]] = []
    for _ in range(2):
        sizes: list[int] = []
        rng = Random(1)

        def entropy(size: int, /, *, rng: Random = rng, sizes: list[int] = sizes) -> bytes:
            sizes.append(size)
            return rng.randbytes(size)

        claims = [claim(n, signature=SIGNATURES[n ^ 1] if n < 2 else None) for n in range(70)]
        assert batch.find_false(claims, entropy=entropy) == (0, 1)
        drawn.append(sizes)
    assert drawn[0] == drawn[1]
