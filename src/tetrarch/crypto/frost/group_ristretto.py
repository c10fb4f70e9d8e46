"""ristretto255 (RFC 9496) for FROST, by libsodium: RFC 9591, 6.2."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import rbcl

from tetrarch.crypto import ristretto
from tetrarch.crypto.frost.groups import (
    FrostPointInvalid,
    FrostScalarInvalid,
    Point,
    Scalar,
)


class Ristretto255:
    """See ``Group``. All of its operations take the same time whatever their input."""

    name: Final = "ristretto255"
    order: Final = ristretto.ORDER
    point_size_bytes: Final = ristretto.POINT_SIZE_BYTES
    identity: Final = Point(ristretto.IDENTITY)
    generator: Final = Point(ristretto.BASE)

    def to_scalar(self, number: int) -> Scalar:
        """See ``Group``."""
        return Scalar((number % self.order).to_bytes(ristretto.SCALAR_SIZE_BYTES, "little"))

    def to_number(self, scalar: Scalar) -> int:
        """See ``Group``."""
        return int.from_bytes(scalar, "little")

    def reduce(self, wide: bytes) -> Scalar:
        """See ``Group``."""
        return Scalar(ristretto.reduce_scalar(wide))

    def decode_scalar(self, data: bytes) -> Scalar:
        """See ``Group``."""
        try:
            return Scalar(ristretto.decode_scalar(data))
        except ristretto.ScalarInvalid as error:
            raise FrostScalarInvalid("read scalar", **error.fields) from None

    def decode_point(self, data: bytes) -> Point:
        """See ``Group``."""
        try:
            return Point(ristretto.decode_point(data))
        except ristretto.PointInvalid as error:
            raise FrostPointInvalid("read point", **error.fields) from None

    def add_scalars(self, a: Scalar, b: Scalar) -> Scalar:
        """See ``Group``."""
        return Scalar(rbcl.crypto_core_ristretto255_scalar_add(a, b))

    def multiply_scalars(self, a: Scalar, b: Scalar) -> Scalar:
        """See ``Group``."""
        return Scalar(rbcl.crypto_core_ristretto255_scalar_mul(a, b))

    def negate_scalar(self, scalar: Scalar) -> Scalar:
        """See ``Group``."""
        return Scalar(rbcl.crypto_core_ristretto255_scalar_negate(scalar))

    def multiply_base(self, scalar: Scalar) -> Point:
        """See ``Group``."""
        return Point(rbcl.crypto_scalarmult_ristretto255_base_allow_scalar_zero(scalar))

    def multiply(self, scalar: Scalar, point: Point) -> Point:
        """See ``Group``."""
        return Point(rbcl.crypto_scalarmult_ristretto255_allow_scalar_zero(scalar, point))

    def shared_secret(self, scalar: Scalar, point: Point) -> bytes:
        """See ``Group``."""
        return self.secret_of(self.multiply(scalar, point))

    def secret_of(self, shared: Point) -> bytes:
        """See ``Group``."""
        return sha256(shared).digest()

    def add(self, points: Sequence[Point]) -> Point:
        """See ``Group``."""
        total = bytes(self.identity)
        for point in points:
            total = rbcl.crypto_core_ristretto255_add(total, point)
        return Point(total)

    def negate(self, point: Point) -> Point:
        """See ``Group``."""
        return Point(rbcl.crypto_core_ristretto255_sub(self.identity, point))
