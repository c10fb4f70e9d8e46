"""A node's folder in one file, under a passphrase or key file of its own.

The file is 9 bytes, "tetrback" and version 1, and a seal (``sealing``) of a ``Backup``. What is
restored is older than what the node signed last, so the new folder is marked (``restored``): it signs
nothing slashable until its peers were asked.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Annotated

import msgspec

from tetrarch.decoding import UNDECODABLE
from tetrarch.enclave import editions, history, interchange, restored
from tetrarch.enclave.ceremony_messages import (
    NAMES_MAX,
    BackupRestored,
    BackupWritten,
    Name,
    RestoreBackup,
    WriteBackup,
)
from tetrarch.enclave.errors import (
    BackupExists,
    BackupInvalid,
    BackupTooLarge,
    InterchangeInvalid,
    SealInvalid,
    SealSecretWrong,
    WrongChain,
)
from tetrarch.enclave.interchange import Interchange
from tetrarch.enclave.messages import Message
from tetrarch.enclave.opening import open_keys
from tetrarch.enclave.seal_secret import SealSecret
from tetrarch.enclave.sealed_keys import KeptKeys, KeptShare, Label, SealedKeys, SealedSecrets
from tetrarch.enclave.sealing import new_key, unseal
from tetrarch.enclave.secret_reading import SecretReader
from tetrarch.enclave.state_key import FILE as STATE_KEY_FILE
from tetrarch.enclave.state_key import PLAIN_FILE, seal_state_key
from tetrarch.entropy import Entropy
from tetrarch.errors import InputInvalid
from tetrarch.storage.durable_file import replace_file, sync_folder
from tetrarch.storage.errors import StorageFull, StorageFullAtStart, cannot_create
from tetrarch.storage.lock import OwnerLock
from tetrarch.storage.sqlite import commit_group, open_connection

FILE_MAX_BYTES = 1 << 30
_MAGIC = b"tetrback\x01"
_PLACE = b"tetrarch/backup/1"
_SCHEMAS = (history.SCHEMA, editions.SCHEMA, restored.SCHEMA)


class CopiedFile(Message, frozen=True):
    """A small file of the folder, as it was."""

    name: Name
    content: bytes

    def __repr__(self) -> str:
        return f"CopiedFile({self.name!r})"


class Backup(Message, frozen=True):
    """All that is in a backup. ``history``: EIP-3076 by root keys; empty where nothing was signed."""

    label: Label
    secrets: SealedSecrets
    history: bytes
    files: Annotated[tuple[CopiedFile, ...], msgspec.Meta(max_length=NAMES_MAX)]


def write_backup(
    call: WriteBackup, entropy: Entropy, read: SecretReader | None = None
) -> BackupWritten:
    """Write the backup whole, or not at all, and open it again.

    Raises:
        StorageInUse: the node runs.
        BackupExists, BackupTooLarge: of the file to write, or of one to copy.
        OperatorError: of the sealed keys, keystores or histories.
    """
    read = read or SecretReader(entropy)
    output, secret = Path(call.output), SealSecret.of(call.secret)
    if output.exists():
        raise BackupExists("write backup", path=output)
    with _opened([Path(each) for each in call.databases]) as databases:
        sealed = None if call.sealed is None else SealedKeys.open(call.sealed, entropy, read)
        if sealed is not None:
            for database in databases:
                editions.check(database, sealed.kept.edition, path=sealed.path)
        shares = open_keys(call.shares, sealed)
        kept = KeptKeys(
            edition=1 if sealed is None else max(sealed.kept.edition, 1),
            shares={f.pubkey: KeptShare(f.public_share, shares[f.pubkey]) for f in call.shares},
            own=None if sealed is None else sealed.kept.own,
        )
        document, keys = _history(databases)
        folder = Path(call.folder)
        files = tuple(CopiedFile(name, _copied(folder / name)) for name in call.names)
        if call.state_key is not None:
            state = SealSecret.of(call.state_key)
            plain = state.path.with_name(PLAIN_FILE).relative_to(folder).as_posix()
            files += (CopiedFile(plain, read(state)),)
        backup = Backup(kept.label, kept.secrets, document, files)
    text = msgspec.msgpack.encode(backup)
    if len(text) > FILE_MAX_BYTES:
        raise BackupTooLarge("write backup", path=output, bytes=len(text), maximum=FILE_MAX_BYTES)
    key = new_key(secret.kind, SecretReader(entropy)(secret), entropy)
    raw = _MAGIC + key.seal(text, bound_to=_PLACE)
    try:
        replace_file(output, raw)
        if _read_backup(output, SealSecret.of(call.secret), entropy) != backup:
            output.unlink()
            raise BackupInvalid("verify backup", path=output, reason="not what was written")
        sync_folder(output.parent)
    except OSError as error:
        raise cannot_create("write backup", output, error) from None
    return BackupWritten(
        len(kept.shares),
        kept.own is not None,
        keys,
        tuple(file.name for file in files),
        len(raw),
    )


def restore_backup(
    call: RestoreBackup, entropy: Entropy, read: SecretReader | None = None
) -> BackupRestored:
    """Make the folder of the backup, marked as restored; its keys sealed as ``call`` says.

    Raises:
        BackupInvalid, SealSecretMissing, SealSecretWrong: of the backup.
        OperatorError: the folder cannot be written.
    """
    backup = _read_backup(Path(call.backup), SealSecret.of(call.secret), entropy)
    try:
        kept = KeptKeys.of(backup.label, backup.secrets)
        document = Interchange.parse(backup.history) if backup.history else None
    except (InputInvalid, InterchangeInvalid):
        # Without the cause: it could quote a secret.
        reason = "its keys or its history"
        raise BackupInvalid("read backup", path=call.backup, reason=reason) from None
    read = read or SecretReader(entropy)
    folder = Path(call.folder)
    databases = [Path(each) for each in call.databases]
    sealed_path = Path(call.sealed.path)
    try:
        for file in backup.files:
            path = folder / file.name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(path, file.content)
        for path in (sealed_path, *databases):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_create("restore backup", folder, error) from None
    sealed = SealedKeys.open(call.sealed, entropy, read)
    sealed.change(shares=kept.shares, own=kept.own, above=kept.edition)
    secret = SealSecret.of(call.sealed.secret)
    for file in backup.files:
        path = folder / file.name
        if path.name == PLAIN_FILE:
            seal_state_key(
                path.with_name(STATE_KEY_FILE), secret, secret, entropy=entropy, read=read
            )
    for path in databases:
        _fill(path, document, sealed.kept.edition)
    try:
        for each in (*(path for path in folder.rglob("*") if path.is_dir()), folder):
            sync_folder(each)
    except OSError as error:
        raise cannot_create("restore backup", folder, error) from None
    return BackupRestored(
        len(kept.shares),
        kept.own is not None,
        0 if document is None else len(document.keys),
        tuple(file.name for file in backup.files),
    )


@contextmanager
def _opened(paths: Sequence[Path]) -> Iterator[list[sqlite3.Connection]]:
    """Those that are there, all of them locked as by a running node."""
    with ExitStack() as stack:
        for path in paths:
            if path.parent.exists():
                stack.callback(OwnerLock.acquire(path.with_name(path.name + ".lock")).release)
        there = [path for path in paths if path.exists()]
        yield [stack.enter_context(closing(open_connection(path, _SCHEMAS))) for path in there]


def _history(databases: Sequence[sqlite3.Connection]) -> tuple[bytes, int]:
    """One document that denies all that any of them denies, and of how many keys."""
    chains = {root for c in databases if (root := history.chain(c)) is not None}
    if not chains:
        return b"", 0
    if len(chains) > 1:
        tied_to = ",".join(sorted("0x" + root.hex() for root in chains))
        raise WrongChain("back up history", tied_to=tied_to)
    parts: list[bytes] = []
    exported = interchange.export_union(
        databases, parts.append, genesis_validators_root=chains.pop()
    )
    return b"".join(parts), exported.keys


def _copied(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(FILE_MAX_BYTES + 1)
    except OSError as error:
        raise BackupInvalid("copy file", path=path, reason=error.strerror) from None
    if len(content) > FILE_MAX_BYTES:
        raise BackupTooLarge("copy file", path=path, maximum=FILE_MAX_BYTES)
    return content


def _read_backup(path: Path, secret: SealSecret, entropy: Entropy) -> Backup:
    action = "read backup"
    try:
        with path.open("rb") as stream:
            raw = stream.read(2 * FILE_MAX_BYTES)
    except OSError as error:
        raise BackupInvalid(action, path=path, reason=error.strerror) from None
    if not raw.startswith(_MAGIC):
        raise BackupInvalid(action, path=path, reason="no backup of a known version")
    try:
        sealed = raw[len(_MAGIC) :]
        content = SecretReader(entropy)(secret)
        _, text = unseal(sealed, content, secret.kind, bound_to=_PLACE, entropy=entropy)
        return msgspec.msgpack.decode(text, type=Backup)
    except SealSecretWrong as error:
        raise SealSecretWrong(action, path=path, **error.fields) from None
    except SealInvalid as error:
        raise BackupInvalid(action, path=path, **error.fields) from None
    except UNDECODABLE:
        # Without the cause: it could quote a secret.
        raise BackupInvalid(action, path=path, reason="of another form") from None


def _fill(path: Path, document: Interchange | None, edition: int) -> None:
    """Make a database with the history, the mark, and the edition of the sealed keys."""

    def fill(connection: sqlite3.Connection) -> None:
        restored.mark(connection)
        editions.note(connection, edition)
        if document is not None:
            owners = {pubkey: (pubkey,) for pubkey in document.keys}
            interchange.import_file(connection, document, owners)

    with closing(open_connection(path, _SCHEMAS)) as connection:
        (outcome,) = commit_group(connection, (fill,), path=path)
    if isinstance(outcome.error, StorageFull):
        raise StorageFullAtStart("restore backup", path=path) from None
    if outcome.error is not None:
        raise outcome.error
