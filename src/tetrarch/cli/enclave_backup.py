"""``tetrarch enclave backup|restore``: a node's folder in one sealed file, and back."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from tetrarch.cli.ceremony import (
    AsJson,
    FolderArgument,
    TpmDevice,
    folder_of,
    hold,
    option_secret,
)
from tetrarch.cli.errors import run_command
from tetrarch.enclave.seal_secret import SealSecret
from tetrarch.enclave.state_key import FILE as STATE_KEY_FILE
from tetrarch.errors import ConfigInvalid, OperatorError
from tetrarch.storage.durable_file import sync_folder
from tetrarch.storage.errors import cannot_create

# What else of a folder is copied, where it is there.
_COPIED = (
    "cluster-lock.json",
    "cluster-extension.json",
    "identity-key",
    "tls-key.pem",
    "tls-certificate.pem",
    "tetrarch.toml",
    "keymanager-token",
    "builder_registrations_overrides.json",
)
# And of its election: what its enclave sealed there. The key of that is a file of the backup's own.
_ELECTIONS = "database/election/*.sealed"

BackupPassphrase = Annotated[Path | None, typer.Option(help="The backup's own passphrase.")]
BackupKey = Annotated[
    Path | None, typer.Option(help="The backup's own key of 32 bytes, in place of a passphrase.")
]
SealPassphrase = Annotated[
    Path | None,
    typer.Option(help="The passphrase of the folder's seal. Default for a backup: as configured."),
]
SealKey = Annotated[
    Path | None, typer.Option(help="The key file of the folder's seal, in place of a passphrase.")
]
SealTpmKey = Annotated[
    Path | None, typer.Option(help="What the TPM opens the folder's seal by, in their place.")
]


class RestoreRefused(OperatorError):
    """The folder to restore into is not empty; nothing in it was touched."""

    code = "restore_refused"
    exit_code = 73  # EX_CANTCREAT
    mend = "name a folder that is not there yet"


@run_command
def backup(
    folder: FolderArgument,
    output: Annotated[Path, typer.Argument(metavar="OUT", help="The file to make.")],
    passphrase_file: BackupPassphrase = None,
    key_file: BackupKey = None,
    seal_passphrase_file: SealPassphrase = None,
    seal_key_file: SealKey = None,
    as_json: AsJson = False,
) -> None:
    """Write a stopped node's keys, histories and identity into one encrypted file.

    The enclave's process does it. Without its passphrase or key the file is worth nothing.

    \b
    Example: tetrarch enclave backup node0 node0.backup --passphrase-file /mnt/safe/backup
    Exit codes: 0 done, 65 a keystore, seal or secret is wrong, 66 a file is missing, 73 the node
      runs, or OUT exists or cannot be written, 74 disk, 78 nothing names a secret.
    """  # noqa: D301 - \b keeps the help's lines
    from tetrarch.enclave.ceremony_messages import BackupWritten, WriteBackup  # noqa: PLC0415
    from tetrarch.enclave.state_key import state_secret  # noqa: PLC0415
    from tetrarch.launch import DATABASE_FILE, ELECTION_FOLDER  # noqa: PLC0415
    from tetrarch.share_files import all_share_files, naming_holders, sealed_file  # noqa: PLC0415
    from tetrarch.signer_api.holder import load_holder  # noqa: PLC0415
    from tetrarch.signing_source import ENCLAVE_DATABASE_FILE  # noqa: PLC0415

    secret = _backup_secret(passphrase_file, key_file)
    cluster, held = load_holder(folder), folder_of(folder, seal_passphrase_file, seal_key_file)
    sealed = sealed_file(folder, held.secret)
    databases = (folder / ENCLAVE_DATABASE_FILE, folder / DATABASE_FILE)
    state = state_secret(folder / ELECTION_FOLDER, held.secret)
    call = WriteBackup(
        folder=str(folder),
        names=_names(folder),
        databases=tuple(str(path) for path in databases),
        sealed=sealed,
        shares=all_share_files(folder, cluster, only_present=True),
        output=str(output),
        secret=secret.file,
        state_key=state.file if state.path.exists() else None,
    )
    readable = [folder, secret.path]
    if sealed is not None:
        readable.append(Path(sealed.secret.path))
    with naming_holders(cluster):
        done = hold(
            call,
            BackupWritten,
            writable=(databases[0].parent, output.absolute().parent),
            readable=readable,
            required=held.config.enclave.require,
            tpm=held.tpm,
        )
    roots = {share.pubkey for share in call.shares}
    absent = sum(validator.pubkey not in roots for validator in cluster.validators)
    if as_json:
        answer = {
            "ok": True,
            "file": str(output),
            "shares": done.shares,
            "absent": absent,
            "own_keys": done.has_own_keys,
            "history_keys": done.history_keys,
            "files": done.files,
            "bytes": done.size_bytes,
        }
        print(json.dumps(answer))
        return
    print(
        f"wrote {output}: {done.shares} shares, history of {done.history_keys} keys, "
        f"{len(done.files)} files"
    )
    if absent:
        print(f"note: {absent} of {len(cluster.validators)} shares are not in this folder")


@run_command
def restore(
    source: Annotated[Path, typer.Argument(metavar="IN", help="What `backup` wrote.")],
    folder: Annotated[Path, typer.Argument(help="The folder to make; it must not be in use.")],
    passphrase_file: BackupPassphrase = None,
    key_file: BackupKey = None,
    seal_passphrase_file: SealPassphrase = None,
    seal_key_file: SealKey = None,
    seal_tpm_key_file: SealTpmKey = None,
    tpm: TpmDevice = None,
    as_json: AsJson = False,
) -> None:
    """Make a node's folder from a backup; it signs once its peers told what was signed since.

    The keys are sealed under --seal-passphrase-file, --seal-key-file or --seal-tpm-key-file, else as
    the backup was.
    Make sure before that no other node runs with them, and none ever will.

    \b
    Example: tetrarch enclave restore node0.backup node0 --passphrase-file /mnt/safe/backup
    Exit codes: 0 done, 65 no backup, changed, cut short or another secret, 66 a file is missing,
      73 FOLDER is in use or cannot be written, 74 disk, 78 nothing names a secret.
    """  # noqa: D301 - \b keeps the help's lines
    from tetrarch.cli.files import read_bounded  # noqa: PLC0415 - keeps `--help` fast
    from tetrarch.enclave.ceremony_messages import BackupRestored, RestoreBackup  # noqa: PLC0415
    from tetrarch.enclave.messages import SealedFile  # noqa: PLC0415
    from tetrarch.launch import DATABASE_FILE  # noqa: PLC0415
    from tetrarch.share_files import SECRET_SETTINGS, sealed_keys_path  # noqa: PLC0415
    from tetrarch.signing_source import ENCLAVE_DATABASE_FILE  # noqa: PLC0415

    secret = _backup_secret(passphrase_file, key_file)
    seal = (
        option_secret(seal_passphrase_file, seal_key_file, seal_tpm_key_file, prefix="seal-")
        or secret
    )
    read_bounded(source, 0)  # it is there
    with _made_whole(folder) as temporary:
        call = RestoreBackup(
            backup=str(source),
            secret=secret.file,
            folder=str(temporary),
            sealed=SealedFile(str(sealed_keys_path(temporary)), seal.file),
            databases=tuple(
                str(temporary / name) for name in (ENCLAVE_DATABASE_FILE, DATABASE_FILE)
            ),
        )
        done = hold(
            call,
            BackupRestored,
            writable=(temporary,),
            readable=(source, secret.path, seal.path),
            tpm=tpm,
        )
    if as_json:
        answer = {
            "ok": True,
            "folder": str(folder),
            "shares": done.shares,
            "own_keys": done.has_own_keys,
            "history_keys": done.history_keys,
            "files": done.files,
            "sealed_by": seal.kind.name.lower(),
        }
        print(json.dumps(answer))
        return
    print(f"made {folder}: {done.shares} shares, history of {done.history_keys} keys")
    setting = SECRET_SETTINGS[seal.kind]
    print(f"its keys are sealed by {seal.path}: set [enclave] {setting} in its tetrarch.toml")
    print("it signs nothing slashable before its peers told what its keys signed since the backup")


def _backup_secret(passphrase_file: Path | None, key_file: Path | None) -> SealSecret:
    secret = option_secret(passphrase_file, key_file)
    if secret is None:
        names = "--passphrase-file and --key-file"
        raise ConfigInvalid("read options", options=names, reason="one of them seals the backup")
    return secret


def _names(folder: Path) -> tuple[str, ...]:
    elections = (path for path in sorted(folder.glob(_ELECTIONS)) if path.name != STATE_KEY_FILE)
    there = (name for name in _COPIED if (folder / name).exists())
    return (*there, *(path.relative_to(folder).as_posix() for path in elections))


@contextmanager
def _made_whole(folder: Path) -> Iterator[Path]:
    """A new folder beside ``folder``, which takes its place when the block is done."""
    temporary = folder.with_name(folder.name + ".restoring")
    try:
        if folder.exists() and any(folder.iterdir()):
            reason = "it has signed" if (folder / "database").exists() else "it is not empty"
            raise RestoreRefused("restore backup", folder=folder, reason=reason)
        shutil.rmtree(temporary, ignore_errors=True)  # of a restore that was broken off
        temporary.mkdir(mode=0o700, parents=True)
        try:
            yield temporary
            temporary.rename(folder)  # POSIX: replaces an empty folder, refuses any other
            sync_folder(folder.absolute().parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise cannot_create("restore backup", folder, error) from None
