# ruff: noqa: D102 - SszType documents these methods once, for every type
"""Bit strings: ``Bits`` values, and the types Bitvector and Bitlist."""

from collections.abc import Iterable, Iterator
from typing import Any

from tetrarch.errors import invariant
from tetrarch.ssz.descriptor import SszType, malformed, parse_hex, unfit
from tetrarch.ssz.hashing import merkleize_bytes, mix_in_length, tree_depth


class Bits:
    """An immutable string of bits, kept packed: bit ``i`` is bit ``i % 8`` of byte ``i // 8``."""

    __slots__ = ("_length", "packed")
    packed: bytes  # ceil(length / 8) bytes, unused bits zero
    _length: int

    def __init__(self, packed: bytes, length: int) -> None:
        used = packed[-1] >> ((length - 1) % 8 + 1) == 0 if packed else True
        invariant(len(packed) == (length + 7) // 8 and used, "bits fill exactly their bytes")
        object.__setattr__(self, "packed", packed)
        object.__setattr__(self, "_length", length)

    @classmethod
    def of(cls, bits: Iterable[bool]) -> "Bits":
        """Pack one boolean per bit."""
        flags = list(bits)
        number = sum(1 << index for index, flag in enumerate(flags) if flag)
        return cls(number.to_bytes((len(flags) + 7) // 8, "little"), len(flags))

    @classmethod
    def zeros(cls, length: int) -> "Bits":
        """``length`` bits, none set."""
        return cls(bytes((length + 7) // 8), length)

    @classmethod
    def single(cls, index: int, length: int) -> "Bits":
        """``length`` bits of which only ``index`` is set."""
        return cls((1 << index).to_bytes((length + 7) // 8, "little"), length)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Bits cannot change: {name}")

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> bool:
        if not 0 <= index < self._length:
            raise IndexError(index)
        return bool(self.packed[index >> 3] >> (index & 7) & 1)

    def __iter__(self) -> Iterator[bool]:
        return (bool(self.packed[i >> 3] >> (i & 7) & 1) for i in range(self._length))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Bits):
            return NotImplemented
        return self._length == other._length and self.packed == other.packed

    def __hash__(self) -> int:
        return hash((self.packed, self._length))

    def __or__(self, other: "Bits") -> "Bits":
        if self._length != other._length:
            unfit("bit strings of different lengths", left=self._length, right=other._length)
        both = int.from_bytes(self.packed, "little") | int.from_bytes(other.packed, "little")
        return Bits(both.to_bytes(len(self.packed), "little"), self._length)

    def __copy__(self) -> "Bits":
        return self

    def __deepcopy__(self, memo: object) -> "Bits":
        return self

    def __repr__(self) -> str:
        return f"Bits(0x{self.packed.hex()}, {self._length})"

    def count(self) -> int:
        """How many bits are set."""
        return int.from_bytes(self.packed, "little").bit_count()

    def indices(self) -> tuple[int, ...]:
        """Positions of the set bits, ascending."""
        return tuple(
            index * 8 + bit
            for index, byte in enumerate(self.packed)
            if byte
            for bit in range(8)
            if byte >> bit & 1
        )

    def with_bit(self, index: int, *, value: bool = True) -> "Bits":
        """The same bits with one of them set (or cleared)."""
        if not 0 <= index < self._length:
            raise IndexError(index)
        packed = bytearray(self.packed)
        packed[index >> 3] &= ~(1 << (index & 7))
        packed[index >> 3] |= value << (index & 7)
        return Bits(bytes(packed), self._length)


def _as_bits(value: Any) -> Bits:
    if isinstance(value, Bits):
        return value
    if not isinstance(value, list | tuple) or not all(isinstance(bit, bool) for bit in value):
        unfit("expected bits", got=type(value).__name__)
    return Bits.of(value)


class Bitvector(SszType):
    """Exactly ``length`` bits; ``Bits``."""

    fixed_size: int

    def __init__(self, length: int) -> None:
        self.name = f"Bitvector[{length}]"
        self.length = length
        self.fixed_size = (length + 7) // 8
        self._depth = tree_depth((length + 255) // 256)

    def read(self, data: bytes, start: int, end: int) -> Bits:
        if self.length % 8 and data[end - 1] >> self.length % 8:
            malformed("a bit beyond the length is set", type=self.name)
        return Bits(data[start:end], self.length)

    def encode(self, value: Bits) -> bytes:
        return value.packed

    def hash_tree_root(self, value: Bits) -> bytes:
        return merkleize_bytes(value.packed, self._depth)

    def to_json(self, value: Bits) -> str:
        return "0x" + value.packed.hex()

    def from_json(self, value: Any) -> Bits:
        bits: Bits = self.decode(parse_hex(value, size_max=self.fixed_size))
        return bits

    def coerce(self, value: Any) -> Bits:
        bits = _as_bits(value)
        if len(bits) != self.length:
            unfit("wrong length", type=self.name, got=len(bits))
        return bits

    def default(self) -> Bits:
        return Bits.zeros(self.length)


class Bitlist(SszType):
    """At most ``limit`` bits, ended by a delimiter bit in the encoding; ``Bits``."""

    fixed_size: None = None

    def __init__(self, limit: int) -> None:
        self.name = f"Bitlist[{limit}]"
        self.limit = limit
        self._depth = tree_depth((limit + 255) // 256)

    def read(self, data: bytes, start: int, end: int) -> Bits:
        if end <= start or not data[end - 1]:
            malformed("the delimiter bit is missing", type=self.name)
        top = data[end - 1].bit_length() - 1
        length = (end - start - 1) * 8 + top
        if length > self.limit:
            malformed("over the limit", type=self.name, got=length)
        if not top:
            return Bits(data[start : end - 1], length)
        last = data[end - 1] & ((1 << top) - 1)
        return Bits(data[start : end - 1] + bytes((last,)), length)

    def encode(self, value: Bits) -> bytes:
        spare = len(value) % 8
        if not spare:
            return value.packed + b"\x01"
        return value.packed[:-1] + bytes((value.packed[-1] | 1 << spare,))

    def hash_tree_root(self, value: Bits) -> bytes:
        return mix_in_length(merkleize_bytes(value.packed, self._depth), len(value))

    def to_json(self, value: Bits) -> str:
        return "0x" + self.encode(value).hex()

    def from_json(self, value: Any) -> Bits:
        bits: Bits = self.decode(parse_hex(value, size_max=self.limit // 8 + 1))
        return bits

    def coerce(self, value: Any) -> Bits:
        bits = _as_bits(value)
        if len(bits) > self.limit:
            unfit("over the limit", type=self.name, got=len(bits))
        return bits

    def default(self) -> Bits:
        return Bits.zeros(0)
