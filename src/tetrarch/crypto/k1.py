"""Node identities: secp256k1 keys, recoverable signatures, and the ENR's plain ones.

A signature over a 32-byte digest is R || S || V with V 0 or 1 (27 and 28 are understood); the ENR
holds R || S. S is always low: the other half is refused, so a signature has one form.

Source: SEC 1, 4.1.6; EIP-2 for low S; EIP-778 for the ENR's form.
"""

from typing import Final, NoReturn, Self

import coincurve

from tetrarch.entropy import Entropy
from tetrarch.errors import InputInvalid

CURVE_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
PUBLIC_KEY_SIZE_BYTES: Final = 33
DIGEST_SIZE_BYTES: Final = 32
SIGNATURE_SIZE_BYTES: Final = 65
PLAIN_SIGNATURE_SIZE_BYTES: Final = 64


class IdentityKeyInvalid(InputInvalid):
    """Bytes that are no secp256k1 key."""

    code = "identity_key_invalid"


class IdentitySignatureInvalid(InputInvalid):
    """Bytes that are no signature: wrong length, R or S out of range, high S, or an unknown V."""

    code = "identity_signature_invalid"


class IdentityKey:
    """A node's secret identity key. Neither printed nor pickled."""

    __slots__ = ("_key",)

    def __init__(self, key: coincurve.PrivateKey) -> None:
        """Take a valid key; callers use the class methods."""
        self._key = key

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read 32 big-endian bytes.

        Raises:
            IdentityKeyInvalid: another length, 0, or not below the curve's order.
        """
        if len(data) != 32 or not 0 < int.from_bytes(data, "big") < CURVE_ORDER:
            raise IdentityKeyInvalid("read identity key", got_bytes=len(data))
        return cls(coincurve.PrivateKey(bytes(data)))

    @classmethod
    def generate(cls, entropy: Entropy) -> Self:
        """A fresh key: 48 bytes of ``entropy``, reduced, so that no value is favoured."""
        value = 1 + int.from_bytes(entropy(48), "big") % (CURVE_ORDER - 1)
        return cls.from_bytes(value.to_bytes(32, "big"))

    def to_bytes(self) -> bytes:
        """32 big-endian bytes. The secret itself."""
        data: bytes = self._key.secret
        return data

    def public_key(self) -> bytes:
        """33 bytes, compressed."""
        data: bytes = self._key.public_key.format(compressed=True)
        return data

    def sign(self, digest: bytes) -> bytes:
        """R || S || V over a 32-byte ``digest``; deterministic (RFC 6979); 50 us.

        Raises:
            InputInvalid: ``digest`` has another length.
        """
        _check_digest(digest)
        signature: bytes = self._key.sign_recoverable(bytes(digest), hasher=None)
        return signature

    def sign_plain(self, digest: bytes) -> bytes:
        """R || S, as an ENR holds it."""
        return self.sign(digest)[:PLAIN_SIGNATURE_SIZE_BYTES]

    def __repr__(self) -> str:
        return "IdentityKey(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an identity key is not pickled")


def validate_public_key(data: bytes) -> None:
    """Check that ``data`` is a compressed point of the curve.

    Raises:
        IdentityKeyInvalid: it is not.
    """
    _parse_public_key(data)


def uncompressed(public_key: bytes) -> bytes:
    """X || Y, 64 bytes: what an ENR's node id and an Ethereum address are the hash of.

    Raises:
        IdentityKeyInvalid: ``public_key`` is no compressed point.
    """
    data: bytes = _parse_public_key(public_key).format(compressed=False)
    return data[1:]


def _parse_public_key(data: bytes) -> coincurve.PublicKey:
    if len(data) != PUBLIC_KEY_SIZE_BYTES:
        raise IdentityKeyInvalid("read identity public key", got_bytes=len(data))
    try:
        return coincurve.PublicKey(bytes(data))
    except ValueError:
        raise IdentityKeyInvalid("read identity public key", reason="not on curve") from None


def recover(digest: bytes, signature: bytes) -> bytes:
    """The compressed public key whose owner made the 65-byte ``signature``; 65 us.

    Every well-formed signature recovers to *some* key: compare it with the one you expect.

    Raises:
        IdentitySignatureInvalid: no key could have made it.
        InputInvalid: ``digest`` has another length.
    """
    _check_digest(digest)
    if len(signature) != SIGNATURE_SIZE_BYTES:
        raise IdentitySignatureInvalid("recover identity", got_bytes=len(signature))
    version = signature[64] - 27 if signature[64] in {27, 28} else signature[64]
    if version not in {0, 1}:
        raise IdentitySignatureInvalid("recover identity", v=signature[64])
    _check_scalars(signature)
    try:
        key = coincurve.PublicKey.from_signature_and_message(
            bytes(signature[:64]) + bytes((version,)), bytes(digest), hasher=None
        )
    except Exception as error:  # coincurve raises bare Exception
        raise IdentitySignatureInvalid("recover identity") from error
    data: bytes = key.format(compressed=True)
    return data


def verify(public_key: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether the 65-byte ``signature`` recovers to ``public_key``; malformed bytes are False."""
    try:
        return recover(digest, signature) == public_key
    except InputInvalid:
        return False


def verify_plain(public_key: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether the 64-byte ``signature`` is by ``public_key``; malformed bytes are False."""
    if len(signature) != PLAIN_SIGNATURE_SIZE_BYTES:
        return False
    return any(verify(public_key, digest, signature + bytes((v,))) for v in (0, 1))


def _check_digest(digest: bytes) -> None:
    if len(digest) != DIGEST_SIZE_BYTES:
        raise InputInvalid("use digest", expected_bytes=DIGEST_SIZE_BYTES, got=len(digest))


def _check_scalars(signature: bytes) -> None:
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    if not (0 < r < CURVE_ORDER and 0 < s <= CURVE_ORDER // 2):
        raise IdentitySignatureInvalid("check signature", reason="R or S out of range")
