"""Ethereum node records: an operator's public identity as one line of text.

A record is an RLP list: a signature over the rest, a sequence number, and key-value pairs by key.
Identity scheme ``v4`` only: a secp256k1 key, and its plain signature over the Keccak hash.

Source: EIP-778.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Final, TypeAlias

from tetrarch.crypto import k1
from tetrarch.crypto.keccak import keccak256
from tetrarch.errors import InputInvalid

RECORD_SIZE_MAX: Final = 300  # bytes, by the standard
TEXT_SIZE_MAX: Final = 1024
_PREFIX: Final = "enr:"

Item: TypeAlias = "bytes | list[Item]"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRecord:
    """A verified record: its owner's key (33 bytes), and all pairs as they stood."""

    public_key: bytes
    sequence: int
    pairs: tuple[tuple[bytes, bytes], ...]


def encode_enr(key: k1.IdentityKey) -> str:
    """The record of ``key`` with sequence 0 and nothing but the key. Deterministic."""
    content: list[Item] = [b"", b"id", b"v4", b"secp256k1", key.public_key()]
    signature = key.sign_plain(keccak256(_rlp(content)))
    record = _rlp([signature, *content])
    return _PREFIX + base64.urlsafe_b64encode(record).decode().rstrip("=")


def decode_enr(text: str) -> NodeRecord:
    """Decode and verify ``enr:...``; old padded text is understood.

    Raises:
        InputInvalid: not a record, of another identity scheme, or its signature is wrong.
    """
    if not text.startswith(_PREFIX) or len(text) > TEXT_SIZE_MAX:
        raise InputInvalid("read ENR", reason="expected enr: and at most 1024 characters")
    body = text.removeprefix(_PREFIX).rstrip("=")
    try:
        record = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InputInvalid("read ENR", reason="not base64url") from None
    if base64.urlsafe_b64encode(record).decode().rstrip("=") != body:
        raise InputInvalid("read ENR", reason="not base64url in its one form")
    if len(record) > RECORD_SIZE_MAX:
        raise InputInvalid("read ENR", size_max=RECORD_SIZE_MAX, got=len(record))
    return _verified(_parse_flat_list(record))


def _verified(items: list[bytes]) -> NodeRecord:
    if len(items) < 2 or len(items) % 2:
        raise InputInvalid("read ENR", reason="not signature, sequence and pairs")
    signature, sequence, *rest = items
    pairs = tuple(zip(rest[::2], rest[1::2], strict=True))
    keys = [key for key, _ in pairs]
    if keys != sorted(set(keys)):
        raise InputInvalid("read ENR", reason="keys are not sorted and distinct")
    values = dict(pairs)
    if values.get(b"id") != b"v4":
        raise InputInvalid("read ENR", reason="identity scheme is not v4")
    public_key = values.get(b"secp256k1", b"")
    k1.validate_public_key(public_key)
    if not k1.verify_plain(public_key, keccak256(_rlp([sequence, *rest])), signature):
        raise InputInvalid("read ENR", reason="signature is not by the record's key")
    if len(sequence) > 8 or sequence.startswith(b"\0"):
        raise InputInvalid("read ENR", reason="sequence is no 64-bit number")
    return NodeRecord(public_key=public_key, sequence=int.from_bytes(sequence, "big"), pairs=pairs)


def _rlp(item: Item) -> bytes:
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < 0x80:
            return item
        return _rlp_header(len(item), 0x80) + item
    payload = b"".join(map(_rlp, item))
    return _rlp_header(len(payload), 0xC0) + payload


def _rlp_header(size: int, offset: int) -> bytes:
    if size < 56:
        return bytes((offset + size,))
    digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((offset + 55 + len(digits),)) + digits


def _parse_flat_list(data: bytes) -> list[bytes]:
    """The byte strings of one RLP list that fills ``data``; only the canonical form passes."""
    start, size, is_list = _read_header(data, 0)
    if not is_list or start + size != len(data):
        raise InputInvalid("read RLP", reason="not one list")
    items = []
    at = start
    while at < len(data):
        start, size, is_list = _read_header(data, at)
        if is_list or start + size > len(data):
            raise InputInvalid("read RLP", reason="nested or cut off")
        items.append(data[start : start + size])
        at = start + size
    if _rlp(list(items)) != data:
        raise InputInvalid("read RLP", reason="not in canonical form")
    return items


def _read_header(data: bytes, at: int) -> tuple[int, int, bool]:
    """Where an item's payload starts, how long it is, and whether it is a list."""
    if at >= len(data):
        raise InputInvalid("read RLP", reason="cut off")
    first = data[at]
    if first < 0x80:
        return at, 1, False
    is_list = first >= 0xC0
    short = first - (0xC0 if is_list else 0x80)
    if short < 56:
        return at + 1, short, is_list
    count = short - 55
    size = int.from_bytes(data[at + 1 : at + 1 + count], "big")
    return at + 1 + count, size, is_list
