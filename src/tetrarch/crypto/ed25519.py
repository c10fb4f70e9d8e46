"""Ed25519 signatures (RFC 8032) over bytes, each verified once.

The same vote comes alone, in a certificate and in a block; the same fragment when it begins to wait and in its block. What
came out is remembered for the latest of them, by a digest: a pure function's memory, which nodes in one process may share.
"""

from functools import lru_cache
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

KEY_SIZE_BYTES: Final = 32
SIGNATURE_SIZE_BYTES: Final = 64
REMEMBERED: Final = 16_384  # some 5 MB


def is_signed(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` is of ``message`` by ``key``, whatever these are. Cost: 0.15 ms, and 2 us for one of the latest."""
    if len(key) != KEY_SIZE_BYTES or len(signature) != SIGNATURE_SIZE_BYTES:
        return False  # and no two questions have one digest
    outcome = _outcome(sha256(key + signature + message).digest())
    if not outcome:
        outcome.append(_verifies(key, message, signature))
    return outcome[0]


def forget_all() -> None:
    """Verify again what was verified: for measurements."""
    _outcome.cache_clear()


@lru_cache(maxsize=REMEMBERED)
def _outcome(_digest: bytes) -> list[bool]:
    """Where it is put down: empty at first. (The cache is safe among threads; two at once verify twice.)"""
    return []


def _verifies(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
