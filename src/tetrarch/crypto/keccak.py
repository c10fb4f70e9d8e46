"""Keccak-256 as Ethereum uses it: the padding from before SHA-3 was standardised."""

from Crypto.Hash import keccak

DIGEST_SIZE_BYTES = 32


def keccak256(data: bytes) -> bytes:
    """32 bytes; not equal to SHA3-256."""
    digest: bytes = keccak.new(data=data, digest_bits=256).digest()
    return digest
