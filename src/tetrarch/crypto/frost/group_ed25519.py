"""The main subgroup of edwards25519 (RFC 8032) for FROST, by libsodium: RFC 9591, 6.1."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from nacl import bindings as sodium

from tetrarch.crypto import ristretto
from tetrarch.crypto.frost.groups import (
    FrostPointInvalid,
    FrostScalarInvalid,
    Point,
    Scalar,
)

SIZE_BYTES: Final = 32
_ZERO: Final = bytes(SIZE_BYTES)


class Ed25519:
    """See ``Group``. All of its operations take the same time whatever their input, but where it is 0."""

    name: Final = "ed25519"
    order: Final = ristretto.ORDER
    point_size_bytes: Final = SIZE_BYTES
    identity: Final = Point(b"\x01" + bytes(31))
    generator: Final = Point(b"\x58" + b"\x66" * 31)

    def to_scalar(self, number: int) -> Scalar:
        """See ``Group``."""
        return Scalar((number % self.order).to_bytes(SIZE_BYTES, "little"))

    def to_number(self, scalar: Scalar) -> int:
        """See ``Group``."""
        return int.from_bytes(scalar, "little")

    def reduce(self, wide: bytes) -> Scalar:
        """See ``Group``."""
        return Scalar(sodium.crypto_core_ed25519_scalar_reduce(wide))

    def decode_scalar(self, data: bytes) -> Scalar:
        """See ``Group``."""
        if len(data) != SIZE_BYTES or int.from_bytes(data, "little") >= self.order:
            raise FrostScalarInvalid("read scalar", got_bytes=len(data))
        return Scalar(bytes(data))

    def decode_point(self, data: bytes) -> Point:
        """See ``Group``. Points with a part of small order are none of its own."""
        if len(data) != SIZE_BYTES:
            raise FrostPointInvalid("read point", got_bytes=len(data))
        if not sodium.crypto_core_ed25519_is_valid_point(bytes(data)):
            raise FrostPointInvalid("read point", reason="it is not in the group")
        return Point(bytes(data))

    def add_scalars(self, a: Scalar, b: Scalar) -> Scalar:
        """See ``Group``."""
        return Scalar(sodium.crypto_core_ed25519_scalar_add(a, b))

    def multiply_scalars(self, a: Scalar, b: Scalar) -> Scalar:
        """See ``Group``."""
        return Scalar(sodium.crypto_core_ed25519_scalar_mul(a, b))

    def negate_scalar(self, scalar: Scalar) -> Scalar:
        """See ``Group``."""
        return Scalar(sodium.crypto_core_ed25519_scalar_negate(scalar))

    def multiply_base(self, scalar: Scalar) -> Point:
        """See ``Group``."""
        if scalar == _ZERO:
            return self.identity
        return Point(sodium.crypto_scalarmult_ed25519_base_noclamp(scalar))

    def multiply(self, scalar: Scalar, point: Point) -> Point:
        """See ``Group``."""
        if scalar == _ZERO or point == self.identity:
            return self.identity
        return Point(sodium.crypto_scalarmult_ed25519_noclamp(scalar, point))

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
            total = sodium.crypto_core_ed25519_add(total, point)
        return Point(total)

    def negate(self, point: Point) -> Point:
        """See ``Group``."""
        return Point(sodium.crypto_core_ed25519_sub(self.identity, point))
