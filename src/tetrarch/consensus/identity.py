"""The node's secp256k1 identity as the codec's signer. Authenticity is by signature alone."""

from collections.abc import Sequence

from tetrarch.crypto.k1 import IdentityKey, verify


class K1Identity:
    """Signs with the node's identity key; checks by recovery against the lock's public keys."""

    def __init__(self, *, key: IdentityKey, public_keys: Sequence[bytes]) -> None:
        """``public_keys``: 33 bytes each, compressed, in the order of the cluster's operators."""
        self._key = key
        self._public_keys = tuple(public_keys)

    def sign(self, digest: bytes) -> bytes:
        """See ``codec.Identity``. Cost: 50 us."""
        return self._key.sign(digest)

    def verify(self, source: int, digest: bytes, signature: bytes) -> bool:
        """See ``codec.Identity``. Cost: 65 us."""
        return verify(self._public_keys[source], digest, signature)
