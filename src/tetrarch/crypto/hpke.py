"""A question sealed to a key, and an answer sealed to the asker. Pure.

Source: RFC 9180, base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305, by the library
``cryptography``. The mode says nothing about the sender; what needs one is signed inside.
``info`` binds a sealed text to its place: opened under another one it is refused.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from tetrarch.errors import InputInvalid

KEY_SIZE_BYTES = 32
OVERHEAD_BYTES = 48  # an X25519 key and a tag
_SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)


class SealedTextInvalid(InputInvalid):
    """A sealed text that was made for another key or place, or was changed on its way."""

    code = "sealed_text_invalid"


class OpeningKey:
    """The secret half; ``public`` is what others seal to."""

    def __init__(self, secret: bytes) -> None:
        """``secret``: 32 random bytes."""
        if len(secret) != KEY_SIZE_BYTES:
            raise InputInvalid("read opening key", expected_bytes=KEY_SIZE_BYTES)
        self._key = X25519PrivateKey.from_private_bytes(secret)
        self.public = self._key.public_key().public_bytes_raw()

    def open(self, sealed: bytes, *, info: bytes) -> bytes:
        """The text. Cost: 0.15 ms.

        Raises:
            SealedTextInvalid: it is not for this key and place.
        """
        try:
            return _SUITE.decrypt(sealed, self._key, info=info)
        except (InvalidTag, ValueError):
            raise SealedTextInvalid("open sealed text", bytes=len(sealed)) from None


def seal(text: bytes, public: bytes, *, info: bytes) -> bytes:
    """``text``, for the holder of ``public`` (32 bytes) alone. Cost: 0.25 ms.

    Raises:
        InputInvalid: ``public`` is no key.
    """
    try:
        key = X25519PublicKey.from_public_bytes(public)
        return _SUITE.encrypt(text, key, info=info)
    except ValueError:
        raise InputInvalid("seal text", reason="no X25519 key") from None
