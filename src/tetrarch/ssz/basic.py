# ruff: noqa: D102 - SszType documents these methods once, for every type
"""Numbers, booleans and byte strings."""

from collections.abc import Callable
from typing import Any

from tetrarch.ssz.descriptor import SszType, malformed, parse_hex, unfit
from tetrarch.ssz.hashing import (
    CHUNK_SIZE_BYTES,
    merkleize_bytes,
    mix_in_length,
    sha256,
    tree_depth,
)

_STRUCT_CODES = {8: "B", 16: "H", 32: "I", 64: "Q"}


class Uint(SszType):
    """An unsigned integer of ``bits`` bits, little-endian; an ``int``."""

    fixed_size: int

    def __init__(self, bits: int) -> None:
        self.name = f"uint{bits}"
        self.bits = bits
        self.fixed_size = bits // 8
        self.struct_code = _STRUCT_CODES.get(bits)
        self._digits_max = len(str(2**bits - 1))

    def read(self, data: bytes, start: int, end: int) -> int:
        return int.from_bytes(data[start:end], "little")

    def encode(self, value: int) -> bytes:
        return value.to_bytes(self.fixed_size, "little")

    def hash_tree_root(self, value: int) -> bytes:
        return value.to_bytes(CHUNK_SIZE_BYTES, "little")

    def to_json(self, value: int) -> str:
        return str(value)

    def from_json(self, value: Any) -> int:
        if isinstance(value, str):
            if len(value) > self._digits_max or not (value.isascii() and value.isdigit()):
                unfit("expected a decimal number", type=self.name)
            value = int(value)
        return self.coerce(value)

    def coerce(self, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            unfit("expected an integer", type=self.name, got=type(value).__name__)
        if not 0 <= value < 1 << self.bits:
            unfit("out of range", type=self.name)
        return int(value)

    def default(self) -> int:
        return 0


class Boolean(SszType):
    """One byte, 0 or 1; a ``bool``."""

    name = "boolean"
    fixed_size: int = 1

    def read(self, data: bytes, start: int, end: int) -> bool:
        del end
        if data[start] > 1:
            malformed("boolean is neither 0 nor 1")
        return data[start] == 1

    def encode(self, value: bool) -> bytes:  # noqa: FBT001 - the value itself
        return b"\x01" if value else b"\x00"

    def hash_tree_root(self, value: bool) -> bytes:  # noqa: FBT001 - the value itself
        return self.encode(value).ljust(CHUNK_SIZE_BYTES, b"\0")

    def to_json(self, value: bool) -> bool:  # noqa: FBT001 - the value itself
        return value

    def from_json(self, value: Any) -> bool:
        return self.coerce(value)

    def coerce(self, value: Any) -> bool:
        if not isinstance(value, bool):
            unfit("expected a boolean", got=type(value).__name__)
        return value

    def default(self) -> bool:
        return False


def _as_bytes(value: Any) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        unfit("expected bytes", got=type(value).__name__)
    return bytes(value)


def _vector_root(size: int) -> Callable[[bytes], bytes]:
    if size <= CHUNK_SIZE_BYTES:
        return lambda value: value.ljust(CHUNK_SIZE_BYTES, b"\0")
    if size <= 2 * CHUNK_SIZE_BYTES:  # public keys
        return lambda value: sha256(value.ljust(2 * CHUNK_SIZE_BYTES, b"\0")).digest()
    depth = tree_depth((size + 31) // 32)
    return lambda value: merkleize_bytes(value, depth)


class ByteVector(SszType):
    """Exactly ``size`` bytes; ``bytes``."""

    fixed_size: int

    def __init__(self, size: int) -> None:
        self.name = f"ByteVector[{size}]"
        self.fixed_size = size
        self.struct_code = f"{size}s"
        self._root = _vector_root(size)

    def read(self, data: bytes, start: int, end: int) -> bytes:
        return data[start:end]

    def encode(self, value: bytes) -> bytes:
        return value

    def hash_tree_root(self, value: bytes) -> bytes:
        return self._root(value)

    def to_json(self, value: bytes) -> str:
        return "0x" + value.hex()

    def from_json(self, value: Any) -> bytes:
        return self.coerce(parse_hex(value, size_max=self.fixed_size))

    def coerce(self, value: Any) -> bytes:
        data = _as_bytes(value)
        if len(data) != self.fixed_size:
            unfit("wrong length", type=self.name, got=len(data))
        return data

    def default(self) -> bytes:
        return bytes(self.fixed_size)


class ByteList(SszType):
    """At most ``limit`` bytes; ``bytes``."""

    fixed_size: None = None

    def __init__(self, limit: int) -> None:
        self.name = f"ByteList[{limit}]"
        self.limit = limit
        self._depth = tree_depth((limit + 31) // 32)

    def read(self, data: bytes, start: int, end: int) -> bytes:
        if end - start > self.limit:
            malformed("over the limit", type=self.name, got=end - start)
        return data[start:end]

    def encode(self, value: bytes) -> bytes:
        return value

    def hash_tree_root(self, value: bytes) -> bytes:
        return mix_in_length(merkleize_bytes(value, self._depth), len(value))

    def to_json(self, value: bytes) -> str:
        return "0x" + value.hex()

    def from_json(self, value: Any) -> bytes:
        return parse_hex(value, size_max=self.limit)

    def coerce(self, value: Any) -> bytes:
        data = _as_bytes(value)
        if len(data) > self.limit:
            unfit("over the limit", type=self.name, got=len(data))
        return data

    def default(self) -> bytes:
        return b""


uint8 = Uint(8)
uint64 = Uint(64)
uint256 = Uint(256)
boolean = Boolean()
bytes4 = ByteVector(4)
bytes20 = ByteVector(20)
bytes32 = ByteVector(32)
bytes48 = ByteVector(48)
bytes96 = ByteVector(96)
