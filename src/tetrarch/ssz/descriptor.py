"""What every SSZ type can do, and the one error that all of them raise.

A type is a descriptor object, built once; values are plain and immutable: ``int``, ``bool``,
``bytes``, ``Bits``, ``tuple`` and, for containers, a ``Record``. A descriptor decodes strictly:
every byte string has at most one value, and each value exactly one byte string.
"""

from abc import ABC, abstractmethod
from typing import Any, NoReturn

from tetrarch.errors import InputInvalid

OFFSET_SIZE_BYTES = 4


class SszInvalid(InputInvalid):
    """Bytes, JSON or a value do not fit an SSZ type; ``path`` names the field, outermost first."""

    code = "ssz_invalid"

    def __init__(self, action: str, /, *, reason: str, **fields: object) -> None:
        super().__init__(action, field="", reason=reason, **fields)
        self.path = ""

    def within(self, part: str | int) -> "SszInvalid":
        """Say that this happened inside ``part``: a field's name or an element's index."""
        step = f"[{part}]" if isinstance(part, int) else part
        joint = "." if self.path and not self.path.startswith("[") else ""
        self.path = step + joint + self.path
        self.fields["field"] = self.path
        return self


def malformed(reason: str, **fields: object) -> NoReturn:
    """Refuse bytes while decoding."""
    raise SszInvalid("decode ssz", reason=reason, **fields)


def unfit(reason: str, **fields: object) -> NoReturn:
    """Refuse a Python value or a JSON value."""
    raise SszInvalid("build ssz value", reason=reason, **fields)


class SszType(ABC):
    """A type's descriptor.

    ``fixed_size`` is the size in bytes of every value, None where sizes differ. ``name`` is how
    the specification writes the type. ``struct_code`` is set where ``struct`` reads the final
    value by itself.
    """

    name: str
    fixed_size: int | None
    struct_code: str | None = None

    def decode(self, data: bytes) -> Any:
        """The value that ``data`` encodes, all of it.

        Raises:
            SszInvalid: wrong length or offset, over a limit, a missing delimiter bit, trailing
                bytes; names the field.
        """
        if self.fixed_size is not None and len(data) != self.fixed_size:
            malformed("wrong length", type=self.name, expected=self.fixed_size, got=len(data))
        return self.read(bytes(data), 0, len(data))

    @abstractmethod
    def read(self, data: bytes, start: int, end: int) -> Any:
        """Decode ``data[start:end]``; a fixed-size type is given exactly its size."""

    @abstractmethod
    def encode(self, value: Any) -> bytes:
        """The bytes of ``value``, which must be a valid one: from ``decode`` or ``coerce``."""

    @abstractmethod
    def hash_tree_root(self, value: Any) -> bytes:
        """The 32-byte root of a valid ``value``."""

    @abstractmethod
    def to_json(self, value: Any) -> Any:
        """The beacon API's JSON form: decimal strings, 0x hex, arrays and objects."""

    @abstractmethod
    def from_json(self, value: Any) -> Any:
        """Read the beacon API's JSON form; raises SszInvalid that names the field."""

    @abstractmethod
    def coerce(self, value: Any) -> Any:
        """Check a Python value and make it immutable; raises SszInvalid that names the field."""

    @abstractmethod
    def default(self) -> Any:
        """The specification's default: zeros, empty lists."""

    def __repr__(self) -> str:
        return self.name


def parse_hex(value: object, *, size_max: int) -> bytes:
    """Read 0x-prefixed hex of at most ``size_max`` bytes; raises SszInvalid."""
    if not isinstance(value, str) or not value.startswith("0x"):
        unfit("expected a 0x-prefixed string")
    if len(value) - 2 > 2 * size_max:
        unfit("too long", limit_bytes=size_max)
    try:
        data = bytes.fromhex(value[2:])
    except ValueError:
        data = None
    if data is None or 2 * len(data) != len(value) - 2:  # fromhex skips white space
        unfit("not hexadecimal")
    return data
