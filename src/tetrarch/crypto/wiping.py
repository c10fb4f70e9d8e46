"""Overwriting secrets that Python would leave in memory until it has another use for the place."""

import ctypes
from typing import Final

_HEADER_SIZE_BYTES: Final = (
    bytes.__basicsize__ - 1
)  # what CPython puts before a bytes object's content


def wipe(secret: bytes | bytearray) -> None:
    """Overwrite ``secret`` with zeros, where it stands.

    An object of type ``bytes`` must be the caller's alone and of no more use, and longer than one byte: shorter
    ones are shared by all who have equal ones. CPython only, as the layout of ``bytes`` is its own.
    """
    if isinstance(secret, bytearray):
        secret[:] = bytes(len(secret))
    elif len(secret) > 1:
        ctypes.memset(id(secret) + _HEADER_SIZE_BYTES, 0, len(secret))
