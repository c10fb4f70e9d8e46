"""Signing in the simulator: a cost model that is fast, or the real curve.

The cost model's signature is a hash over a secret and the digest. Only the holder of the
simulated key object can make one for its own index, so liars in a world cannot forge either.
"""

from hashlib import sha256

from tetrarch.consensus.messages import SIGNATURE_SIZE_BYTES


class ModelIdentity:
    """Signs for ``own_index`` in the world ``seed``."""

    def __init__(self, *, seed: int | str, own_index: int) -> None:
        self._seed = str(seed).encode()
        self._own_index = own_index

    def sign(self, digest: bytes) -> bytes:
        """See ``codec.Identity``."""
        return self._made(self._own_index, digest)

    def verify(self, source: int, digest: bytes, signature: bytes) -> bool:
        """See ``codec.Identity``."""
        return signature == self._made(source, digest)

    def _made(self, source: int, digest: bytes) -> bytes:
        return (
            sha256(self._seed + bytes([source]) + digest)
            .digest()
            .ljust(SIGNATURE_SIZE_BYTES, b"\0")
        )
