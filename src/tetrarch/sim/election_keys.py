"""Signatures of members as the simulator models them: nobody forges them, and they cost nothing."""

import hashlib
from dataclasses import dataclass


class ModelKeys:
    """Signatures that only their source can make; the adversary is given those of liars."""

    def sign(self, source: int, data: bytes) -> bytes:
        """What the member's enclave would sign with."""
        return hashlib.blake2b(data, key=bytes([source + 1]), digest_size=16).digest()

    def verify(self, source: int, data: bytes, signature: bytes) -> bool:
        """See ``statements.Verifying``."""
        return signature == self.sign(source, data)


@dataclass(frozen=True, slots=True)
class OwnKey:
    """One member's."""

    keys: ModelKeys
    source: int

    def sign(self, data: bytes) -> bytes:
        """See ``statements.Signing``."""
        return self.keys.sign(self.source, data)
