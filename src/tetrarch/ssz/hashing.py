"""Merkleization: from 32-byte chunks to one root, with as little Python per hash as possible.

Hashing is most of the cost of a root. ``hashlib`` takes 0.24 us per 64 bytes on a CPU with SHA
instructions; the interpreter's own ``_sha256`` takes 0.40 us there, though it wins on older CPUs.
``bench/ssz_block.py`` shows both.

Source: ethereum/consensus-specs, ssz/simple-serialize.md, "Merkleization".
"""

from hashlib import sha256

CHUNK_SIZE_BYTES = 32
DEPTH_MAX = 64


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
