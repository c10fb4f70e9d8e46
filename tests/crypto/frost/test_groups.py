"""Each group keeps the same contract."""

import pytest
from tests.crypto.frost.world import entropy

from tetrarch.crypto.frost.groups import FrostPointInvalid, FrostScalarInvalid, Group, Scalar
from tetrarch.crypto.frost.suites import ED25519, RISTRETTO255, SECP256K1

GROUPS = [suite.group for suite in (ED25519, RISTRETTO255, SECP256K1)]
pytestmark = pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)


def drawn(group: Group, count: int) -> list[Scalar]:
    draw = entropy(group.name)
    return [group.reduce(draw(64)) for _ in range(count)]


def test_scalars_are_numbers_modulo_the_order(group: Group) -> None:
    a, b = drawn(group, 2)
    x, y, order = group.to_number(a), group.to_number(b), group.order
    assert group.to_number(group.add_scalars(a, b)) == (x + y) % order
    assert group.to_number(group.multiply_scalars(a, b)) == x * y % order
    assert group.to_number(group.negate_scalar(a)) == order - x
    wide = b"\xff" * 64
    assert group.to_number(group.reduce(wide)) == int.from_bytes(wide, "little") % order
    zero = group.to_scalar(0)
    assert group.to_scalar(order) == zero == group.add_scalars(a, group.negate_scalar(a))
    assert group.add_scalars(zero, a) == a == group.add_scalars(a, zero)
    assert zero == group.multiply_scalars(zero, a) == group.multiply_scalars(a, zero)
    assert group.negate_scalar(zero) == zero


def test_points_are_multiples(group: Group) -> None:
    a, b = drawn(group, 2)
    point, other = group.multiply_base(a), group.multiply_base(b)
    assert group.multiply(a, group.generator) == point
    assert group.add((point, other)) == group.multiply_base(group.add_scalars(a, b))
    assert group.multiply(a, other) == group.multiply(b, point)
    assert group.negate(point) == group.multiply_base(group.negate_scalar(a))
    assert group.decode_point(point) == point


def test_the_identity_changes_nothing(group: Group) -> None:
    (a,) = drawn(group, 1)
    point, none = group.multiply_base(a), group.identity
    zero = group.to_scalar(0)
    assert none == group.multiply_base(zero) == group.multiply(zero, point)
    assert none == group.multiply(a, none) == group.add(()) == group.add((none, none))
    assert none == group.add((point, group.negate(point))) == group.negate(none)
    assert group.add((none, point, none)) == point


def test_both_sides_come_to_one_secret(group: Group) -> None:
    a, b = drawn(group, 2)
    secret = group.shared_secret(a, group.multiply_base(b))
    assert secret == group.shared_secret(b, group.multiply_base(a))
    assert secret == group.secret_of(group.multiply_base(group.multiply_scalars(a, b)))
    assert len(secret) == 32


def test_what_is_no_point_is_refused(group: Group) -> None:
    size = group.point_size_bytes
    (a,) = drawn(group, 1)
    point = group.multiply_base(a)
    bad = [b"", point[:-1], point + b"\0", group.identity, b"\xff" * size, b"\x04" + point[1:]]
    if group.name == "ed25519":
        bad.append(b"\0" * 32)  # of order 4
        bad.append(
            bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa")
        )
    for data in bad:
        if data == b"\x04" + point[1:] and size == 32:
            continue  # may be one
        with pytest.raises(FrostPointInvalid):
            group.decode_point(data)


def test_what_is_no_scalar_is_refused(group: Group) -> None:
    byte_order = "big" if group.name == "secp256k1" else "little"
    for number in (group.order, group.order + 1, 2**256 - 1):
        with pytest.raises(FrostScalarInvalid):
            group.decode_scalar(number.to_bytes(32, byte_order))  # type: ignore[arg-type]
    for size in (0, 31, 33):
        with pytest.raises(FrostScalarInvalid):
            group.decode_scalar(bytes(size))
    last = group.to_scalar(group.order - 1)
    assert group.decode_scalar(last) == last
