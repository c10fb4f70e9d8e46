"""Merkleization against the definition, written out the slow way."""

from hashlib import sha256

import pytest

from tetrarch.ssz.hashing import ZERO_HASHES, merkleize, merkleize_bytes, mix_in_length, tree_depth


def slow_root(chunks: list[bytes], depth: int) -> bytes:
    layer = chunks + [bytes(32)] * (2**depth - len(chunks))
    while len(layer) > 1:
        layer = [
            sha256(layer[i] + layer[i + 1]).digest()  # the definition
            for i in range(0, len(layer), 2)
        ]
    return layer[0]


@pytest.mark.parametrize("depth", range(6))
def test_merkleize_equals_definition(depth):
    for count in range(2**depth + 1):
        chunks = [bytes([i + 1]) * 32 for i in range(count)]
        assert merkleize(list(chunks), depth) == slow_root(chunks, depth)


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 63, 64, 65, 96, 127, 128, 129, 300])
def test_bytes_are_padded_to_chunks(size):
    data = bytes(range(1, 256))[:size].ljust(size, b"\x05")
    padded = data + bytes(-size % 32)
    chunks = [padded[i : i + 32] for i in range(0, len(padded), 32)]
    assert merkleize_bytes(data, 4) == slow_root(chunks, 4)


def test_zero_hashes_are_roots_of_empty_trees():
    assert ZERO_HASHES[:6] == tuple(slow_root([], depth) for depth in range(6))
    assert merkleize([], 40) == ZERO_HASHES[40]


@pytest.mark.parametrize(("chunks", "depth"), [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 3)])
def test_depth_is_least_that_holds_all_chunks(chunks, depth):
    assert tree_depth(chunks) == depth


def test_length_is_hashed_as_256_bit_number():
    assert mix_in_length(b"r" * 32, 5) == sha256(b"r" * 32 + b"\x05" + bytes(31)).digest()
