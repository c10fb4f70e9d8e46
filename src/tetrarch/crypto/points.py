"""Curve points that were parsed once, so that hot paths never decompress the same bytes twice.

A point is immutable after parsing; its memory is shared freely between threads.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Final, Self

from tetrarch.crypto.blst import CURVE_ORDER, DOMAIN, NULL, CData, ffi, lib
from tetrarch.errors import InputInvalid, invariant

PUBLIC_KEY_SIZE_BYTES: Final = 48
SIGNATURE_SIZE_BYTES: Final = 96
ORDINATE_SIZE_BYTES: Final = 96  # a signature point's y coordinate
SCALAR_SIZE_BYTES: Final = 32

_OK, _NOT_ON_CURVE = 0, 2  # BLST_ERROR
_INFINITY_BYTE = 0xC0
_COMPRESSED, _FIELD_BITS = 0b10, 0x1F  # of the first byte: its two highest bits, and the rest
# blst changes its method at 32 points: 31 take 1.7 times as long as 32. Pad with zero weights.
_SLOW_FROM, _FAST_FROM = 19, 32


class BlsInputInvalid(InputInvalid):
    """Bytes or numbers that are no key, signature, share or index."""

    code = "bls_input_invalid"


class WrongLength(BlsInputInvalid):
    """A key or signature has another number of bytes than its kind."""

    code = "bls_wrong_length"


class PointEncodingInvalid(BlsInputInvalid):
    """Flag bits that contradict each other, or a coordinate not below the field's modulus."""

    code = "bls_point_encoding_invalid"


class PointNotOnCurve(BlsInputInvalid):
    """No point of the curve has this coordinate."""

    code = "bls_point_not_on_curve"


class PointNotInSubgroup(BlsInputInvalid):
    """A point of the curve outside the group of prime order, where signatures are forgeable."""

    code = "bls_point_not_in_subgroup"


class PointAtInfinity(BlsInputInvalid):
    """The neutral point: as a key it would accept the neutral signature over anything."""

    code = "bls_point_at_infinity"


class ScalarOutOfRange(BlsInputInvalid):
    """A secret key is 0 or not below the group's order."""

    code = "bls_scalar_out_of_range"


class _Point:
    """What both groups share. ``affine`` is a cffi pointer to memory this object owns."""

    __slots__ = ("_compressed", "_in_subgroup", "affine")

    size_bytes: ClassVar[int]
    _affine_type: ClassVar[Any]
    _uncompress: ClassVar[Any]  # native functions of the group, called as plain functions
    _compress: ClassVar[Any]
    _is_in_subgroup: ClassVar[Any]
    _is_infinity: ClassVar[Any]

    def __init__(self, affine: CData, *, compressed: bytes | None, in_subgroup: bool) -> None:
        self.affine = affine
        self._compressed = compressed
        self._in_subgroup = in_subgroup

    @classmethod
    def parse(
        cls, data: bytes, *, check_subgroup: bool = True, allow_infinity: bool = False
    ) -> Self:
        """Decompress ``data``.

        With ``check_subgroup=False`` the check is deferred: ``check_subgroup`` of this object, or
        of what it is combined into, must come before the point is believed.

        Raises:
            WrongLength, PointEncodingInvalid, PointNotOnCurve, PointAtInfinity,
            PointNotInSubgroup: what its name says.

        Cost: 20 us in G2, the subgroup check 35 us more; in G1 less.
        """
        if len(data) != cls.size_bytes:
            raise WrongLength("parse point", expected_bytes=cls.size_bytes, got=len(data))
        data = bytes(data)
        affine = ffi.new(cls._affine_type)
        status = cls._uncompress(affine, data)
        if status == _NOT_ON_CURVE:
            raise PointNotOnCurve("parse point")
        if status != _OK:
            raise PointEncodingInvalid("parse point")
        if data[0] & _INFINITY_BYTE == _INFINITY_BYTE:
            if not allow_infinity:
                raise PointAtInfinity("parse point")
            check_subgroup = False
        point = cls(affine, compressed=data, in_subgroup=data[0] & 0x40 != 0)
        if check_subgroup:
            point.check_subgroup()
        return point

    def check_subgroup(self) -> None:
        """Make sure that the point is in the group of prime order; checked once.

        Raises:
            PointNotInSubgroup: it is not.
        """
        if not self.in_subgroup():
            raise PointNotInSubgroup("check point")

    def in_subgroup(self) -> bool:
        """Whether the point is in the group of prime order; computed once."""
        if not self._in_subgroup:
            self._in_subgroup = bool(self._is_in_subgroup(self.affine))
        return self._in_subgroup

    @property
    def membership_known(self) -> bool:
        """Whether the point was found to be in the group of prime order."""
        return self._in_subgroup

    def note_in_subgroup(self) -> None:
        """Remember the result of a check made elsewhere, for many points at once."""
        self._in_subgroup = True

    def is_infinity(self) -> bool:
        """Whether this is the neutral point."""
        return bool(self._is_infinity(self.affine))

    def to_bytes(self) -> bytes:
        """The compressed form."""
        if self._compressed is None:
            out = ffi.new("uint8_t[]", self.size_bytes)
            self._compress(out, self.affine)
            self._compressed = bytes(out)
        return self._compressed

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        return hash(self.to_bytes())

    def __repr__(self) -> str:
        return f"{type(self).__name__}(0x{self.to_bytes().hex()})"

    def __reduce__(self) -> str | tuple[Any, ...]:
        return type(self).restore, (self.to_bytes(), self._in_subgroup)

    @classmethod
    def restore(cls, data: bytes, in_subgroup: bool) -> Self:  # noqa: FBT001 - pickle's call
        """Rebuild a pickled point, together with what was already known of it."""
        point = cls.parse(data, check_subgroup=False, allow_infinity=True)
        return cls(point.affine, compressed=bytes(data), in_subgroup=in_subgroup)


class PublicKeyPoint(_Point):
    """A parsed public key or public share: a point of G1."""

    __slots__ = ()

    size_bytes = PUBLIC_KEY_SIZE_BYTES
    _affine_type = ffi.typeof("blst_p1_affine *")
    _uncompress = lib.blst_p1_uncompress
    _compress = lib.blst_p1_affine_compress
    _is_in_subgroup = lib.blst_p1_affine_in_g1
    _is_infinity = lib.blst_p1_affine_is_inf

    @classmethod
    def from_jacobian(cls, point: CData) -> Self:
        """Take the result of a computation (``blst_p1 *``) whose inputs are in the subgroup."""
        affine = ffi.new(cls._affine_type)
        lib.blst_p1_to_affine(affine, point)
        return cls(affine, compressed=None, in_subgroup=True)


class SignaturePoint(_Point):
    """A parsed signature or partial signature: a point of G2."""

    __slots__ = ()

    size_bytes = SIGNATURE_SIZE_BYTES
    _affine_type = ffi.typeof("blst_p2_affine *")
    _uncompress = lib.blst_p2_uncompress
    _compress = lib.blst_p2_affine_compress
    _is_in_subgroup = lib.blst_p2_affine_in_g2
    _is_infinity = lib.blst_p2_affine_is_inf

    @classmethod
    def from_jacobian(cls, point: CData, *, in_subgroup: bool) -> Self:
        """Take the result of a computation (``blst_p2 *``).

        ``in_subgroup`` is True only when every input was checked.
        """
        affine = ffi.new(cls._affine_type)
        lib.blst_p2_to_affine(affine, point)
        return cls(affine, compressed=None, in_subgroup=in_subgroup)


def hash_to_g2(message: bytes) -> CData:
    """The message's point, ``blst_p2_affine *``; 130 us."""
    point, affine = ffi.new("blst_p2 *"), ffi.new("blst_p2_affine *")
    lib.blst_hash_to_g2(point, message, len(message), DOMAIN, len(DOMAIN), NULL, 0)
    lib.blst_p2_to_affine(affine, point)
    return affine


def scalar_from_int(value: int) -> CData:
    """``value`` as ``blst_scalar *``."""
    scalar = ffi.new("blst_scalar *")
    lib.blst_scalar_from_bendian(scalar, (value % CURVE_ORDER).to_bytes(SCALAR_SIZE_BYTES, "big"))
    return scalar


def _padded(points: Sequence[_Point], scalars: bytes, size_bytes: int) -> tuple[list[CData], bytes]:
    invariant(len(scalars) == size_bytes * len(points) > 0, "one scalar for each point")
    affines = [point.affine for point in points]
    if _SLOW_FROM <= len(affines) < _FAST_FROM:
        missing = _FAST_FROM - len(affines)
        return affines + affines[:1] * missing, scalars + bytes(size_bytes * missing)
    return affines, scalars


def _pointers_to_scalars(scalars: bytes) -> tuple[CData, CData]:
    buffer = ffi.from_buffer("uint8_t[]", scalars)
    # blst's short form: the first pointer, then NULL, means that the rest lies contiguous.
    return buffer, ffi.new("uint8_t *[2]", [buffer, NULL])


def weighted_sum_g1(points: Sequence[PublicKeyPoint], scalars: bytes, *, bits: int) -> CData:
    """``sum(scalar * point)`` as ``blst_p1 *`` by one multi-scalar multiplication.

    Args:
        points: at least one.
        scalars: little endian, ``ceil(bits / 8)`` bytes each, one after the other.
        bits: bound of the scalars' size.

    Cost: 2.3 us per point at 64 bits and 1000 points, 3.5 us at 100.
    """
    affines, scalars = _padded(points, scalars, (bits + 7) // 8)
    count = len(affines)
    buffer, pointers = _pointers_to_scalars(scalars)
    table = ffi.new("blst_p1_affine *[]", affines)
    scratch = ffi.new("uint8_t[]", lib.blst_p1s_mult_pippenger_scratch_sizeof(count))
    total = ffi.new("blst_p1 *")
    lib.blst_p1s_mult_pippenger(total, table, count, pointers, bits, scratch)
    ffi.release(buffer)
    return total


def weighted_sum_g2(points: Sequence[SignaturePoint], scalars: bytes, *, bits: int) -> CData:
    """``sum(scalar * point)`` as ``blst_p2 *``; arguments as ``weighted_sum_g1``.

    Cost: 6.4 us per point at 64 bits and 1000 points, 9.4 us at 100.
    """
    affines, scalars = _padded(points, scalars, (bits + 7) // 8)
    count = len(affines)
    buffer, pointers = _pointers_to_scalars(scalars)
    table = ffi.new("blst_p2_affine *[]", affines)
    scratch = ffi.new("uint8_t[]", lib.blst_p2s_mult_pippenger_scratch_sizeof(count))
    total = ffi.new("blst_p2 *")
    lib.blst_p2s_mult_pippenger(total, table, count, pointers, bits, scratch)
    ffi.release(buffer)
    return total


def negated_generator() -> CData:
    """``-g1`` as ``blst_p1_affine *``."""
    negated = ffi.new("blst_p1_affine *", lib.blst_p1_affine_generator()[0])
    y = ffi.addressof(negated, "y")
    lib.blst_fp_cneg(y, y, True)
    return negated


def pairings_cancel(pairs: Sequence[tuple[CData, CData]]) -> bool:
    """Whether the product of ``e(p, q)`` over ``pairs`` is one.

    Args:
        pairs: (``blst_p1_affine *``, ``blst_p2_affine *``). A pair with the neutral point
            contributes the factor one and is left out.

    Cost: 0.13 ms per pair and 0.3 ms once.
    """
    kept = [
        (p, q)
        for p, q in pairs
        if not lib.blst_p1_affine_is_inf(p) and not lib.blst_p2_affine_is_inf(q)
    ]
    if not kept:
        return True
    ps = ffi.new("blst_p1_affine *[]", [p for p, _ in kept])
    qs = ffi.new("blst_p2_affine *[]", [q for _, q in kept])
    product = ffi.new("blst_fp12 *")
    lib.blst_miller_loop_n(product, qs, ps, len(kept))
    lib.blst_final_exp(product, product)
    return bool(lib.blst_fp12_is_one(product))


def write_signature(affine: CData) -> tuple[bytes, bytes]:
    """A signature's 96 bytes, and its point's y coordinate for ``read_signature``.

    Args:
        affine: a blst_p2_affine that is not infinity.
    """
    signature, plain = ffi.new("uint8_t[96]"), ffi.new("uint8_t[192]")
    lib.blst_p2_affine_compress(signature, affine)
    lib.blst_p2_affine_serialize(plain, affine)
    return bytes(signature), bytes(plain)[ORDINATE_SIZE_BYTES:]


def read_signature(signature: bytes, ordinate: bytes = b"") -> SignaturePoint:
    """Decompress ``signature`` without checking its subgroup, helped by its y coordinate.

    A compressed point has x and one bit of y; the square root that gives the rest is the cost of
    decompression. Who knows y can be asked for it: whether it lies on the curve with x, and has
    that bit, costs next to nothing. A wrong one helps nobody and harms nobody.

    Raises:
        as ``SignaturePoint.parse``.

    Cost: 2.5 us, and 20 us without a right ``ordinate``.
    """
    compressed = len(signature) == SignaturePoint.size_bytes and signature[0] >> 6 == _COMPRESSED
    if compressed and len(ordinate) == ORDINATE_SIZE_BYTES:
        affine, again = ffi.new("blst_p2_affine *"), ffi.new("uint8_t[96]")
        plain = bytes((signature[0] & _FIELD_BITS,)) + signature[1:] + ordinate
        if lib.blst_p2_deserialize(affine, plain) == _OK:
            lib.blst_p2_affine_compress(again, affine)
            if bytes(again) == signature:
                return SignaturePoint(affine, compressed=bytes(signature), in_subgroup=False)
    return SignaturePoint.parse(signature, check_subgroup=False)
