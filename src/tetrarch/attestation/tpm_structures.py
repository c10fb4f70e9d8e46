"""What a TPM's quote consists of: read with bounds, and written. Pure.

All numbers are big-endian; a "sized" field is its size in two bytes and so many bytes. Source: TCG, "Trusted
Platform Module Library", part 2 (structures), names in brackets; part 1 section 16 (names).
"""

import hashlib
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final

from tetrarch.errors import invariant

DIGEST_SIZE_BYTES: Final = 32  # of SHA-256, the only one here
REGISTERS: Final = range(24)  # of a PC; the bitmap of a selection has three bytes
NAME_SIZE_BYTES: Final = 2 + DIGEST_SIZE_BYTES
_BITMAP_SIZE_BYTES = 3
_NAME_MAX_BYTES, _EXTRA_DATA_MAX_BYTES = 66, 66  # with SHA-512
COUNTER_SIZE_BYTES: Final = 8
_MAGIC, _QUOTE, _OF_NV = 0xFF544347, 0x8018, 0x8014
_P256 = 0x0003


class Algorithm(IntEnum):
    """[TPM_ALG_ID], as far as it is used here."""

    HMAC = 0x0005
    KEYED_HASH = 0x0008
    SHA256 = 0x000B
    NULL = 0x0010
    ECDSA = 0x0018
    ECC = 0x0023


class Attribute(IntFlag):
    """[TPMA_OBJECT]: what a key is for, and where it may be."""

    FIXED_TPM = 1 << 1  # never leaves this TPM
    FIXED_PARENT = 1 << 4
    MADE_BY_TPM = 1 << 5  # [sensitiveDataOrigin]: nobody else knew it at first either
    USER_WITH_AUTH = 1 << 6  # used with its auth value
    NO_LOCKOUT = 1 << 10  # [noDA]: wrong auth values do not lock the TPM
    RESTRICTED = 1 << 16  # signs only what the TPM itself says
    DECRYPT = 1 << 17
    SIGN = 1 << 18


# A key that signs what its TPM says, and nothing else, is nowhere else, and wants its auth value.
ATTESTING: Final = (
    Attribute.FIXED_TPM
    | Attribute.FIXED_PARENT
    | Attribute.MADE_BY_TPM
    | Attribute.USER_WITH_AUTH
    | Attribute.NO_LOCKOUT
    | Attribute.RESTRICTED
    | Attribute.SIGN
)
# A key that computes HMACs, with which alone a TPM makes a secret anew.
DERIVING: Final = (
    Attribute.FIXED_TPM
    | Attribute.FIXED_PARENT
    | Attribute.MADE_BY_TPM
    | Attribute.NO_LOCKOUT
    | Attribute.SIGN
)
# Encrypts nothing, signs by ECDSA with SHA-256 on this curve, derives nothing.
_SCHEME = (Algorithm.NULL, Algorithm.ECDSA, Algorithm.SHA256, _P256, Algorithm.NULL)
_COORDINATE_BYTES = 32


class Malformed(ValueError):
    """Not the structure that was to be read; the text says which part of it is wrong."""


class Reader:
    """Takes one field after the other from ``data``; every method may raise ``Malformed``."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size_bytes: int) -> bytes:
        """The next bytes."""
        taken = self._data[self._at : self._at + size_bytes]
        if len(taken) != size_bytes:
            raise Malformed("it is too short")
        self._at += size_bytes
        return taken

    def number(self, size_bytes: int) -> int:
        """An unsigned number."""
        return int.from_bytes(self.take(size_bytes), "big")

    def sized(self, size_max_bytes: int) -> bytes:
        """A sized field [TPM2B]."""
        size = self.number(2)
        if size > size_max_bytes:
            raise Malformed("a field is too long")
        return self.take(size)

    def expect(self, *numbers: int, what: str) -> None:
        """These numbers of two bytes, or it is another ``what``."""
        for number in numbers:
            if self.number(2) != number:
                raise Malformed(f"another {what}")

    def rest(self) -> bytes:
        """All that follows."""
        return self.take(len(self._data) - self._at)

    def end(self) -> None:
        """Nothing follows."""
        if self._at != len(self._data):
            raise Malformed("bytes after its end")


def sized(content: bytes) -> bytes:
    """A sized field [TPM2B]."""
    return len(content).to_bytes(2, "big") + content


def encode_selection(registers: tuple[int, ...]) -> bytes:
    """[TPML_PCR_SELECTION] of ``registers`` of the SHA-256 bank: always 10 bytes."""
    invariant(all(number in REGISTERS for number in registers), "a PC has 24 registers")
    bitmap = sum(1 << number for number in registers).to_bytes(_BITMAP_SIZE_BYTES, "little")
    bank = Algorithm.SHA256.to_bytes(2, "big") + bytes((_BITMAP_SIZE_BYTES,)) + bitmap
    return (1).to_bytes(4, "big") + bank


def read_selection(reader: Reader) -> tuple[int, ...]:
    """The registers of a selection, ascending; of the SHA-256 bank alone, or ``Malformed``."""
    if reader.number(4) != 1:
        raise Malformed("another number of PCR banks than one")
    reader.expect(Algorithm.SHA256, what="PCR bank than that of SHA-256")
    if reader.number(1) != _BITMAP_SIZE_BYTES:
        raise Malformed("another number of PCRs than 24")
    bitmap = int.from_bytes(reader.take(_BITMAP_SIZE_BYTES), "little")
    return tuple(number for number in REGISTERS if bitmap >> number & 1)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """[TPMT_PUBLIC] of a key on P-256 that signs by ECDSA with SHA-256."""

    attributes: Attribute
    x: bytes  # 32 bytes, as is y
    y: bytes
    encoded: bytes

    @classmethod
    def read(cls, encoded: bytes) -> "PublicKey":
        """Raises Malformed: it is no such key."""
        reader = Reader(encoded)
        reader.expect(Algorithm.ECC, Algorithm.SHA256, what="kind of key")
        attributes = Attribute(reader.number(4))
        reader.sized(0)  # no policy, by which it could be used without its auth value
        reader.expect(*_SCHEME, what="kind of key")
        x, y = (reader.sized(_COORDINATE_BYTES) for _ in range(2))
        reader.end()
        if len(x) != _COORDINATE_BYTES or len(y) != _COORDINATE_BYTES:
            raise Malformed("a coordinate's size")
        return cls(attributes, x, y, encoded)

    @property
    def name(self) -> bytes:
        """[TPM2B_NAME]: 34 bytes, a hash of all of it, by which a TPM knows the key."""
        return name_of(self.encoded)

    @property
    def point(self) -> bytes:
        """As X9.62 writes it."""
        return b"\x04" + self.x + self.y


def public_area(attributes: Attribute, x: bytes, y: bytes) -> bytes:
    """[TPMT_PUBLIC] of such a key, or, with other bytes for x and y, what to make one from."""
    return b"".join(
        (
            Algorithm.ECC.to_bytes(2, "big"),
            Algorithm.SHA256.to_bytes(2, "big"),
            attributes.to_bytes(4, "big"),
            sized(b""),
            *(number.to_bytes(2, "big") for number in _SCHEME),
            sized(x),
            sized(y),
        )
    )


def deriving_area(salt: bytes, policy: bytes) -> bytes:
    """[TPMT_PUBLIC] of what to make a key from that computes HMACs.

    ``policy``: the digest that a session must have come to; empty: the empty auth value will do.
    """
    attributes = DERIVING | (Attribute(0) if policy else Attribute.USER_WITH_AUTH)
    return b"".join(
        (
            Algorithm.KEYED_HASH.to_bytes(2, "big"),
            Algorithm.SHA256.to_bytes(2, "big"),
            attributes.to_bytes(4, "big"),
            sized(policy),
            Algorithm.HMAC.to_bytes(2, "big"),
            Algorithm.SHA256.to_bytes(2, "big"),
            sized(salt),
        )
    )


def name_of(public: bytes) -> bytes:
    """The name of what has the public area ``public``."""
    return Algorithm.SHA256.to_bytes(2, "big") + hashlib.sha256(public).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """[TPMS_ATTEST] about PCRs. Of the TPM's clock only what tells one boot from another."""

    extra_data: bytes
    resets: int  # how often the machine was started
    restarts: int  # and resumed, since then
    is_clock_safe: bool
    firmware: int
    registers: tuple[int, ...]
    digest: bytes  # SHA-256 of their contents, one after the other

    @classmethod
    def read(cls, encoded: bytes) -> "Quote":
        """Raises Malformed: it is no quote."""
        reader = Reader(encoded)
        extra_data = _begin_statement(reader, _QUOTE)
        reader.number(8)  # the clock, in ms
        resets, restarts, is_clock_safe = reader.number(4), reader.number(4), reader.number(1)
        if is_clock_safe > 1:
            raise Malformed("a flag is neither yes nor no")
        firmware = reader.number(8)
        registers = read_selection(reader)
        digest = reader.sized(DIGEST_SIZE_BYTES)
        reader.end()
        return cls(
            extra_data=extra_data,
            resets=resets,
            restarts=restarts,
            is_clock_safe=bool(is_clock_safe),
            firmware=firmware,
            registers=registers,
            digest=digest,
        )


@dataclass(frozen=True, slots=True)
class CounterValue:
    """[TPMS_ATTEST] about a counter. ``name``: of its public area, ``counter_area``."""

    extra_data: bytes
    name: bytes
    value: int

    @classmethod
    def read(cls, encoded: bytes) -> "CounterValue":
        """Raises Malformed: it is not about a counter."""
        reader = Reader(encoded)
        extra_data = _begin_statement(reader, _OF_NV)
        reader.take(8 + 4 + 4 + 1 + 8)  # the clock and the firmware
        name = reader.sized(_NAME_MAX_BYTES)
        reader.expect(0, what="part of what is there")
        content = reader.sized(COUNTER_SIZE_BYTES)
        reader.end()
        if len(content) != COUNTER_SIZE_BYTES:
            raise Malformed("no counter's size")
        return cls(extra_data, name, int.from_bytes(content, "big"))


def _begin_statement(reader: Reader, kind: int) -> bytes:
    """What all of [TPMS_ATTEST] begin with; the extra data."""
    if reader.number(4) != _MAGIC:
        raise Malformed("not said by a TPM")
    reader.expect(kind, what="kind of statement")
    reader.sized(_NAME_MAX_BYTES)  # the key's name under its parents', which nobody else knows
    return reader.sized(_EXTRA_DATA_MAX_BYTES)


class CounterAttribute(IntFlag):
    """[TPMA_NV]: what an index is, and who may do what with it."""

    WRITE_WITH_AUTH = 1 << 2
    IS_COUNTER = 1 << 4
    READ_WITH_AUTH = 1 << 18
    NO_LOCKOUT = 1 << 25
    WRITTEN = 1 << 29  # set by the TPM when it is first advanced


COUNTING: Final = (
    CounterAttribute.WRITE_WITH_AUTH
    | CounterAttribute.IS_COUNTER
    | CounterAttribute.READ_WITH_AUTH
    | CounterAttribute.NO_LOCKOUT
)


def counter_area(index: int, attributes: CounterAttribute = COUNTING) -> bytes:
    """[TPMS_NV_PUBLIC] of a counter that is read and advanced with its auth value alone."""
    return b"".join(
        (
            index.to_bytes(4, "big"),
            Algorithm.SHA256.to_bytes(2, "big"),
            attributes.to_bytes(4, "big"),
            sized(b""),
            COUNTER_SIZE_BYTES.to_bytes(2, "big"),
        )
    )


def read_signature(encoded: bytes) -> tuple[int, int]:
    """The numbers of [TPMT_SIGNATURE]. Raises Malformed: it is not by ECDSA with SHA-256."""
    reader = Reader(encoded)
    reader.expect(Algorithm.ECDSA, Algorithm.SHA256, what="signature algorithm")
    r, s = (int.from_bytes(reader.sized(_COORDINATE_BYTES), "big") for _ in range(2))
    reader.end()
    return r, s
