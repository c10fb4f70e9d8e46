"""The hash rules against an independent SSZ library, and where they differ from SSZ."""

from random import Random
from typing import Any

import pytest
from remerkleable.basic import uint64
from remerkleable.byte_arrays import ByteList, ByteVector
from remerkleable.complex import Container, List

from tetrarch.cluster import hashing
from tetrarch.errors import InputInvalid

Pair: Any = type(
    "Pair", (Container,), {"__annotations__": {"first": uint64, "second": ByteVector[48]}}
)


@pytest.mark.parametrize("size_max", [16, 32, 64, 256, 1024])
@pytest.mark.parametrize("size", [0, 1, 16])
def test_text_is_a_byte_list(size, size_max):
    text = "x" * size
    expected = bytes(ByteList[size_max](text.encode()).hash_tree_root())
    assert hashing.text_root(text, size_max=size_max) == expected


@pytest.mark.parametrize("size", [4, 20, 32, 48, 65, 96])
def test_full_bytes_are_a_byte_vector(size):
    data = Random(size).randbytes(size)
    expected = bytes(ByteVector[size](data).hash_tree_root())
    assert hashing.bytes_root(data, size=size) == expected


def test_short_bytes_are_padded_on_the_left():
    assert hashing.bytes_root(b"\x01", size=20) == hashing.bytes_root(bytes(19) + b"\x01", size=20)
    assert hashing.bytes_root(b"", size=65) == hashing.bytes_root(bytes(65), size=65)


@pytest.mark.parametrize("count", [0, 1, 4, 5, 256])
def test_numbers_are_packed(count):
    values = [Random(i).getrandbits(64) for i in range(count)]
    expected = bytes(List[uint64, 256](values).hash_tree_root())
    assert hashing.uint64_list_root(values, count_max=256) == expected


@pytest.mark.parametrize("count", [0, 1, 3, 8])
def test_lists_of_records(count):
    pairs = [Pair(first=i, second=Random(i).randbytes(48)) for i in range(count)]
    expected = bytes(List[Pair, 65536](pairs).hash_tree_root())
    roots = (
        hashing.container_root(
            hashing.uint64_root(int(pair.first)), hashing.bytes_root(bytes(pair.second), size=48)
        )
        for pair in pairs
    )
    assert hashing.list_root(roots, count_max=65536) == expected


@pytest.mark.parametrize(
    "call",
    [
        lambda: hashing.text_root("x" * 17, size_max=16),
        lambda: hashing.bytes_root(bytes(21), size=20),
        lambda: hashing.list_root([bytes(32)] * 3, count_max=2),
        lambda: hashing.uint64_list_root([1] * 3, count_max=2),
        lambda: hashing.uint64_root(2**64),
        lambda: hashing.uint64_root(-1),
    ],
)
def test_limits_are_refused(call):
    with pytest.raises(InputInvalid):
        call()
