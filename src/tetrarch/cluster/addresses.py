"""Execution-layer addresses as text: 20 bytes in hex, with the capital-letter checksum.

Source: EIP-55.
"""

from tetrarch.cluster.text import parse_hex_upto
from tetrarch.crypto.k1 import uncompressed
from tetrarch.crypto.keccak import keccak256
from tetrarch.errors import InputInvalid

ADDRESS_SIZE_BYTES = 20
ZERO_ADDRESS = bytes(ADDRESS_SIZE_BYTES)


def address_text(address: bytes) -> str:
    """``0x`` and 40 digits with EIP-55 capitals; nothing for no address."""
    if not address:
        return ""
    digits = address.hex()
    marks = keccak256(digits.encode()).hex()
    return "0x" + "".join(
        digit.upper() if int(mark, 16) >= 8 else digit
        for digit, mark in zip(digits, marks, strict=False)
    )


def parse_address(text: str, *, field: str) -> bytes:
    """20 bytes, or none for the empty text.

    Raises:
        InputInvalid: another form, or capitals that are no right checksum (a mistyped digit);
            names ``field``. All lower or all upper case has no checksum and is accepted.
    """
    address = parse_hex_upto(text, size_max=ADDRESS_SIZE_BYTES, field=field)
    if address and len(address) != ADDRESS_SIZE_BYTES:
        raise InputInvalid("read address", field=field, expected_bytes=20, got=len(address))
    digits = text[2:]
    if address and digits not in {digits.lower(), digits.upper(), address_text(address)[2:]}:
        raise InputInvalid("read address", field=field, reason="EIP-55 checksum is wrong")
    return address


def address_of_key(public_key: bytes) -> bytes:
    """The address that the owner of a 33-byte secp256k1 key has."""
    return keccak256(uncompressed(public_key))[12:]
