"""BLS signatures as Ethereum uses them, over bytes. Parsed points for hot paths: ``points``.

Messages are signing roots of 32 bytes; the functions take any length.

Source: draft-irtf-cfrg-bls-signature-05; consensus-specs, phase0/beacon-chain.md and altair/bls.md.
"""

import hmac
from collections.abc import Sequence
from typing import Any, NoReturn, Self

from tetrarch.crypto.blst import DOMAIN, NULL, CData, ffi, lib
from tetrarch.crypto.points import (
    SCALAR_SIZE_BYTES,
    BlsInputInvalid,
    PointAtInfinity,
    PointEncodingInvalid,
    PointNotInSubgroup,
    PointNotOnCurve,
    PublicKeyPoint,
    ScalarOutOfRange,
    SignaturePoint,
    WrongLength,
    hash_to_g2,
    negated_generator,
    pairings_cancel,
)
from tetrarch.entropy import Entropy

__all__ = [
    "BlsInputInvalid",
    "NothingToAggregate",
    "PointAtInfinity",
    "PointEncodingInvalid",
    "PointNotInSubgroup",
    "PointNotOnCurve",
    "PublicKeyPoint",
    "ScalarOutOfRange",
    "SecretKey",
    "SignaturePoint",
    "WrongLength",
    "aggregate",
    "aggregate_public_keys",
    "aggregate_verify",
    "fast_aggregate_verify",
    "sum_public_keys",
    "validate_public_key",
    "validate_signature",
    "verify",
    "verify_points",
]


class NothingToAggregate(BlsInputInvalid):
    """An aggregate of no signatures or keys is not defined."""

    code = "bls_nothing_to_aggregate"


class SecretKey:
    """A secret scalar in [1, r). Neither printed nor pickled nor compared in variable time."""

    __slots__ = ("_scalar",)

    def __init__(self, scalar: CData) -> None:
        """Take ownership of a checked ``blst_scalar *``; callers use the class methods."""
        self._scalar = scalar

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read 32 big-endian bytes.

        Raises:
            WrongLength: not 32 bytes.
            ScalarOutOfRange: 0, or not below the group's order.
        """
        if len(data) != SCALAR_SIZE_BYTES:
            raise WrongLength("read secret key", expected_bytes=SCALAR_SIZE_BYTES, got=len(data))
        scalar = ffi.new("blst_scalar *")
        lib.blst_scalar_from_bendian(scalar, bytes(data))
        if not lib.blst_sk_check(scalar):
            raise ScalarOutOfRange("read secret key")
        return cls(scalar)

    @classmethod
    def generate(cls, entropy: Entropy) -> Self:
        """A fresh key from 32 bytes of ``entropy`` (KeyGen of the draft, section 2.3)."""
        material = entropy(32)
        scalar = ffi.new("blst_scalar *")
        lib.blst_keygen(scalar, material, len(material), NULL, 0)
        return cls(scalar)

    def to_bytes(self) -> bytes:
        """32 big-endian bytes. The secret itself: encrypt before it leaves the process."""
        out = ffi.new("uint8_t[32]")
        lib.blst_bendian_from_scalar(out, self._scalar)
        return bytes(out)

    def public_key(self) -> bytes:
        """48 bytes, compressed; 65 us."""
        point, out = ffi.new("blst_p1 *"), ffi.new("uint8_t[48]")
        lib.blst_sk_to_pk_in_g1(point, self._scalar)
        lib.blst_p1_compress(out, point)
        return bytes(out)

    def sign(self, signing_root: bytes) -> bytes:
        """96 bytes, compressed; deterministic; 260 us, constant time in the key."""
        point, out = ffi.new("blst_p2 *"), ffi.new("uint8_t[96]")
        message = bytes(signing_root)
        lib.blst_hash_to_g2(point, message, len(message), DOMAIN, len(DOMAIN), NULL, 0)
        lib.blst_sign_pk_in_g1(point, point, self._scalar)
        lib.blst_p2_compress(out, point)
        return bytes(out)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretKey) and hmac.compare_digest(
            self.to_bytes(), other.to_bytes()
        )

    def __hash__(self) -> int:
        return hash(self.public_key())

    def __repr__(self) -> str:
        return "SecretKey(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret key is not pickled")


def validate_public_key(data: bytes) -> None:
    """KeyValidate of the draft; raises what ``PublicKeyPoint.parse`` raises."""
    PublicKeyPoint.parse(data)


def validate_signature(data: bytes) -> None:
    """Check that ``data`` is a signature of anything; raises as ``SignaturePoint.parse``. 55 us."""
    SignaturePoint.parse(data)


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` over ``message`` is by ``public_key``; malformed bytes are False.

    Call ``validate_public_key`` or ``validate_signature`` to learn what is malformed. 0.9 ms.
    """
    return fast_aggregate_verify([public_key], message, signature)


def verify_points(public_key: PublicKeyPoint, message: bytes, signature: SignaturePoint) -> bool:
    """``verify`` without decompression. Checks subgroups that nobody checked before. 0.7 ms."""
    if not signature.in_subgroup() or not public_key.in_subgroup() or public_key.is_infinity():
        return False
    return pairings_cancel(
        [(public_key.affine, hash_to_g2(message)), (negated_generator(), signature.affine)]
    )


def aggregate(signatures: Sequence[bytes]) -> bytes:
    """The sum of ``signatures``; 96 bytes. The neutral signature is allowed.

    Raises:
        NothingToAggregate: no signature.
        BlsInputInvalid: one of them is malformed; the subclass says how.
    """
    if not signatures:
        raise NothingToAggregate("aggregate signatures")
    points = [SignaturePoint.parse(data, allow_infinity=True) for data in signatures]
    total = ffi.new("blst_p2 *")
    table = ffi.new("blst_p2_affine *[]", [point.affine for point in points])
    lib.blst_p2s_add(total, table, len(points))
    return SignaturePoint.from_jacobian(total, in_subgroup=True).to_bytes()


def aggregate_public_keys(public_keys: Sequence[bytes]) -> bytes:
    """The sum of ``public_keys``; 48 bytes. The sum may be the neutral point.

    Raises:
        NothingToAggregate: no key.
        BlsInputInvalid: one of them is malformed or the neutral point.
    """
    return sum_public_keys([PublicKeyPoint.parse(data) for data in public_keys]).to_bytes()


def sum_public_keys(points: Sequence[PublicKeyPoint]) -> PublicKeyPoint:
    """``aggregate_public_keys`` without decompression; 0.5 us for each of many.

    Raises:
        NothingToAggregate: no key.
    """
    if not points:
        raise NothingToAggregate("aggregate public keys")
    total = ffi.new("blst_p1 *")
    table = ffi.new("blst_p1_affine *[]", [point.affine for point in points])
    lib.blst_p1s_add(total, table, len(points))
    return PublicKeyPoint.from_jacobian(total)


def fast_aggregate_verify(public_keys: Sequence[bytes], message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` is the aggregate over one ``message`` by all keys; else False.

    Safe only for keys with a proof of possession, which a deposit is.
    """
    try:
        key = sum_public_keys([PublicKeyPoint.parse(data) for data in public_keys])
        point = SignaturePoint.parse(signature, allow_infinity=True)
    except BlsInputInvalid:
        return False
    return verify_points(key, bytes(message), point)


def aggregate_verify(
    public_keys: Sequence[bytes], messages: Sequence[bytes], signature: bytes
) -> bool:
    """Whether ``signature`` is the aggregate over ``messages[i]`` by ``public_keys[i]``."""
    if len(public_keys) != len(messages) or not public_keys:
        return False
    try:
        keys = [PublicKeyPoint.parse(data) for data in public_keys]
        point = SignaturePoint.parse(signature, allow_infinity=True)
    except BlsInputInvalid:
        return False
    pairs: list[tuple[Any, Any]] = [
        (key.affine, hash_to_g2(bytes(message)))
        for key, message in zip(keys, messages, strict=True)
    ]
    return pairings_cancel([*pairs, (negated_generator(), point.affine)])
