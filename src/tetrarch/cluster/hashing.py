"""The hash rules of lock files: SSZ's, except that short byte strings are padded on the left.

Every function returns one 32-byte root. Pure; a lock of four nodes costs about 40 hashes for each
validator.

Source: reference section 5.3, "Primitive rules of the hasher", as far as v1.11 uses them.
"""

from collections.abc import Iterable, Sequence

from tetrarch.errors import InputInvalid
from tetrarch.ssz.hashing import merkleize, merkleize_bytes, mix_in_length, tree_depth

UINT64_SIZE_BYTES = 8


def _chunk_count(size_bytes: int) -> int:
    return (size_bytes + 31) // 32


def uint64_root(value: int) -> bytes:
    """The 8 little-endian bytes, padded to a chunk."""
    if not 0 <= value < 2**64:
        raise InputInvalid("hash integer", reason="outside 64 bits")
    return value.to_bytes(32, "little")


def boolean_root(value: bool) -> bytes:  # noqa: FBT001 - the value itself
    """0 or 1, padded to a chunk."""
    return uint64_root(int(value))


def text_root(text: str, *, size_max: int) -> bytes:
    """``ByteList[size_max]`` of the UTF-8 bytes."""
    data = text.encode()
    if len(data) > size_max:
        raise InputInvalid("hash text", size_max=size_max, got=len(data))
    return mix_in_length(merkleize_bytes(data, tree_depth(_chunk_count(size_max))), len(data))


def bytes_root(data: bytes, *, size: int) -> bytes:
    """``BytesN``: padded with zeros **on the left** to ``size``, so nothing equals all zeros."""
    if len(data) > size:
        raise InputInvalid("hash bytes", expected_bytes=size, got=len(data))
    return merkleize_bytes(data.rjust(size, b"\0"), tree_depth(_chunk_count(size)))


def container_root(*field_roots: bytes) -> bytes:
    """A record: its fields in order."""
    return merkleize(list(field_roots), tree_depth(len(field_roots)))


def list_root(element_roots: Iterable[bytes], *, count_max: int) -> bytes:
    """A list of records or byte strings, with its count mixed in."""
    nodes = list(element_roots)
    count = len(nodes)
    if count > count_max:
        raise InputInvalid("hash list", count_max=count_max, got=count)
    return mix_in_length(merkleize(nodes, tree_depth(count_max)), count)


def uint64_list_root(values: Sequence[int], *, count_max: int) -> bytes:
    """``List[uint64, count_max]``: four numbers to a chunk."""
    if len(values) > count_max:
        raise InputInvalid("hash list", count_max=count_max, got=len(values))
    packed = b"".join(uint64_root(value)[:UINT64_SIZE_BYTES] for value in values)
    depth = tree_depth(_chunk_count(UINT64_SIZE_BYTES * count_max))
    return mix_in_length(merkleize_bytes(packed, depth), len(values))
