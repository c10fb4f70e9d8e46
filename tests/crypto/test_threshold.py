"""Any t of n shares act as the key; fewer, or wrong ones, do not."""

from itertools import combinations, islice
from random import Random

import py_arkworks_bls12381 as arkworks
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.crypto.keys import deal, key, outside_subgroup_g2, sum_g2

from tetrarch.crypto import bls, threshold
from tetrarch.crypto.blst import CURVE_ORDER, ffi, lib
from tetrarch.crypto.lagrange import (
    INDEX_MAX,
    IndexOutOfRange,
    IndexZero,
    SharesTooFew,
)
from tetrarch.crypto.points import PublicKeyPoint, SignaturePoint

ROOT = b"\x22" * 32
SHAPES = [(1, 1), (2, 1), (2, 2), (4, 3), (7, 5), (10, 7)]


def partials_of(dealing: threshold.Dealing) -> dict[int, SignaturePoint]:
    return {i: SignaturePoint.parse(s.sign(ROOT)) for i, s in dealing.shares.items()}


def public_shares_of(dealing: threshold.Dealing) -> dict[int, PublicKeyPoint]:
    return {i: PublicKeyPoint.parse(s.public_key()) for i, s in dealing.shares.items()}


# Of the G2 curve: 13^2 and 23^2 divide it, and no point's order is 13^2 or 23^2.
G2_COFACTOR = int(
    "5d543a95414e7f1091d50792876a202cd91de4547085abaa68a205b2e5a7ddfa628f1cb4d9e82ef21537e293a6691ae16"
    "16ec6e786f0c70cf1c38e31c7238e5",
    16,
)


def scaled(point: SignaturePoint, scalar: int) -> SignaturePoint:
    total = ffi.new("blst_p2 *")
    for bit in f"{scalar:b}":
        lib.blst_p2_double(total, total)
        if bit == "1":
            lib.blst_p2_add_or_double_affine(total, total, point.affine)
    return SignaturePoint.from_jacobian(total, in_subgroup=False)


def point_of_order(order: int) -> SignaturePoint:
    point = SignaturePoint.parse(outside_subgroup_g2(), check_subgroup=False)
    return scaled(point, CURVE_ORDER * G2_COFACTOR // order**2)


@pytest.mark.parametrize(("shares", "needed"), SHAPES)
def test_any_t_of_n_combine_to_the_same_signature(shares: int, needed: int) -> None:
    partials = partials_of(deal(1, shares=shares, threshold=needed))
    expected = key(1).sign(ROOT)
    for chosen in combinations(partials, needed):
        assert threshold.combine({i: partials[i] for i in chosen}).to_bytes() == expected
        backwards = {i: partials[i] for i in reversed(chosen)}
        assert threshold.combine(backwards).to_bytes() == expected


@pytest.mark.parametrize(("shares", "needed"), SHAPES[2:])
def test_fewer_than_t_combine_to_another_signature(shares: int, needed: int) -> None:
    partials = partials_of(deal(1, shares=shares, threshold=needed))
    for chosen in islice(combinations(partials, needed - 1), 20):
        signature = threshold.combine({i: partials[i] for i in chosen}).to_bytes()
        assert not bls.verify(key(1).public_key(), ROOT, signature)


@pytest.mark.parametrize(("shares", "needed"), [*SHAPES, (24, 17)])
def test_any_t_partials_say_what_every_other_one_is(shares: int, needed: int) -> None:
    partials = partials_of(deal(1, shares=shares, threshold=needed))
    for indices in islice(combinations(partials, needed), 40):
        chosen = {i: partials[i] for i in indices}
        for index, point in partials.items():
            assert threshold.agrees(chosen, index, point)
            if needed > 1:
                assert not threshold.agrees(chosen, index, partials[index % shares + 1])
                if index in chosen:
                    falsified = {**chosen, index: partials[index % shares + 1]}
                    assert not threshold.agrees(falsified, index, point)
    for index, error in ((0, IndexZero), (INDEX_MAX + 1, IndexOutOfRange)):
        with pytest.raises(error):
            threshold.agrees(partials, index, partials[1])


def test_partial_with_a_part_outside_the_subgroup_does_not_agree() -> None:
    # Of order 13 or 23 in the curve's cofactor: multiples of it are neutral.
    partials = partials_of(deal(1, shares=24, threshold=2))
    for order in (13, 23):
        stray = point_of_order(order)
        assert not stray.is_infinity()
        assert not stray.in_subgroup()
        # 1 and 1 + order: the common denominator of their weights is the order.
        chosen = {1: partials[1], 1 + order: partials[1 + order]}
        for index in (2, 3):
            assert threshold.agrees(chosen, index, partials[index])
            shifted = sum_g2(partials[index], stray)
            assert not threshold.agrees(chosen, index, shifted)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_random_sharings_sign_and_recover(data: st.DataObject) -> None:
    shares = data.draw(st.integers(1, 24))
    needed = data.draw(st.integers(1, shares))
    dealing = deal(data.draw(st.integers(0, 5)), shares=shares, threshold=needed)
    chosen = data.draw(st.permutations(range(1, shares + 1)))[:needed]
    partials = {i: SignaturePoint.parse(dealing.shares[i].sign(ROOT)) for i in chosen}
    root = PublicKeyPoint.parse(dealing.commitments[0])
    assert bls.verify_points(root, ROOT, threshold.combine(partials))
    held = {i: dealing.shares[i] for i in chosen}
    secret = threshold.recover_secret(held, threshold=needed)
    assert secret.public_key() == dealing.commitments[0]


def test_large_sharing_takes_the_multi_scalar_path() -> None:
    dealing = deal(2, shares=100, threshold=67)
    chosen = Random(5).sample(range(1, 101), 67)
    partials = {i: SignaturePoint.parse(dealing.shares[i].sign(ROOT)) for i in chosen}
    assert threshold.combine(partials).to_bytes() == key(2).sign(ROOT)
    points = public_shares_of(dealing)
    assert threshold.recover_public_key(points, threshold=67).to_bytes() == dealing.commitments[0]


@pytest.mark.parametrize("chosen", [(1, 2, 3), (1, 3, 4), (2, 3, 4), (1, 2, 4), (4, 9, 17)])
def test_combination_agrees_with_arkworks(chosen: tuple[int, ...]) -> None:
    dealing = deal(3, shares=17, threshold=3)
    total = arkworks.G2Point.identity()
    partials = {}
    for i in chosen:
        scalar = 1
        for j in chosen:
            if j != i:
                scalar = scalar * j * pow(j - i, -1, CURVE_ORDER) % CURVE_ORDER
        data = dealing.shares[i].sign(ROOT)
        weight = arkworks.Scalar.from_le_bytes(scalar.to_bytes(32, "little"))
        total += arkworks.G2Point.from_compressed_bytes(data) * weight
        partials[i] = SignaturePoint.parse(data)
    assert threshold.combine(partials).to_bytes() == bytes(total.to_compressed_bytes())


def test_equal_and_opposite_partials_combine_without_error() -> None:
    data = key(1).sign(ROOT)
    same = SignaturePoint.parse(data)
    opposite = SignaturePoint.parse(bytes((data[0] ^ 0x20,)) + data[1:])
    # weights of (1, 2, 3) are 3, -3, 1: the sum is one times the third
    assert threshold.combine({1: same, 2: same, 3: same}) == same
    assert threshold.combine({1: same, 2: same, 3: opposite}) == opposite
    # weights of (1, 3, 4) are 2, -2, 1; those of (1, 2) are 2, -1
    assert threshold.combine({1: same, 3: same, 4: opposite}) == opposite
    assert threshold.combine({1: same, 2: same}) == same
    neutral = SignaturePoint.parse(b"\xc0" + bytes(95), allow_infinity=True)
    assert threshold.combine({1: same, 3: neutral, 4: same}).to_bytes() == bls.aggregate([data] * 3)


def test_recovery_checks_the_shares_beyond_the_threshold() -> None:
    dealing = deal(1, shares=5, threshold=3)
    assert threshold.recover_secret(dealing.shares, threshold=3) == key(1)
    wrong = {**dealing.shares, 5: key(9)}
    with pytest.raises(threshold.SharesInconsistent, match="5") as caught:
        threshold.recover_secret(wrong, threshold=3)
    assert key(9).to_bytes().hex() not in str(caught.value)
    with pytest.raises(SharesTooFew):
        threshold.recover_secret({1: key(1), 2: key(2)}, threshold=3)
    with pytest.raises(SharesTooFew):
        threshold.recover_secret({}, threshold=0)
    with pytest.raises(IndexZero):
        threshold.recover_secret({0: key(1), 1: key(2), 2: key(3)}, threshold=3)


def test_dealing_is_reproducible_and_hides_shares() -> None:
    first, again = (deal(1, shares=4, threshold=3) for _ in range(2))
    assert first.shares == again.shares
    for share in first.shares.values():
        assert share.to_bytes().hex() not in repr(first)
    assert deal(2, shares=4, threshold=3).shares[1] != first.shares[1]


def test_every_coefficient_comes_from_the_entropy() -> None:
    sizes: list[int] = []

    def entropy(size_bytes: int, /) -> bytes:
        sizes.append(size_bytes)
        return Random(len(sizes)).randbytes(size_bytes)

    first = threshold.split(key(1), share_count=5, threshold=4, entropy=entropy)
    again = threshold.split(key(1), share_count=5, threshold=4, entropy=entropy)
    assert sizes == [48] * 6
    assert len({*first.commitments, *again.commitments}) == 7  # the root key is in both
    assert first.shares[1] != again.shares[1]
    coefficients = [
        1 + int.from_bytes(Random(n).randbytes(48), "big") % (CURVE_ORDER - 1) for n in (1, 2, 3)
    ]
    value = (int.from_bytes(key(1).to_bytes(), "big") + sum(coefficients)) % CURVE_ORDER
    assert int.from_bytes(first.shares[1].to_bytes(), "big") == value


@pytest.mark.parametrize(("shares", "needed"), [(0, 0), (3, 0), (3, 4), (-1, -1), (1025, 3)])
def test_impossible_splits_are_refused(shares: int, needed: int) -> None:
    with pytest.raises(threshold.ThresholdInvalid):
        deal(1, shares=shares, threshold=needed)


@pytest.mark.parametrize(("shares", "needed"), SHAPES)
def test_commitments_give_every_public_share(shares: int, needed: int) -> None:
    dealing = deal(4, shares=shares, threshold=needed)
    commitments = [PublicKeyPoint.parse(data) for data in dealing.commitments]
    assert len(commitments) == needed
    assert commitments[0].to_bytes() == key(4).public_key()
    for index, share in dealing.shares.items():
        assert threshold.public_share(commitments, index).to_bytes() == share.public_key()
    for index, error in ((0, IndexZero), (INDEX_MAX + 1, IndexOutOfRange)):
        with pytest.raises(error):
            threshold.public_share(commitments, index)


@pytest.mark.parametrize(("shares", "needed"), SHAPES)
def test_public_shares_give_the_root_key(shares: int, needed: int) -> None:
    points = public_shares_of(deal(4, shares=shares, threshold=needed))
    for count in range(needed, shares + 1):
        some = {i: points[i] for i in sorted(points)[-count:]}
        root = threshold.recover_public_key(some, threshold=needed)
        assert root.to_bytes() == key(4).public_key()


def test_public_share_off_the_polynomial_is_named() -> None:
    points = public_shares_of(deal(4, shares=4, threshold=3))
    points[4] = PublicKeyPoint.parse(key(9).public_key())
    with pytest.raises(threshold.SharesInconsistent, match="index=4"):
        threshold.recover_public_key(points, threshold=3)
    with pytest.raises(SharesTooFew):
        threshold.recover_public_key(points, threshold=5)


def test_combine_many_takes_the_cheapest_of_each() -> None:
    items = [partials_of(deal(n, shares=4, threshold=3)) for n in range(5)]
    del items[1][3]
    combined = threshold.combine_many(items, threshold=3)
    assert [point.to_bytes() for point in combined] == [key(n).sign(ROOT) for n in range(5)]
    with pytest.raises(SharesTooFew):
        threshold.combine_many([{}], threshold=3)
