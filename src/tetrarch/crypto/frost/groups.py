"""What FROST needs of a group of prime order: RFC 9591, 3.1.

Points and scalars are bytes in the one form that their group has for them. Whoever has a ``Point`` or a ``Scalar`` may rely on
its being one: ``decode_point`` and ``decode_scalar`` are the way in from outside. Sums may be the group's identity, which is
never read from outside.
"""

from collections.abc import Sequence
from typing import Final, NewType, Protocol

from tetrarch.errors import InputInvalid

WIDE_SIZE_BYTES: Final = 64  # of what is reduced to a scalar with no value favoured

Point = NewType("Point", bytes)
Scalar = NewType("Scalar", bytes)


class FrostPointInvalid(InputInvalid):
    """Bytes that are no point of the group, or its identity."""

    code = "frost_point_invalid"


class FrostScalarInvalid(InputInvalid):
    """Bytes that are no scalar in its one form."""

    code = "frost_scalar_invalid"


class Group(Protocol):
    """A group, its generator, and the scalars that multiply it."""

    @property
    def name(self) -> str:
        """As in RFC 9591, section 6."""
        ...

    @property
    def order(self) -> int:
        """How many points it has: a prime."""
        ...

    @property
    def point_size_bytes(self) -> int:
        """Of each point's form."""
        ...

    @property
    def identity(self) -> Point:
        """The point that changes no other one."""
        ...

    @property
    def generator(self) -> Point:
        """The point that all others are multiples of."""
        ...

    def to_scalar(self, number: int) -> Scalar:
        """``number``, which is not secret, modulo the order."""
        ...

    def to_number(self, scalar: Scalar) -> int:
        """``scalar``, which is not secret."""
        ...

    def reduce(self, wide: bytes) -> Scalar:
        """``WIDE_SIZE_BYTES`` bytes, little-endian, modulo the order: uniform if they are."""
        ...

    def decode_scalar(self, data: bytes) -> Scalar:
        """Read a scalar.

        Raises:
            FrostScalarInvalid: it is another length, or not below the order.
        """
        ...

    def decode_point(self, data: bytes) -> Point:
        """Read a point that is not the identity.

        Raises:
            FrostPointInvalid: it is something else.
        """
        ...

    def add_scalars(self, a: Scalar, b: Scalar) -> Scalar:
        """Their sum, in a time that does not tell them."""
        ...

    def multiply_scalars(self, a: Scalar, b: Scalar) -> Scalar:
        """Their product, in a time that does not tell them."""
        ...

    def negate_scalar(self, scalar: Scalar) -> Scalar:
        """What adds up to 0 with it, in a time that does not tell it."""
        ...

    def multiply_base(self, scalar: Scalar) -> Point:
        """``scalar`` times the generator, in a time that does not tell it. Cost: 30 us."""
        ...

    def multiply(self, scalar: Scalar, point: Point) -> Point:
        """``scalar`` times ``point``; neither is secret. Cost: 50 to 90 us."""
        ...

    def shared_secret(self, scalar: Scalar, point: Point) -> bytes:
        """32 bytes of the product of both, in a time that does not tell ``scalar``, which is not 0."""
        ...

    def secret_of(self, shared: Point) -> bytes:
        """What ``shared_secret`` gives where the product is ``shared``."""
        ...

    def add(self, points: Sequence[Point]) -> Point:
        """Their sum; none of them is secret. Cost: 10 to 25 us each."""
        ...

    def negate(self, point: Point) -> Point:
        """What adds up to the identity with it."""
        ...
