"""``tetrarch enclave seal|keygen|attest``: keys at rest, and what an enclave shows of itself."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from tetrarch.cli.ceremony import (
    AsJson,
    FolderArgument,
    KeyFile,
    PassphraseFile,
    TpmDevice,
    TpmKeyFile,
    folder_of,
    hold,
    option_secret,
)
from tetrarch.cli.errors import run_command
from tetrarch.errors import ConfigInvalid
from tetrarch.storage.folders import make_folder

NONCE_HELP = "32 bytes that who verifies has drawn, as hex: evidence that answers them is not old."


@run_command
def seal(
    folder: FolderArgument,
    passphrase_file: PassphraseFile = None,
    key_file: KeyFile = None,
    tpm_key_file: TpmKeyFile = None,
    tpm: TpmDevice = None,
    new_passphrase_file: Annotated[
        Path | None, typer.Option(help="Seal all of it anew under this passphrase.")
    ] = None,
    new_key_file: Annotated[
        Path | None, typer.Option(help="Seal all of it anew under this key of 32 bytes.")
    ] = None,
    new_tpm_key_file: Annotated[
        Path | None, typer.Option(help="Seal all of it anew by what the TPM opens.")
    ] = None,
    remove_keystores: Annotated[
        bool,
        typer.Option(
            "--remove-keystores",
            help="Delete keystores and passwords once the seal was opened again and holds them.",
        ),
    ] = False,
    accept_older_keys: Annotated[
        bool,
        typer.Option(
            "--accept-older-keys",
            help="Take a sealed file that is older than what this node had. Keys that were "
            "removed since are in it: sure that nobody else signs with them?",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Seal a stopped node's share keystores into one file, or seal that file anew.

    The enclave's process does it; no other ever sees a key. Broken off, it is safe to run again.

    \b
    Example: tetrarch enclave seal node0 --passphrase-file /run/secrets/node0 --remove-keystores
    Exit codes: 0 done, 65 a keystore, seal or secret is wrong, 66 a file is missing, 73 the node
      runs or its folder cannot be written, 74 disk, 78 nothing names the secret.
    """  # noqa: D301 - \b keeps the help's lines
    from tetrarch.cluster.files import CLUSTER_KEY_FOLDER, VALIDATOR_KEYS_FOLDER  # noqa: PLC0415 - fast `--help`
    from tetrarch.enclave.ceremony_messages import SealShares, SharesSealed  # noqa: PLC0415
    from tetrarch.enclave.state_key import FILE as STATE_KEY_FILE  # noqa: PLC0415
    from tetrarch.launch import ELECTION_FOLDER  # noqa: PLC0415
    from tetrarch.share_files import (  # noqa: PLC0415
        SECRET_SETTINGS,
        all_share_files,
        naming_holders,
        seal_secret,
    )
    from tetrarch.signer_api.holder import load_holder  # noqa: PLC0415
    from tetrarch.signing_source import ENCLAVE_DATABASE_FILE  # noqa: PLC0415

    held = folder_of(folder, passphrase_file, key_file, tpm_key_file, tpm)
    new = option_secret(new_passphrase_file, new_key_file, new_tpm_key_file, prefix="new-")
    cluster, sealed = load_holder(folder), held.sealed
    database, election = folder / ENCLAVE_DATABASE_FILE, folder / ELECTION_FOLDER
    keys = (folder / VALIDATOR_KEYS_FOLDER, folder / CLUSTER_KEY_FOLDER)
    call = SealShares(
        database=str(database),
        sealed=sealed,
        shares=all_share_files(folder, cluster),
        new_secret=None if new is None else new.file,
        removes_files=remove_keystores,
        accepts_older=accept_older_keys,
        state_key=str(election / STATE_KEY_FILE) if election.exists() else None,
    )
    with naming_holders(cluster):
        done = hold(
            call,
            SharesSealed,
            writable=(make_folder(database.parent), Path(sealed.path).parent, *keys),
            readable=[Path(s.path) for s in (sealed.secret, call.new_secret) if s is not None],
            required=held.config.enclave.require,
            tpm=held.tpm,
        )
    if as_json:
        answer = {
            "ok": True,
            "file": sealed.path,
            "edition": done.edition,
            "sealed": done.sealed,
            "newly_sealed": done.newly_sealed,
            "absent": done.absent,
            "sealed_anew": done.is_sealed_anew,
            "keystores_left": done.files_left,
            "files_removed": done.files_removed,
        }
        print(json.dumps(answer))
        return
    print(f"sealed {done.sealed} shares in {sealed.path}, edition {done.edition}")
    if done.absent:
        count = f"{done.absent} of {len(cluster.validators)}"
        _note(f"{count} shares are neither sealed nor in keystores")
    if done.files_left:
        _note(f"{done.files_left} keystores still lie beside it: --remove-keystores deletes them")
    if seal_secret(folder, held.config.enclave) != (new or held.secret):
        secret = call.new_secret or sealed.secret
        setting = SECRET_SETTINGS[secret.kind]
        _note(f"name its secret to the node: [enclave] {setting} in {folder / 'tetrarch.toml'}")


@run_command
def keygen(
    folder: FolderArgument,
    passphrase_file: PassphraseFile = None,
    key_file: KeyFile = None,
    tpm_key_file: TpmKeyFile = None,
    tpm: TpmDevice = None,
    as_json: AsJson = False,
) -> None:
    """Make a stopped node's enclave keys of its own, sealed, and print the public halves.

    One signs evidence (Ed25519), to the other secrets are encrypted (X25519). Once made they stay.

    Example: tetrarch enclave keygen node0 --passphrase-file /run/secrets/node0

    Exit codes: 0 done, 65 seal or secret is wrong, 66 a file is missing, 73 the node runs or its
    folder cannot be written, 74 disk, 78 nothing names the secret.
    """
    from tetrarch.enclave.ceremony_messages import MakeOwnKeys, OwnKeysMade  # noqa: PLC0415
    from tetrarch.signer_api.holder import load_holder  # noqa: PLC0415
    from tetrarch.signing_source import ENCLAVE_DATABASE_FILE  # noqa: PLC0415

    load_holder(folder)  # a node's folder, and no other
    held = folder_of(folder, passphrase_file, key_file, tpm_key_file, tpm)
    database, sealed = folder / ENCLAVE_DATABASE_FILE, held.sealed
    made = hold(
        MakeOwnKeys(str(database), sealed),
        OwnKeysMade,
        writable=(make_folder(database.parent), Path(sealed.path).parent),
        readable=(Path(sealed.secret.path),),
        required=held.config.enclave.require,
        tpm=held.tpm,
    )
    keys = {"signing_key": made.signing_key.hex(), "sealing_key": made.sealing_key.hex()}
    if as_json:
        print(json.dumps({"ok": True, "file": sealed.path, **keys, "new": made.is_new}))
        return
    for name, value in keys.items():
        print(f"{name:12} {value}")
    if not made.is_new:
        _note("they were made before")


@run_command
def tpm_key(
    file: Annotated[Path, typer.Argument(help="The file to make.")],
    tpm: Annotated[Path, typer.Option(help="This machine's TPM, as /dev/tpmrm0.")],
    pcr: Annotated[
        list[int] | None,
        typer.Option(
            min=0,
            max=23,
            help="Open only while this PCR holds what it holds now: 7, unless secure boot was "
            "changed. Repeat.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a file by which this machine's TPM, and no other, opens a seal.

    The file is no secret, and without that TPM it is worth nothing: keep a backup of what is sealed
    by it (`tetrarch enclave backup`).

    \b
    Example: tetrarch enclave tpm-key node0/seal.tpm --tpm /dev/tpmrm0
             tetrarch enclave seal node0 --tpm-key-file node0/seal.tpm --tpm /dev/tpmrm0
    Exit codes: 0 done, 69 there is no such TPM, or it refuses, 73 the file is there, or cannot be
      written.
    """  # noqa: D301 - \b keeps the help's lines
    from tetrarch.enclave.ceremony_messages import MakeTpmKey, TpmKeyMade  # noqa: PLC0415

    registers = tuple(sorted(set(pcr or ())))
    path = file.absolute()
    hold(
        MakeTpmKey(str(path), registers), TpmKeyMade, writable=(path.parent,), readable=(), tpm=tpm
    )
    if as_json:
        print(json.dumps({"ok": True, "file": str(file), "pcrs": registers}))
        return
    print(f"made {file}: {tpm} opens what is sealed by it")
    if registers:
        held = ", ".join(map(str, registers))
        _note(f"only while these PCRs hold what they hold now: {held}")


@run_command
def attest(
    folder: FolderArgument,
    nonce: Annotated[str, typer.Option(help=NONCE_HELP)],
    out: Annotated[Path, typer.Option(help="Where the evidence goes; overwritten.")],
    passphrase_file: PassphraseFile = None,
    key_file: KeyFile = None,
    tpm_key_file: TpmKeyFile = None,
    tpm: TpmDevice = None,
    as_json: AsJson = False,
) -> None:
    """Show who this node's enclave is, to somebody who has drawn a nonce.

    Printed is what he needs beside the file: as one JSON object it is `--subject` of
    `tetrarch enclave verify`. Where a TPM is named it vouches, as for `tetrarch enclave measure
    --tpm`. The node may run.

    Example: tetrarch enclave attest node0 --nonce $NONCE --out node0.evidence --json > node0.json

    Exit codes: 0 done, 65 seal or secret is wrong, 66 no keys (`tetrarch enclave keygen`) or a
    file is missing, 73 the file cannot be written, 78 nothing names the secret, or no such nonce.
    """
    from tetrarch.attestation.binding import NONCE_SIZE_BYTES  # noqa: PLC0415
    from tetrarch.attestation.verifier import decode_evidence  # noqa: PLC0415
    from tetrarch.election.joining import prepare_node_folder  # noqa: PLC0415
    from tetrarch.enclave.ceremony_messages import AskEvidence, EvidenceMade  # noqa: PLC0415
    from tetrarch.enclave.tpm_messages import OpenTpm  # noqa: PLC0415
    from tetrarch.launch import ELECTION_FOLDER  # noqa: PLC0415
    from tetrarch.signer_api.holder import load_holder  # noqa: PLC0415

    drawn = read_hex(nonce, "--nonce", size=NONCE_SIZE_BYTES)
    cluster, held = (
        load_holder(folder),
        folder_of(folder, passphrase_file, key_file, tpm_key_file, tpm),
    )
    sealed, node = held.sealed, f"node{cluster.peer_index}"
    writable: tuple[Path, ...] = ()
    by_tpm = None
    if held.tpm is not None:
        state = folder / ELECTION_FOLDER
        by_tpm = OpenTpm(str(state), prepare_node_folder(state, held.secret).file)
        writable = (state,)
    made = hold(
        AskEvidence(sealed, node, cluster.lock_hash, drawn, by_tpm),
        EvidenceMade,
        writable=writable,
        readable=(Path(sealed.path).parent, Path(sealed.secret.path)),
        required=held.config.enclave.require,
        tpm=held.tpm,
    )
    evidence = decode_evidence(made.evidence)
    names = (out, *(out.with_name(f"{out.name}.{n}") for n in range(len(evidence.endorsements))))
    for path, content in zip(names, (evidence.document, *evidence.endorsements), strict=True):
        _write(path, content)
    told = {
        "back_end": evidence.back_end.value,
        "evidence": str(out),
        "endorsements": [str(path) for path in names[1:]],
        "node": node,
        "configuration_hash": cluster.lock_hash.hex(),
        "signing_key": made.signing_key.hex(),
        "sealing_key": made.sealing_key.hex(),
        "incarnation": made.incarnation.hex(),
        "nonce": nonce.lower(),
        "bound": made.bound.hex(),
    }
    if as_json:
        print(json.dumps(told))
        return
    for name, value in told.items():
        if value:
            print(f"{name:18} {value}")


def read_hex(text: str, option: str, *, size: int) -> bytes:
    """The bytes of a hex option.

    Raises:
        ConfigInvalid: it is not hex of ``size`` bytes.
    """
    try:
        value = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        value = b""
    if len(value) != size:
        raise ConfigInvalid("read option", option=option, expected=f"{size} bytes as hex")
    return value


def _write(path: Path, content: bytes) -> None:
    from tetrarch.storage.durable_file import write_durably  # noqa: PLC0415
    from tetrarch.storage.errors import cannot_create  # noqa: PLC0415

    try:
        write_durably(path, content)
    except OSError as error:
        raise cannot_create("write evidence", path, error) from None


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)
