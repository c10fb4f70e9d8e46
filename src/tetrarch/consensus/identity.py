"""The node's secp256k1 identity as consensus uses it: sign as ourselves, verify as anyone."""

from dataclasses import dataclass, field

from tetrarch.crypto.k1 import IdentityKey, verify


@dataclass(frozen=True, slots=True, kw_only=True)
class K1Identity:
    """Satisfies ``codec.Identity``. ``public_keys`` are 33 bytes each, by peer index."""

    key: IdentityKey = field(repr=False)
    public_keys: tuple[bytes, ...]

    def sign(self, digest: bytes) -> bytes:
        """65 bytes over the 32-byte ``digest``; deterministic; 50 us."""
        return self.key.sign(digest)

    def verify(self, source: int, digest: bytes, signature: bytes) -> bool:
        """Whether node ``source`` made ``signature``; 65 us. Never raises."""
        if not 0 <= source < len(self.public_keys):
            return False
        return verify(self.public_keys[source], digest, signature)
