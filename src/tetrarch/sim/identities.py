"""Signing in the simulator: a cost model that is fast, or the real curve.

The cost model's signature is a hash over a secret and the digest. Only the holder of the
simulated key object can make one for its own index, so liars in a world cannot forge either.
"""

from collections.abc import Callable
from hashlib import sha256

from tetrarch.consensus.codec import Identity
from tetrarch.consensus.identity import K1Identity
from tetrarch.consensus.messages import SIGNATURE_SIZE_BYTES
from tetrarch.crypto.k1 import IdentityKey


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


def real_identities(seed: int | str, node_count: int) -> Callable[[int], Identity]:
    """Real secp256k1 keys, derived from ``seed``."""
    keys = [
        IdentityKey.from_bytes(sha256(f"{seed}/identity/{node}".encode()).digest())
        for node in range(node_count)
    ]
    public_keys = [key.public_key() for key in keys]
    return lambda node: K1Identity(key=keys[node], public_keys=public_keys)
