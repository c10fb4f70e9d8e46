"""secp256k1 (SEC 2, 2.4.1) for FROST, by libsecp256k1: RFC 9591, 6.5. Points are compressed, scalars big-endian.

Where the library has an operation for secret keys, it is used, as it takes the same time whatever they are: scalars' sums and
products, multiples of the generator, and Diffie-Hellman, of which it gives a hash alone. It knows neither 0 nor the identity;
they are told apart here, by 33 zeros for the point.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

import coincurve
from coincurve._libsecp256k1 import ffi, lib
from coincurve.context import GLOBAL_CONTEXT

from tetrarch.crypto.frost.groups import (
    FrostPointInvalid,
    FrostScalarInvalid,
    Point,
    Scalar,
)
from tetrarch.crypto.k1 import CURVE_ORDER
from tetrarch.errors import invariant

SCALAR_SIZE_BYTES: Final = 32
POINT_SIZE_BYTES: Final = 33
ODD: Final = 3  # the first byte of a point whose y is odd
_ZERO: Final = bytes(SCALAR_SIZE_BYTES)


class Secp256k1:
    """See ``Group``."""

    name: Final = "secp256k1"
    order: Final = CURVE_ORDER
    point_size_bytes: Final = POINT_SIZE_BYTES
    identity: Final = Point(bytes(POINT_SIZE_BYTES))
    generator: Final = Point(
        bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
    )

    def to_scalar(self, number: int) -> Scalar:
        """See ``Group``."""
        return Scalar((number % self.order).to_bytes(SCALAR_SIZE_BYTES, "big"))

    def to_number(self, scalar: Scalar) -> int:
        """See ``Group``."""
        return int.from_bytes(scalar, "big")

    def reduce(self, wide: bytes) -> Scalar:
        """See ``Group``. A Python integer holds them meanwhile, as the library has no such operation."""
        return self.to_scalar(int.from_bytes(wide, "little"))

    def decode_scalar(self, data: bytes) -> Scalar:
        """See ``Group``."""
        if len(data) != SCALAR_SIZE_BYTES or int.from_bytes(data, "big") >= self.order:
            raise FrostScalarInvalid("read scalar", got_bytes=len(data))
        return Scalar(bytes(data))

    def decode_point(self, data: bytes) -> Point:
        """See ``Group``."""
        if len(data) != POINT_SIZE_BYTES:
            raise FrostPointInvalid("read point", got_bytes=len(data))
        try:
            coincurve.PublicKey(bytes(data))
        except ValueError:
            raise FrostPointInvalid("read point", reason="it is not on the curve") from None
        return Point(bytes(data))

    def add_scalars(self, a: Scalar, b: Scalar) -> Scalar:
        """See ``Group``."""
        if _ZERO in {a, b}:
            return b if a == _ZERO else a
        # Of what may be taken for two valid keys, just a sum of 0 is refused.
        return _changed(lib.secp256k1_ec_seckey_tweak_add, a, b)

    def multiply_scalars(self, a: Scalar, b: Scalar) -> Scalar:
        """See ``Group``."""
        if _ZERO in {a, b}:
            return Scalar(_ZERO)
        return _changed(lib.secp256k1_ec_seckey_tweak_mul, a, b)

    def negate_scalar(self, scalar: Scalar) -> Scalar:
        """See ``Group``."""
        if scalar == _ZERO:
            return scalar
        buffer = ffi.new("unsigned char[32]", scalar)
        lib.secp256k1_ec_seckey_negate(GLOBAL_CONTEXT.ctx, buffer)
        return Scalar(bytes(ffi.buffer(buffer)))

    def multiply_base(self, scalar: Scalar) -> Point:
        """See ``Group``."""
        if scalar == _ZERO:
            return self.identity
        point = ffi.new("secp256k1_pubkey *")
        made = lib.secp256k1_ec_pubkey_create(GLOBAL_CONTEXT.ctx, point, scalar)
        invariant(made == 1, "a scalar other than 0 is a secret key")
        return _serialized(point)

    def multiply(self, scalar: Scalar, point: Point) -> Point:
        """See ``Group``."""
        if scalar == _ZERO or point == self.identity:
            return self.identity
        parsed = _parsed(point)
        done = lib.secp256k1_ec_pubkey_tweak_mul(GLOBAL_CONTEXT.ctx, parsed, scalar)
        invariant(done == 1, "a point times a scalar is a point")
        return _serialized(parsed)

    def shared_secret(self, scalar: Scalar, point: Point) -> bytes:
        """See ``Group``: SHA-256 of the compressed product is what the library gives."""
        secret = ffi.new("unsigned char[32]")
        done = lib.secp256k1_ecdh(
            GLOBAL_CONTEXT.ctx,
            secret,
            _parsed(point),
            scalar,
            lib.secp256k1_ecdh_hash_function_sha256,
            ffi.NULL,
        )
        invariant(done == 1, "a scalar other than 0 is a secret key")
        return bytes(ffi.buffer(secret))

    def secret_of(self, shared: Point) -> bytes:
        """See ``Group``."""
        return sha256(shared).digest()

    def add(self, points: Sequence[Point]) -> Point:
        """See ``Group``."""
        parsed = [_parsed(point) for point in points if point != self.identity]
        if not parsed:
            return self.identity
        total = ffi.new("secp256k1_pubkey *")
        if not lib.secp256k1_ec_pubkey_combine(GLOBAL_CONTEXT.ctx, total, parsed, len(parsed)):
            return self.identity
        return _serialized(total)

    def negate(self, point: Point) -> Point:
        """See ``Group``."""
        if point == self.identity:
            return point
        return Point(bytes((point[0] ^ 1,)) + point[1:])


def is_odd(point: Point) -> bool:
    """Whether its y is: BIP-340 knows points by their x alone, and takes the even one."""
    return point[0] == ODD


def x_of(point: Point) -> bytes:
    """A point's x: 32 bytes, big-endian."""
    return point[1:]


def _changed(change: Any, a: Scalar, b: Scalar) -> Scalar:
    buffer = ffi.new("unsigned char[32]", a)
    if not change(GLOBAL_CONTEXT.ctx, buffer, b):
        return Scalar(_ZERO)
    return Scalar(bytes(ffi.buffer(buffer)))


def _parsed(point: Point) -> Any:
    parsed = ffi.new("secp256k1_pubkey *")
    done = lib.secp256k1_ec_pubkey_parse(GLOBAL_CONTEXT.ctx, parsed, point, len(point))
    invariant(done == 1, "a point was decoded before")
    return parsed


def _serialized(point: Any) -> Point:
    output = ffi.new("unsigned char[33]")
    size = ffi.new("size_t *", POINT_SIZE_BYTES)
    lib.secp256k1_ec_pubkey_serialize(
        GLOBAL_CONTEXT.ctx, output, size, point, lib.SECP256K1_EC_COMPRESSED
    )
    return Point(bytes(ffi.buffer(output)))
