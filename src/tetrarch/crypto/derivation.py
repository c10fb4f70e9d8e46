"""Secret keys from seeds: EIP-2333 trees, EIP-2334 paths, and the interop keys of test networks."""

from hashlib import sha256
from typing import Final

from tetrarch.crypto.bls import SecretKey
from tetrarch.crypto.blst import CURVE_ORDER, ffi, lib
from tetrarch.crypto.points import SCALAR_SIZE_BYTES, BlsInputInvalid

SEED_SIZE_BYTES_MIN: Final = 32
SEED_SIZE_BYTES_MAX: Final = 1024
CHILD_INDEX_MAX: Final = 2**32 - 1
PATH_LEVELS_MAX: Final = 16


class SeedInvalid(BlsInputInvalid):
    """A seed of fewer than 32 or more than 1024 bytes."""

    code = "bls_seed_invalid"


class PathInvalid(BlsInputInvalid):
    """A derivation path that is not ``m/12381/3600/0/0/0`` in kind, or an index out of range."""

    code = "bls_path_invalid"


def derive_master_sk(seed: bytes) -> SecretKey:
    """The root of the tree that grows from ``seed`` (at least 32 bytes).

    Raises:
        SeedInvalid: the seed is too short or too long.

    Source: EIP-2333, derive_master_SK.
    """
    if not SEED_SIZE_BYTES_MIN <= len(seed) <= SEED_SIZE_BYTES_MAX:
        raise SeedInvalid("derive master key", got_bytes=len(seed))
    scalar = ffi.new("blst_scalar *")
    lib.blst_derive_master_eip2333(scalar, bytes(seed), len(seed))
    return SecretKey(scalar)


def derive_child_sk(parent: SecretKey, index: int) -> SecretKey:
    """The child ``index`` (32 bits) of ``parent``. All derivation is hardened.

    Raises:
        PathInvalid: the index has more than 32 bits.

    Source: EIP-2333, derive_child_SK.
    """
    if not 0 <= index <= CHILD_INDEX_MAX:
        raise PathInvalid("derive child key", index=index)
    above, child = ffi.new("blst_scalar *"), ffi.new("blst_scalar *")
    lib.blst_scalar_from_bendian(above, parent.to_bytes())
    lib.blst_derive_child_eip2333(child, above, index)
    return SecretKey(child)


def derive_path(seed: bytes, path: str) -> SecretKey:
    """The key at ``path``, such as ``m/12381/3600/0/0/0`` for the first validator's signing key.

    Raises:
        SeedInvalid, PathInvalid: what its name says.

    Source: EIP-2334.
    """
    key = derive_master_sk(seed)
    for index in parse_path(path):
        key = derive_child_sk(key, index)
    return key


def parse_path(path: str) -> tuple[int, ...]:
    """The indices of ``path`` after ``m``.

    Raises:
        PathInvalid: another form, more than 16 levels, or an index of more than 32 bits.
    """
    root, *levels = path.split("/")
    wellformed = (
        root == "m"
        and len(levels) <= PATH_LEVELS_MAX
        and all(level.isascii() and level.isdigit() and len(level) <= 10 for level in levels)
    )
    if not wellformed:
        raise PathInvalid("parse derivation path")
    indices = tuple(int(level) for level in levels)
    if any(index > CHILD_INDEX_MAX for index in indices):
        raise PathInvalid("parse derivation path")
    return indices


def interop_secret_key(index: int) -> SecretKey:
    """The publicly known key of validator ``index`` on a development network. Never for value.

    Raises:
        PathInvalid: ``index`` is negative or has more than 64 bits.

    Source: ethereum/eth2.0-pm, interop/mocked_start.
    """
    if not 0 <= index < 2**64:
        raise PathInvalid("derive interop key", index=index)
    digest = sha256(index.to_bytes(32, "little")).digest()
    value = int.from_bytes(digest, "little") % CURVE_ORDER
    return SecretKey.from_bytes(value.to_bytes(SCALAR_SIZE_BYTES, "big"))
