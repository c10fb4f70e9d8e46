"""FROST's ciphersuites: a group, its hash functions, and the signature that comes of it. RFC 9591, section 6.

Four of them: ``ED25519`` makes signatures as RFC 8032 has them, ``SECP256K1_TAPROOT`` as BIP-340 has them, which know a point
by its x alone; ``RISTRETTO255`` and ``SECP256K1`` make Schnorr signatures that are a point and a scalar.
"""

from dataclasses import dataclass
from hashlib import sha256, sha512
from typing import Final, Protocol

import coincurve
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tetrarch.crypto.frost.group_ed25519 import Ed25519
from tetrarch.crypto.frost.group_ristretto import Ristretto255
from tetrarch.crypto.frost.group_secp256k1 import Secp256k1, is_odd, x_of
from tetrarch.crypto.frost.groups import (
    FrostPointInvalid,
    FrostScalarInvalid,
    Group,
    Point,
    Scalar,
)

SHA256_BLOCK_SIZE_BYTES: Final = 64
SHA256_SIZE_BYTES: Final = 32
FIELD_ELEMENT_SIZE_BYTES: Final = 48  # L of RFC 9591, 6.5: 16 more than the order's
TAPROOT_SIGNATURE_SIZE_BYTES: Final = 64


class Suite(Protocol):
    """What signing and key generation go by."""

    @property
    def name(self) -> str:
        """The context string, with which all hashes begin."""
        ...

    @property
    def group(self) -> Group:
        """Whose points the keys are."""
        ...

    def hash_to_scalar(self, tag: bytes, data: bytes) -> Scalar:
        """H1 (tag "rho"), H3 ("nonce") and, for key generation, HDKG ("dkg")."""
        ...

    def hash(self, tag: bytes, data: bytes) -> bytes:
        """H4 (tag "msg") and H5 ("com")."""
        ...

    def challenge(self, commitment: Point, key: Point, message: bytes) -> Scalar:
        """H2 of what a signature answers."""
        ...

    def negates(self, point: Point, /) -> bool:
        """Whether the point's opposite stands for it in signatures."""
        ...

    def encode_signature(self, commitment: Point, response: Scalar) -> bytes:
        """The signature, as whoever verifies it wants it."""
        ...

    def is_signed(self, key: Point, message: bytes, signature: bytes) -> bool:
        """Whether ``signature`` is of ``message`` by ``key``."""
        ...


@dataclass(frozen=True, slots=True)
class _Sha512Suite:
    """RFC 9591, 6.1 and 6.2: scalars are 64 bytes of hash, modulo the order."""

    name: str
    group: Group

    def hash_to_scalar(self, tag: bytes, data: bytes) -> Scalar:
        return self.group.reduce(sha512(self.name.encode() + tag + data).digest())

    def hash(self, tag: bytes, data: bytes) -> bytes:
        return sha512(self.name.encode() + tag + data).digest()

    def negates(self, _point: Point, /) -> bool:
        return False

    def encode_signature(self, commitment: Point, response: Scalar) -> bytes:
        return commitment + response


class _Ristretto255Suite(_Sha512Suite):
    __slots__ = ()

    def challenge(self, commitment: Point, key: Point, message: bytes) -> Scalar:
        return self.hash_to_scalar(b"chal", commitment + key + message)

    def is_signed(self, key: Point, message: bytes, signature: bytes) -> bool:
        return _answers(self, key, message, signature)


class _Ed25519Suite(_Sha512Suite):
    __slots__ = ()

    def challenge(self, commitment: Point, key: Point, message: bytes) -> Scalar:
        """Without the context string: it is RFC 8032's."""
        return self.group.reduce(sha512(commitment + key + message).digest())

    def is_signed(self, key: Point, message: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class _Secp256k1Suite:
    """RFC 9591, 6.5: scalars by RFC 9380, 5.2."""

    name: str
    group: Group

    def hash_to_scalar(self, tag: bytes, data: bytes) -> Scalar:
        uniform = _expand(data, self.name.encode() + tag, FIELD_ELEMENT_SIZE_BYTES)
        return self.group.to_scalar(int.from_bytes(uniform, "big"))

    def hash(self, tag: bytes, data: bytes) -> bytes:
        return sha256(self.name.encode() + tag + data).digest()

    def challenge(self, commitment: Point, key: Point, message: bytes) -> Scalar:
        return self.hash_to_scalar(b"chal", commitment + key + message)

    def negates(self, _point: Point, /) -> bool:
        return False

    def encode_signature(self, commitment: Point, response: Scalar) -> bytes:
        return commitment + response

    def is_signed(self, key: Point, message: bytes, signature: bytes) -> bool:
        return _answers(self, key, message, signature)


class _TaprootSuite(_Secp256k1Suite):
    """Signatures by BIP-340. The other hashes are RFC 9591's, under a name of their own."""

    __slots__ = ()

    def challenge(self, commitment: Point, key: Point, message: bytes) -> Scalar:
        data = x_of(commitment) + x_of(key) + message
        return self.group.to_scalar(int.from_bytes(tagged_hash("BIP0340/challenge", data), "big"))

    def negates(self, point: Point, /) -> bool:
        return is_odd(point)

    def encode_signature(self, commitment: Point, response: Scalar) -> bytes:
        return x_of(commitment) + response

    def is_signed(self, key: Point, message: bytes, signature: bytes) -> bool:
        if len(signature) != TAPROOT_SIGNATURE_SIZE_BYTES:
            return False
        return coincurve.PublicKeyXOnly(x_of(key)).verify(signature, message)


ED25519: Final[Suite] = _Ed25519Suite("FROST-ED25519-SHA512-v1", Ed25519())
RISTRETTO255: Final[Suite] = _Ristretto255Suite("FROST-RISTRETTO255-SHA512-v1", Ristretto255())
SECP256K1: Final[Suite] = _Secp256k1Suite("FROST-secp256k1-SHA256-v1", Secp256k1())
SECP256K1_TAPROOT: Final[Suite] = _TaprootSuite("FROST-secp256k1-SHA256-TR-v1", Secp256k1())
SUITES: Final = (ED25519, RISTRETTO255, SECP256K1, SECP256K1_TAPROOT)


def tagged_hash(tag: str, data: bytes) -> bytes:
    """BIP-340's hash: 32 bytes that no other tag gives."""
    prefix = sha256(tag.encode()).digest()
    return sha256(prefix + prefix + data).digest()


def _answers(suite: Suite, key: Point, message: bytes, signature: bytes) -> bool:
    """Whether the response times the generator is the commitment and the challenge's multiple of the key."""
    group = suite.group
    try:
        commitment = group.decode_point(signature[: group.point_size_bytes])
        response = group.decode_scalar(signature[group.point_size_bytes :])
    except (FrostPointInvalid, FrostScalarInvalid):
        return False
    challenge = suite.challenge(commitment, key, message)
    return group.multiply_base(response) == group.add((commitment, group.multiply(challenge, key)))


def _expand(data: bytes, domain: bytes, size_bytes: int) -> bytes:
    """``expand_message_xmd`` with SHA-256: RFC 9380, 5.3.1."""
    suffix = domain + bytes((len(domain),))
    first = sha256(
        bytes(SHA256_BLOCK_SIZE_BYTES) + data + size_bytes.to_bytes(2, "big") + b"\0" + suffix
    ).digest()
    block = sha256(first + b"\x01" + suffix).digest()
    blocks = [block]
    for number in range(2, -(-size_bytes // SHA256_SIZE_BYTES) + 1):
        mixed = bytes(a ^ b for a, b in zip(first, block, strict=True))
        block = sha256(mixed + bytes((number,)) + suffix).digest()
        blocks.append(block)
    return b"".join(blocks)[:size_bytes]
