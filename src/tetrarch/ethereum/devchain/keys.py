"""Interop keys: the well-known secret keys of development chains. Never for real money.

Source: ethereum/eth2.0-pm, interop/mocked_start: sk_i = int(sha256(i)) mod r, little-endian.
"""

from functools import cache
from hashlib import sha256

from tetrarch.crypto.bls import SecretKey

CURVE_ORDER = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001


@cache
def interop_key(index: int) -> SecretKey:
    """The secret key of validator ``index``. Cost: one hash; kept."""
    digest = sha256(index.to_bytes(32, "little")).digest()
    return SecretKey.from_bytes((int.from_bytes(digest, "little") % CURVE_ORDER).to_bytes(32))


@cache
def interop_public_key(index: int) -> bytes:
    """The public key of validator ``index``: 48 bytes. Cost: 140 us; kept."""
    return interop_key(index).public_key()
