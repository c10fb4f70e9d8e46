"""Keys and histories that come and go while the enclave runs; one call at a time, like all others.

A key signs only after it is durable, and its file goes only after it signs no more. Where keys are
sealed, it is the sealed file that changes, and no keystore is written.
"""

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from tetrarch.enclave import editions, history, interchange
from tetrarch.enclave.errors import InterchangeInvalid
from tetrarch.enclave.key_messages import (
    AddShare,
    Exported,
    ExportHistory,
    ImportHistory,
    KeyCall,
    RemoveShares,
)
from tetrarch.enclave.keys import BlsKeyRing
from tetrarch.enclave.messages import ShareFile
from tetrarch.enclave.opening import decrypt_share, delete_share, store_share
from tetrarch.enclave.sealed_keys import KeptShare, SealedKeys
from tetrarch.errors import Transient
from tetrarch.storage.errors import StorageFailed
from tetrarch.storage.sqlite import Transaction, read_snapshot

R = TypeVar("R")


class OpenEnclave(Protocol):
    """The open enclave, as far as keys and histories go."""

    path: Path
    database: sqlite3.Connection
    keys: BlsKeyRing
    files: dict[bytes, ShareFile]
    sealed: SealedKeys | None

    def write(self, function: Transaction[R]) -> R:
        """Run ``function`` in a durable transaction."""
        ...


def keep(opened: OpenEnclave, call: KeyCall) -> Exported | None:
    """Do what ``call`` asks; None where there is nothing to answer.

    Raises:
        OperatorError: of ``errors`` and ``storage.errors``; says what is wrong.

    Cost: of ``AddShare`` what the keystore asks for, 0.1 to 1 s, in which nothing is signed.
    """
    match call:
        case AddShare():
            _add(opened, call)
        case RemoveShares(pubkeys=pubkeys):
            _remove(opened, pubkeys)
        case ImportHistory(document=document, owners=owners):
            file_ = interchange.Interchange.parse(document)
            by_root = {each.pubkey: each.names for each in owners}
            opened.write(lambda c: interchange.import_file(c, file_, by_root))
        case ExportHistory():
            return Exported(_export(opened, call))
    return None


def _add(opened: OpenEnclave, call: AddShare) -> None:
    share = decrypt_share(call.file, call.keystore, call.password)
    if opened.sealed is None:
        store_share(call.file, call.keystore, call.password)
    else:
        opened.sealed.change(shares={call.file.pubkey: KeptShare(call.file.public_share, share)})
        note_edition(opened, opened.sealed)
    opened.files[call.file.pubkey] = call.file
    opened.keys.add(call.file.pubkey, share)


def _remove(opened: OpenEnclave, pubkeys: Sequence[bytes]) -> None:
    for pubkey in pubkeys:
        opened.keys.remove(pubkey)
    if opened.sealed is not None and not opened.sealed.kept.shares.keys().isdisjoint(pubkeys):
        opened.sealed.change(without=pubkeys)
        note_edition(opened, opened.sealed)
    for pubkey in pubkeys:
        file = opened.files.get(pubkey)
        if file is not None:
            delete_share(file)
            del opened.files[pubkey]


def note_edition(opened: OpenEnclave, sealed: SealedKeys) -> None:
    """Refuse older files from now on; where the disk is full the next start notes it."""
    edition = sealed.kept.edition
    if not edition:
        return
    with contextlib.suppress(Transient, StorageFailed):
        opened.write(lambda connection: editions.note(connection, edition))


def _export(opened: OpenEnclave, call: ExportHistory) -> bytes:
    root = history.chain(opened.database)
    if root is None:
        raise InterchangeInvalid("export interchange", reason="history is tied to no chain yet")
    names = {each.pubkey: each.names[0] for each in call.keys if each.names}
    parts: list[bytes] = []

    def write(connection: sqlite3.Connection) -> None:
        interchange.export_union(
            (connection,), parts.append, genesis_validators_root=root, name_of=names.get
        )

    read_snapshot(opened.database, write, path=opened.path)
    return b"".join(parts)
