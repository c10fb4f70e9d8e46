# ruff: noqa: D102 - SszType documents these methods once, for every type
"""Vector and List: many values of one type; always a ``tuple``."""

import struct
from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from tetrarch.errors import invariant
from tetrarch.ssz.basic import Boolean, ByteVector, Uint
from tetrarch.ssz.descriptor import OFFSET_SIZE_BYTES, SszInvalid, SszType, malformed, unfit
from tetrarch.ssz.hashing import (
    CHUNK_SIZE_BYTES,
    merkleize,
    merkleize_bytes,
    mix_in_length,
    tree_depth,
)


class _Sequence(SszType):
    """What Vector and List share. ``count_max`` is a vector's length or a list's limit."""

    def __init__(self, element: SszType, count_max: int, kind: str) -> None:
        self.name = f"{kind}[{element.name}, {count_max}]"
        self.element = element
        self.count_max = count_max
        self.packed = isinstance(element, Uint | Boolean)  # several elements share a chunk
        size = element.fixed_size
        chunks = (count_max * size + 31) // 32 if self.packed and size else count_max
        self.depth = tree_depth(chunks)

    @abstractmethod
    def _check_count(self, count: int) -> None:
        """Raise SszInvalid unless ``count`` elements are allowed."""

    def read(self, data: bytes, start: int, end: int) -> tuple[Any, ...]:
        size = self.element.fixed_size
        if size is None:
            return self._read_variable(data, start, end)
        count, rest = divmod(end - start, size)
        if rest:
            malformed("length is no multiple of the element's", type=self.name)
        self._check_count(count)
        element = self.element
        if isinstance(element, Uint) and element.struct_code:
            return struct.unpack_from(f"<{count}{element.struct_code}", data, start)
        if isinstance(element, ByteVector):
            return tuple([data[at : at + size] for at in range(start, end, size)])
        read = element.read
        try:
            return tuple([read(data, at, at + size) for at in range(start, end, size)])
        except SszInvalid:
            return self._read_each(data, range(start, end + 1, size))

    def _read_variable(self, data: bytes, start: int, end: int) -> tuple[Any, ...]:
        if start == end:
            self._check_count(0)
            return ()
        if end - start < OFFSET_SIZE_BYTES:
            malformed("too short for an offset", type=self.name)
        first = int.from_bytes(data[start : start + OFFSET_SIZE_BYTES], "little")
        count, rest = divmod(first, OFFSET_SIZE_BYTES)
        if rest or not count or first > end - start:
            malformed("first offset does not fit", type=self.name, got=first)
        self._check_count(count)
        offsets = struct.unpack_from(f"<{count}I", data, start)
        bounds = [start + offset for offset in offsets]
        bounds.append(end)
        if any(low > high for low, high in pairwise(bounds)):
            malformed("offsets decrease or pass the end", type=self.name)
        return self._read_each(data, bounds)

    def _read_each(self, data: bytes, bounds: Sequence[int]) -> tuple[Any, ...]:
        values = []
        for index in range(len(bounds) - 1):
            try:
                values.append(self.element.read(data, bounds[index], bounds[index + 1]))
            except SszInvalid as error:
                raise error.within(index) from None
        return tuple(values)

    def encode(self, value: Sequence[Any]) -> bytes:
        element = self.element
        if isinstance(element, Uint) and element.struct_code:
            return struct.pack(f"<{len(value)}{element.struct_code}", *value)
        parts = [element.encode(each) for each in value]
        if element.fixed_size is not None:
            return b"".join(parts)
        offset = OFFSET_SIZE_BYTES * len(parts)
        offsets = []
        for part in parts:
            offsets.append(offset)
            offset += len(part)
        return b"".join([struct.pack(f"<{len(offsets)}I", *offsets), *parts])

    def chunks_root(self, value: Sequence[Any]) -> bytes:
        """Root of the elements alone, without a list's length."""
        if self.packed:
            return merkleize_bytes(self.encode(value), self.depth)
        root = self.element.hash_tree_root
        return merkleize([root(each) for each in value], self.depth)

    def elements_per_chunk(self) -> int:
        """How many elements one leaf of the tree holds."""
        size = self.element.fixed_size
        return CHUNK_SIZE_BYTES // size if self.packed and size else 1

    def to_json(self, value: Sequence[Any]) -> list[Any]:
        return [self.element.to_json(each) for each in value]

    def from_json(self, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            unfit("expected an array", type=self.name, got=type(value).__name__)
        return self._convert_each(value, self.element.from_json)

    def coerce(self, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            unfit("expected a list or tuple", type=self.name, got=type(value).__name__)
        return self._convert_each(value, self.element.coerce)

    def _convert_each(self, value: Sequence[Any], convert: Any) -> tuple[Any, ...]:
        self._check_count(len(value))
        values = []
        for index, each in enumerate(value):
            try:
                values.append(convert(each))
            except SszInvalid as error:
                raise error.within(index) from None
        return tuple(values)


class Vector(_Sequence):
    """Exactly ``length`` elements."""

    def __init__(self, element: SszType, length: int) -> None:
        invariant(length > 0, "a vector has at least one element")
        super().__init__(element, length, "Vector")
        self.length = length
        self.fixed_size = None if element.fixed_size is None else length * element.fixed_size

    def _check_count(self, count: int) -> None:
        if count != self.length:
            malformed("wrong number of elements", type=self.name, got=count)

    def hash_tree_root(self, value: Sequence[Any]) -> bytes:
        return self.chunks_root(value)

    def default(self) -> tuple[Any, ...]:
        return (self.element.default(),) * self.length


class List(_Sequence):
    """At most ``limit`` elements."""

    def __init__(self, element: SszType, limit: int) -> None:
        super().__init__(element, limit, "List")
        self.limit = limit
        self.fixed_size = None

    def _check_count(self, count: int) -> None:
        if count > self.limit:
            malformed("over the limit", type=self.name, got=count)

    def hash_tree_root(self, value: Sequence[Any]) -> bytes:
        return mix_in_length(self.chunks_root(value), len(value))

    def default(self) -> tuple[Any, ...]:
        return ()
