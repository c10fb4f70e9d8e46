"""Merkleization: from 32-byte chunks to one root, with as little Python per hash as possible.

Hashing is most of the cost of a root. OpenSSL's SHA-256 (``hashlib``) takes 0.24 us per 64 bytes
on a CPU with SHA instructions and 1.9 to 2.5 us on one without, most of it set-up; the
interpreter's own takes 0.40 and 1.3 us. We take the one whose worst case is better: a 130 kB
block then stays below 20 ms everywhere. ``bench/ssz_block.py`` shows both.

Source: ethereum/consensus-specs, ssz/simple-serialize.md, "Merkleization".
"""

import hashlib
from collections.abc import Callable
from importlib import import_module
from typing import Protocol

CHUNK_SIZE_BYTES = 32
DEPTH_MAX = 64


class _Hash(Protocol):
    def digest(self) -> bytes: ...


def _choose_sha256() -> Callable[[bytes], _Hash]:
    for name in ("_sha256", "_sha2"):  # CPython 3.11; 3.12 and later
        try:
            own: Callable[[bytes], _Hash] = import_module(name).sha256
        except ImportError:
            continue
        return own
    return hashlib.sha256  # an interpreter built without its own


sha256 = _choose_sha256()


def _zero_hashes() -> tuple[bytes, ...]:
    hashes = [bytes(CHUNK_SIZE_BYTES)]
    for _ in range(DEPTH_MAX):
        hashes.append(sha256(hashes[-1] * 2).digest())
    return tuple(hashes)


ZERO_HASHES = _zero_hashes()  # ZERO_HASHES[d]: root of an all-zero tree of 2**d chunks


def tree_depth(chunks_max: int) -> int:
    """Depth of the tree that holds ``chunks_max`` chunks; 0 for 0 or 1 chunk."""
    return max(chunks_max - 1, 0).bit_length()


def hash_pair(left: bytes, right: bytes) -> bytes:
    """The parent of two 32-byte nodes."""
    return sha256(left + right).digest()


def merkleize(nodes: list[bytes], depth: int) -> bytes:
    """Root of at most ``2**depth`` 32-byte ``nodes``, padded with zero chunks.

    Cost: about ``len(nodes) + depth`` hashes. May append to ``nodes``.
    """
    return _climb(nodes, 0, depth)


def merkleize_bytes(data: bytes, depth: int) -> bytes:
    """Root of ``data`` split into chunks, the last padded with zeros; ``2**depth`` at most."""
    size = len(data)
    if size <= CHUNK_SIZE_BYTES:
        return _climb([data.ljust(CHUNK_SIZE_BYTES, b"\0")] if size else [], 0, depth)
    if size & 63:
        data = data.ljust((size | 63) + 1, b"\0")
    return _climb([sha256(data[i : i + 64]).digest() for i in range(0, size, 64)], 1, depth)


def mix_in_length(root: bytes, length: int) -> bytes:
    """The root of a list: its elements' root and its length."""
    return sha256(root + length.to_bytes(32, "little")).digest()


def _climb(nodes: list[bytes], level: int, depth: int) -> bytes:
    if not nodes:
        return ZERO_HASHES[depth]
    while len(nodes) > 1:
        if len(nodes) & 1:
            nodes.append(ZERO_HASHES[level])
        pairs = iter(nodes)
        nodes = [sha256(left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
        level += 1
    node = nodes[0]
    for zero in ZERO_HASHES[level:depth]:
        node = sha256(node + zero).digest()
    return node
