"""What all values of an election are made of, in memory and on the wire. Pure.

A value is immutable, compares by content, and is its own wire form: an array that begins with the
name of its kind (MessagePack; see ``codec``). The bounds in these types are checked where bytes
become values; what more a value needs stands in its ``__post_init__``.
"""

from typing import Annotated, TypeAlias

import msgspec

from tetrarch.election.quorums import MEMBERS_MAX

HASH_SIZE_BYTES = 32
BOOT_SIZE_BYTES = 32
SIGNATURE_MAX_BYTES = 96
SEED_MAX_BYTES = 96
COUNT_MAX = 2**63 - 1

Index: TypeAlias = Annotated[int, msgspec.Meta(ge=0, lt=MEMBERS_MAX)]  # of a member
Indices: TypeAlias = Annotated[tuple[Index, ...], msgspec.Meta(max_length=MEMBERS_MAX)]
Hash: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=HASH_SIZE_BYTES, max_length=HASH_SIZE_BYTES)
]
Boot: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=BOOT_SIZE_BYTES, max_length=BOOT_SIZE_BYTES)
]
Seed: TypeAlias = Annotated[bytes, msgspec.Meta(max_length=SEED_MAX_BYTES)]
SignatureBytes: TypeAlias = Annotated[bytes, msgspec.Meta(max_length=SIGNATURE_MAX_BYTES)]
Term: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX)]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX)]
Milliseconds: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX)]


class Value(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=True):
    """The base: positional, immutable, with nothing extra."""
