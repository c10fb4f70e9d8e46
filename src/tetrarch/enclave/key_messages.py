"""Messages that bring keys and histories in and out of a running enclave: the keymanager's.

A key comes encrypted, with its password; no message takes one out.
"""

from typing import Annotated, TypeAlias

import msgspec

from tetrarch.enclave.messages import Message, PubKeyBytes, ShareFile

KEYSTORE_MAX_BYTES = 1 << 16
PASSWORD_MAX_BYTES = 1 << 12
DOCUMENT_MAX_BYTES = 4 << 20
KEYS_MAX = 1000


class AddShare(Message, frozen=True, tag="add"):
    """Decrypt ``keystore``, hold it against ``file``, write both files there, and sign with it."""

    file: ShareFile
    keystore: Annotated[bytes, msgspec.Meta(max_length=KEYSTORE_MAX_BYTES)]
    password: Annotated[bytes, msgspec.Meta(max_length=PASSWORD_MAX_BYTES)]

    def __repr__(self) -> str:
        return f"AddShare({self.file!r})"


class RemoveShares(Message, frozen=True, tag="remove"):
    """Sign with these no more and delete their files; their history stays."""

    pubkeys: Annotated[tuple[PubKeyBytes, ...], msgspec.Meta(max_length=KEYS_MAX)]


class Named(Message, frozen=True):
    """A root key, and its names in an interchange file."""

    pubkey: PubKeyBytes
    names: tuple[PubKeyBytes, ...]


class ImportHistory(Message, frozen=True, tag="import"):
    """Add the records of an interchange file for the named keys."""

    document: Annotated[bytes, msgspec.Meta(max_length=DOCUMENT_MAX_BYTES)]
    owners: Annotated[tuple[Named, ...], msgspec.Meta(max_length=10 * KEYS_MAX)]


class ExportHistory(Message, frozen=True, tag="export"):
    """The history of these keys as an interchange file, each under its one name."""

    keys: Annotated[tuple[Named, ...], msgspec.Meta(max_length=KEYS_MAX)]


class Exported(Message, frozen=True, tag="exported"):
    """The answer to ``ExportHistory``."""

    document: bytes


KeyCall: TypeAlias = AddShare | RemoveShares | ImportHistory | ExportHistory
