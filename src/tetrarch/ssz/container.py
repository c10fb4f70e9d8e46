# ruff: noqa: D102 - SszType documents these methods once, for every type
"""Containers: named fields of different types; values are immutable ``Record`` objects."""

import struct
from collections.abc import Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar

from tetrarch.errors import invariant
from tetrarch.ssz.descriptor import OFFSET_SIZE_BYTES, SszInvalid, SszType, malformed, unfit
from tetrarch.ssz.hashing import merkleize, tree_depth


class Record:
    """A container's value: one attribute per field, immutable, equal by content.

    Every container has its own subclass, made by its descriptor ``ssz_type``; call the
    descriptor to build one. The root is computed once.
    """

    __slots__ = ("_root",)
    ssz_type: ClassVar["Container"]

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} cannot change: use replace({name}=...)")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} cannot change: {name}")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self is other or self.ssz_type.values_of(self) == self.ssz_type.values_of(other)

    def __hash__(self) -> int:
        return hash(self.ssz_type.values_of(self))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self.encode())} bytes>"

    def __copy__(self) -> "Record":
        return self

    def __deepcopy__(self, memo: object) -> "Record":
        return self  # nothing in it can change

    def replace(self, **changes: Any) -> "Record":
        """A copy with some fields changed; raises SszInvalid like the descriptor's call."""
        fields = dict(zip(self.ssz_type.fields, self.ssz_type.values_of(self), strict=True))
        return self.ssz_type(**(fields | changes))

    def encode(self) -> bytes:
        """The SSZ bytes."""
        return self.ssz_type.encode(self)

    def hash_tree_root(self) -> bytes:
        """The 32-byte root."""
        return self.ssz_type.hash_tree_root(self)

    def to_json(self) -> dict[str, Any]:
        """The beacon API's object."""
        return self.ssz_type.to_json(self)


_new = object.__new__
_set_root = Record.__dict__["_root"].__set__


class Container(SszType):
    """An ordered set of named fields.

    Calling it with every field builds a checked ``Record``. ``encode``, ``hash_tree_root`` and
    ``to_json`` also take any other object with the same attributes (a mutable state, say),
    whose sequences may be lists.
    """

    def __init__(self, name: str, fields: Mapping[str, SszType]) -> None:
        invariant(len(fields) > 0, "a container has at least one field")
        self.name = name
        self.fields: dict[str, SszType] = dict(fields)
        self.record: type[Record] = type(
            name, (Record,), {"__slots__": tuple(self.fields), "ssz_type": self}
        )
        self._types = tuple(self.fields.values())
        sizes = [each.fixed_size for each in self._types]
        self.fixed_size = None if None in sizes else sum(size or 0 for size in sizes)
        self._setters = [self.record.__dict__[each].__set__ for each in self.fields]
        self.depth = tree_depth(len(self.fields))
        self._default: Record | None = None
        self._compile()

    def _compile(self) -> None:
        names = tuple(self.fields)
        getter = attrgetter(*names)
        self.values_of: Any = getter if len(names) > 1 else lambda record: (getter(record),)
        codes, convert, offsets = ["<"], [], []
        for index, each in enumerate(self._types):
            if each.fixed_size is None:
                codes.append("I")
                offsets.append(index)
            elif each.struct_code:
                codes.append(each.struct_code)
            else:
                codes.append(f"{each.fixed_size}s")
                convert.append((index, each.fixed_size, each.read))
        self._struct = struct.Struct("".join(codes))
        self._convert, self._offsets = convert, offsets
        self._root_functions = [each.hash_tree_root for each in self._types]

    def __call__(self, **fields: Any) -> Record:
        """Build a value; every field must be given.

        Raises:
            SszInvalid: a field is missing, unknown, or does not fit its type.
        """
        if fields.keys() != self.fields.keys():
            wrong = sorted(fields.keys() ^ self.fields.keys())
            unfit("missing or unknown fields", type=self.name, names=wrong)
        values = []
        for name, each in self.fields.items():
            try:
                values.append(each.coerce(fields[name]))
            except SszInvalid as error:
                raise error.within(name) from None
        return self._build(values)

    def _build(self, values: Any) -> Record:
        record = _new(self.record)
        for set_field, value in zip(self._setters, values, strict=True):
            set_field(record, value)
        _set_root(record, None)
        return record

    def read(self, data: bytes, start: int, end: int) -> Record:
        if end - start < self._struct.size:
            malformed("too short", type=self.name, got=end - start)
        values: Any = self._struct.unpack_from(data, start)
        if self._convert or self._offsets:
            values = list(values)
            for index, size, read in self._convert:
                try:
                    values[index] = read(values[index], 0, size)
                except SszInvalid as error:
                    raise error.within(self._name_of(index)) from None
            if self._offsets:
                self._read_variable(data, start, end, values)
        return self._build(values)

    def _read_variable(self, data: bytes, start: int, end: int, values: list[Any]) -> None:
        bounds = [start + values[index] for index in self._offsets]
        if bounds[0] != start + self._struct.size:
            malformed("first offset does not fit", type=self.name, got=bounds[0] - start)
        bounds.append(end)
        for place, index in enumerate(self._offsets):
            low, high = bounds[place], bounds[place + 1]
            try:
                if not low <= high <= end:
                    malformed("offset decreases or passes the end", got=low - start)
                values[index] = self._types[index].read(data, low, high)
            except SszInvalid as error:
                raise error.within(self._name_of(index)) from None

    def _name_of(self, index: int) -> str:
        return tuple(self.fields)[index]

    def encode(self, value: Any) -> bytes:
        parts, tail, offset = [], [], self._struct.size
        for each, field in zip(self._types, self.values_of(value), strict=True):
            data = each.encode(field)
            if each.fixed_size is None:
                parts.append(offset.to_bytes(OFFSET_SIZE_BYTES, "little"))
                tail.append(data)
                offset += len(data)
            else:
                parts.append(data)
        return b"".join(parts + tail)

    def hash_tree_root(self, value: Any) -> bytes:
        own = type(value) is self.record
        if own and value._root is not None:  # noqa: SLF001 - the descriptor owns its records
            known: bytes = value._root  # noqa: SLF001
            return known
        fields = self.values_of(value)
        roots = [root(field) for root, field in zip(self._root_functions, fields, strict=True)]
        result = merkleize(roots, self.depth)
        if own:
            _set_root(value, result)
        return result

    def to_json(self, value: Any) -> dict[str, Any]:
        return {name: each.to_json(getattr(value, name)) for name, each in self.fields.items()}

    def from_json(self, value: Any) -> Record:
        """Read an object; fields that the type does not know are ignored, as APIs grow."""
        if not isinstance(value, dict):
            unfit("expected an object", type=self.name, got=type(value).__name__)
        values = []
        for name, each in self.fields.items():
            try:
                if name not in value:
                    unfit("missing")
                values.append(each.from_json(value[name]))
            except SszInvalid as error:
                raise error.within(name) from None
        return self._build(values)

    def coerce(self, value: Any) -> Record:
        if type(value) is not self.record:
            unfit("expected a record", type=self.name, got=type(value).__name__)
        record: Record = value
        return record

    def default(self) -> Record:
        if self._default is None:
            self._default = self._build([each.default() for each in self._types])
        return self._default
