"""The keymanager API's bodies, read and written. Pure.

Source: ethereum/keymanager-APIs, version 1.1.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

import msgspec

from tetrarch.decoding import UNDECODABLE
from tetrarch.errors import InputInvalid
from tetrarch.ethereum.spec.values import parse_hex

KEYSTORES_PATH = "/eth/v1/keystores"
REMOTE_KEYS_PATH = "/eth/v1/remotekeys"
KEYS_MAX = 1000


class Status(StrEnum):
    """What became of one key."""

    IMPORTED = "imported"
    DUPLICATE = "duplicate"
    DELETED = "deleted"
    NOT_ACTIVE = "not_active"
    NOT_FOUND = "not_found"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One key's part of an answer; ``message`` says why, where it is an error."""

    status: Status
    message: str = ""

    def to_json(self) -> dict[str, str]:
        """As the API has it."""
        return {"status": self.status.value, "message": self.message}


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """A request to add keys, and the history that belongs to them."""

    keystores: tuple[str, ...]  # each the JSON of one EIP-2335 file
    passwords: tuple[str, ...] = field(repr=False)
    slashing_protection: str | None = None


class _ImportBody(msgspec.Struct):
    keystores: Annotated[list[str], msgspec.Meta(max_length=KEYS_MAX)]
    passwords: Annotated[list[str], msgspec.Meta(max_length=KEYS_MAX)]
    slashing_protection: str | None = None


class _DeleteBody(msgspec.Struct):
    pubkeys: Annotated[list[str], msgspec.Meta(max_length=KEYS_MAX)]


class _Keystore(msgspec.Struct):
    pubkey: str


def read_import(body: bytes) -> Import:
    """The request to add keys.

    Raises:
        InputInvalid: not such a request. No part of the body is in the error.
    """
    read = _decoded(body, _ImportBody)
    if len(read.keystores) != len(read.passwords):
        raise InputInvalid(
            "read keystores", keystores=len(read.keystores), passwords=len(read.passwords)
        )
    return Import(
        keystores=tuple(read.keystores),
        passwords=tuple(read.passwords),
        slashing_protection=read.slashing_protection or None,
    )


def read_delete(body: bytes) -> tuple[bytes, ...]:
    """The public keys that are to be deleted; raises InputInvalid."""
    read = _decoded(body, _DeleteBody)
    return tuple(read_pubkey(text) for text in read.pubkeys)


def read_pubkey(text: str) -> bytes:
    """A public key, with or without ``0x``; raises InputInvalid."""
    prefixed = text if text.startswith("0x") else "0x" + text
    return parse_hex(prefixed, size_bytes=48, what="pubkey")


def pubkey_of(keystore: str) -> bytes:
    """Which key a keystore says that it holds; not yet believed. Raises InputInvalid."""
    return read_pubkey(_decoded(keystore.encode(), _Keystore).pubkey)


def _decoded(body: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except UNDECODABLE:
        # Without the cause, which could repeat a part of the body.
        raise InputInvalid("read request", expected="a keymanager request") from None
