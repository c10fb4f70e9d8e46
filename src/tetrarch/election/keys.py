"""The members' signing keys: Ed25519, one for each enclave and configuration. Pure.

Source: RFC 8032, by the library ``cryptography``.
"""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tetrarch.errors import InputInvalid

KEY_SIZE_BYTES = 32
SIGNATURE_SIZE_BYTES = 64


class SigningKey:
    """One enclave's own. Implements ``statements.Signing``."""

    def __init__(self, secret: bytes) -> None:
        """``secret``: 32 random bytes."""
        if len(secret) != KEY_SIZE_BYTES:
            raise InputInvalid("read signing key", expected_bytes=KEY_SIZE_BYTES)
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        self.public = self._key.public_key().public_bytes_raw()

    def sign(self, data: bytes) -> bytes:
        """64 bytes. Cost: 50 us."""
        return self._key.sign(data)


class MemberKeys:
    """Those of all members, as far as they are known. Implements ``statements.Verifying``.

    A key is *pinned*: who has one does not get another in the same configuration.
    """

    def __init__(self, keys: tuple[bytes | None, ...]) -> None:
        """``keys``: by index; None: not met yet."""
        self._raw = list(keys)
        self._keys = [None if key is None else _read(key) for key in keys]

    @property
    def raw(self) -> tuple[bytes | None, ...]:
        """32 bytes for each member that was met."""
        return tuple(self._raw)

    def pin(self, source: int, key: bytes) -> bool:
        """Whether ``key`` is that member's: pins it if it has none.

        Raises:
            InputInvalid: these bytes are no key.
        """
        if self._raw[source] is None:
            self._keys[source] = _read(key)
            self._raw[source] = bytes(key)
        return self._raw[source] == key

    def verify(self, source: int, data: bytes, signature: bytes) -> bool:
        """Whether that member, having been met, signed ``data``. Cost: 120 us."""
        key = self._keys[source] if 0 <= source < len(self._keys) else None
        return key is not None and _verifies(key, data, signature)


def verify_with(key: bytes, data: bytes, signature: bytes) -> bool:
    """Whether the 32-byte ``key`` signed ``data``; False too if it is no key."""
    try:
        return _verifies(_read(key), data, signature)
    except InputInvalid:
        return False


def _read(key: bytes) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(key)
    except ValueError:
        raise InputInvalid("read member key", expected="an Ed25519 public key") from None


def _verifies(key: Ed25519PublicKey, data: bytes, signature: bytes) -> bool:
    try:
        key.verify(signature, data)
    except InvalidSignature:
        return False
    return True
