"""The group ristretto255 (RFC 9496), as libsodium has it: points and scalars are 32 bytes each.

Points are valid ones throughout: ``decode_point`` is the way in from outside. libsodium gives zeros
for a sum of what is no point, and says nothing.
"""

from typing import Final, NewType

import rbcl

from tetrarch.errors import InputInvalid, invariant

POINT_SIZE_BYTES: Final = 32
SCALAR_SIZE_BYTES: Final = 32
WIDE_SIZE_BYTES: Final = 64  # of what is hashed to a point or a scalar
ORDER: Final = 2**252 + 27742317777372353535851937790883648493

Point = NewType("Point", bytes)  # compressed
Scalar = NewType("Scalar", bytes)  # little-endian, below ``ORDER``

IDENTITY: Final = Point(bytes(POINT_SIZE_BYTES))
BASE: Final = Point(
    bytes.fromhex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76")
)


class PointInvalid(InputInvalid):
    """Bytes that are no point of the group, or its identity where that has no use."""

    code = "ristretto_point_invalid"


class ScalarInvalid(InputInvalid):
    """Bytes that are no scalar in its one form."""

    code = "ristretto_scalar_invalid"


def decode_point(data: bytes) -> Point:
    """Read a point other than the identity. Cost: 10 us.

    Raises:
        PointInvalid: it is something else.
    """
    if len(data) != POINT_SIZE_BYTES or data == IDENTITY:
        raise PointInvalid("read point", got_bytes=len(data))
    if not rbcl.crypto_core_ristretto255_is_valid_point(bytes(data)):
        raise PointInvalid("read point", reason="it is not in the group")
    return Point(bytes(data))


def decode_scalar(data: bytes) -> Scalar:
    """Read a scalar below the group's order.

    Raises:
        ScalarInvalid: it is something else.
    """
    if len(data) != SCALAR_SIZE_BYTES or int.from_bytes(data, "little") >= ORDER:
        raise ScalarInvalid("read scalar", got_bytes=len(data))
    return Scalar(bytes(data))


def reduce_scalar(wide: bytes) -> Scalar:
    """64 bytes, little-endian, modulo the group's order: uniform if they are."""
    invariant(len(wide) == WIDE_SIZE_BYTES, "what is reduced is twice as long as a scalar")
    return Scalar(rbcl.crypto_core_ristretto255_scalar_reduce(wide))


def map_to_point(wide: bytes) -> Point:
    """The point of 64 uniform bytes: RFC 9496, 4.3.4. Cost: 30 us."""
    invariant(len(wide) == WIDE_SIZE_BYTES, "what is mapped is twice as long as a point")
    return Point(rbcl.crypto_core_ristretto255_from_hash(wide))


def multiply_base(scalar: Scalar) -> Point:
    """``scalar`` times the base point, in constant time. Cost: 30 us."""
    return Point(rbcl.crypto_scalarmult_ristretto255_base_allow_scalar_zero(scalar))


def multiply(scalar: Scalar, point: Point) -> Point:
    """``scalar`` times ``point``, in constant time. Cost: 80 us."""
    return Point(rbcl.crypto_scalarmult_ristretto255_allow_scalar_zero(scalar, point))


def add(a: Point, b: Point) -> Point:
    """Their sum. Cost: 20 us."""
    return Point(rbcl.crypto_core_ristretto255_add(a, b))


def subtract(a: Point, b: Point) -> Point:
    """``a`` without ``b``. Cost: 20 us."""
    return Point(rbcl.crypto_core_ristretto255_sub(a, b))


def multiply_scalars(a: Scalar, b: Scalar) -> Scalar:
    """Their product."""
    return Scalar(rbcl.crypto_core_ristretto255_scalar_mul(a, b))


def add_scalars(a: Scalar, b: Scalar) -> Scalar:
    """Their sum."""
    return Scalar(rbcl.crypto_core_ristretto255_scalar_add(a, b))
