"""Hexadecimal and decimal text in cluster files: one spelling for each value."""

from tetrarch.errors import InputInvalid


def hex_text(data: bytes) -> str:
    """``0x`` and lower-case digits; nothing at all for no bytes."""
    return "0x" + data.hex() if data else ""


def parse_hex_upto(text: str, *, size_max: int, field: str) -> bytes:
    """At most ``size_max`` bytes; the empty text and ``0x`` are no bytes.

    Raises:
        InputInvalid: not ``0x``-prefixed hex, or too long; names ``field``.
    """
    if not text:
        return b""
    if not text.startswith("0x"):
        raise InputInvalid("read hex", field=field, reason="expected a 0x-prefixed string")
    try:
        data = bytes.fromhex(text[2:])
    except ValueError:
        raise InputInvalid("read hex", field=field, reason="not hexadecimal") from None
    if len(text) != 2 + 2 * len(data):  # fromhex skips white space
        raise InputInvalid("read hex", field=field, reason="not hexadecimal")
    if len(data) > size_max:
        raise InputInvalid("read hex", field=field, size_max=size_max, got=len(data))
    return data


def parse_hex(text: str, *, size: int, field: str) -> bytes:
    """Exactly ``size`` bytes; raises as ``parse_hex_upto``."""
    data = parse_hex_upto(text, size_max=size, field=field)
    if len(data) != size:
        raise InputInvalid("read hex", field=field, expected_bytes=size, got=len(data))
    return data


def parse_decimal(text: str, *, field: str) -> int:
    """A number below 2**64 without leading zeros; raises InputInvalid naming ``field``."""
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise InputInvalid("read number", field=field, reason="expected decimal digits")
    value = int(text)
    if value >= 2**64 or str(value) != text:
        raise InputInvalid("read number", field=field, reason="outside 64 bits or zero-padded")
    return value
