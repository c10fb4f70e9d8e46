"""Bytes that come along with coins: in an output that nobody can spend, or in a witness. Pure.

An output of OP_RETURN has up to 80 bytes that nodes relay. A witness has more: an input whose script begins with
``OP_SHA256 <32 bytes> OP_EQUALVERIFY`` shows bytes of that hash, which nobody can change, as its script is hashed in what it spends.
"""

from typing import Final

from tetrarch.custody.chains.bitcoin.blocks import Found
from tetrarch.custody.instructions import DATA_SIZE_BYTES_MAX

_OP_RETURN: Final = 0x6A
_OP_PUSHDATA1: Final = 0x4C
_OP_PUSHDATA2: Final = 0x4D
_REVEALING: Final = (b"\xa8\x20", b"\x88")  # OP_SHA256 and a push of 32 bytes; OP_EQUALVERIFY
_ITEMS_MIN: Final = 2


def carried(transaction: Found) -> bytes:
    """The bytes that come with ``transaction``; empty: none, or more than any instruction has."""
    for _, script in transaction.outputs:
        if script[:1] == bytes((_OP_RETURN,)):
            return _bounded(_last_push(script))
    for spend in transaction.spends:
        items = spend.witness
        if len(items) < _ITEMS_MIN:
            continue
        script = items[-1]
        if script[:2] == _REVEALING[0] and script[34:35] == _REVEALING[1]:
            return _bounded(items[-2])
    return b""


def _bounded(data: bytes) -> bytes:
    return data if len(data) <= DATA_SIZE_BYTES_MAX else b""


def _last_push(script: bytes) -> bytes:
    """What a script of OP_RETURN and pushes pushes last; empty if it has anything else."""
    at, last = 1, b""
    while at < len(script):
        size, at = script[at], at + 1
        if size == _OP_PUSHDATA1:
            size, at = int.from_bytes(script[at : at + 1], "little"), at + 1
        elif size == _OP_PUSHDATA2:
            size, at = int.from_bytes(script[at : at + 2], "little"), at + 2
        elif size > _OP_PUSHDATA1:
            return b""
        last, at = script[at : at + size], at + size
        if at > len(script):
            return b""
    return last
