"""What the commands of `tetrarch enclave` share: which secret, and an enclave for one ceremony."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from tetrarch.config import NodeConfig, load_config
from tetrarch.enclave.ceremony_messages import CeremonyCall
from tetrarch.enclave.client import A, EnclaveClient
from tetrarch.enclave.errors import SealSecretUnnamed
from tetrarch.enclave.messages import SealedFile
from tetrarch.enclave.protections import Confinement, Protection
from tetrarch.enclave.seal_secret import SealSecret
from tetrarch.enclave.sealing import Kind
from tetrarch.errors import ConfigInvalid
from tetrarch.share_files import SECRET_SETTINGS, seal_secret, sealed_file, sealed_keys_path
from tetrarch.storage.errors import StorageFull, StorageFullAtStart

FolderArgument: TypeAlias = Annotated[Path, typer.Argument(help="The node's folder.")]
PassphraseFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="The passphrase of the seal. Default: as FOLDER/tetrarch.toml says."),
]
KeyFile: TypeAlias = Annotated[
    Path | None, typer.Option(help="The seal's key of 32 bytes, in place of a passphrase.")
]
TpmKeyFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="What the TPM opens the seal by (`tetrarch enclave tpm-key`)."),
]
TpmDevice: TypeAlias = Annotated[
    Path | None,
    typer.Option("--tpm", help="This machine's TPM, as /dev/tpmrm0. Default: as configured."),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@dataclass(frozen=True, slots=True)
class Held:
    """A node's folder, its configuration, and what opens its seal."""

    folder: Path
    config: NodeConfig
    secret: SealSecret | None
    tpm: Path | None

    @property
    def sealed(self) -> SealedFile:
        """Its sealed keys, there or yet to be made.

        Raises:
            SealSecretUnnamed: nothing names what opens them.
        """
        file = sealed_file(self.folder, self.secret)
        if file is None:
            raise SealSecretUnnamed("open sealed keys", path=sealed_keys_path(self.folder))
        return file


def folder_of(
    folder: Path,
    passphrase_file: Path | None,
    key_file: Path | None,
    tpm_key_file: Path | None = None,
    tpm: Path | None = None,
) -> Held:
    """``folder``, with its seal's secret and TPM from the options, or else from its configuration.

    Raises:
        ConfigInvalid: two options are given, or the configuration is wrong.
    """
    secret = option_secret(passphrase_file, key_file, tpm_key_file)
    config = load_config(folder)
    secret = secret or seal_secret(folder, config.enclave)
    return Held(folder, config, secret, tpm or config.enclave.tpm_path)


def option_secret(
    passphrase_file: Path | None,
    key_file: Path | None,
    tpm_key_file: Path | None = None,
    *,
    prefix: str = "",
) -> SealSecret | None:
    """The secret that one of the options names; ``prefix``: of their names, for the error.

    Raises:
        ConfigInvalid: more than one is given.
    """
    named = {
        Kind.PASSPHRASE: passphrase_file,
        Kind.KEY_FILE: key_file,
        Kind.TPM: tpm_key_file,
    }
    secrets = [SealSecret(kind, path) for kind, path in named.items() if path is not None]
    if len(secrets) > 1:
        names = " and ".join(
            f"--{prefix}{SECRET_SETTINGS[secret.kind].replace('_', '-')}" for secret in secrets
        )
        raise ConfigInvalid("read options", options=names, reason="only one may be given")
    return secrets[0] if secrets else None


def hold(
    call: CeremonyCall,
    answer: type[A],
    *,
    writable: Sequence[Path],
    readable: Sequence[Path],
    required: tuple[Protection, ...] = (),
    tpm: Path | None = None,
) -> A:
    """Start an enclave that may touch these folders and files, hold one ceremony, end it.

    Raises:
        OperatorError: what the enclave says.
    """
    confinement = Confinement(
        writable=tuple(dict.fromkeys(writable)),
        readable=tuple(dict.fromkeys(readable)),
        required=required,
        tpm=tpm,
    )

    async def main() -> A:
        enclave = await EnclaveClient.launch(confinement)
        try:
            return await enclave.hold(call, answer)
        finally:
            await enclave.close()

    try:
        return asyncio.run(main())
    except StorageFull as error:
        raise StorageFullAtStart(error.action, **error.fields) from error
