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
from tetrarch.share_files import seal_secret, sealed_file, sealed_keys_path
from tetrarch.storage.errors import StorageFull, StorageFullAtStart

FolderArgument: TypeAlias = Annotated[Path, typer.Argument(help="The node's folder.")]
PassphraseFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="The passphrase of the seal. Default: as FOLDER/tetrarch.toml says."),
]
KeyFile: TypeAlias = Annotated[
    Path | None, typer.Option(help="The seal's key of 32 bytes, in place of a passphrase.")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@dataclass(frozen=True, slots=True)
class Held:
    """A node's folder, its configuration, and what opens its seal."""

    folder: Path
    config: NodeConfig
    secret: SealSecret | None

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


def folder_of(folder: Path, passphrase_file: Path | None, key_file: Path | None) -> Held:
    """``folder``, with its seal's secret from the options, or else from its configuration.

    Raises:
        ConfigInvalid: both options are given, or the configuration is wrong.
    """
    secret = option_secret(passphrase_file, key_file, names="--passphrase-file and --key-file")
    config = load_config(folder)
    return Held(folder, config, secret or seal_secret(folder, config.enclave))


def option_secret(
    passphrase_file: Path | None, key_file: Path | None, *, names: str
) -> SealSecret | None:
    """The secret that one of two options names; ``names`` of the options, for the error.

    Raises:
        ConfigInvalid: both are given.
    """
    if passphrase_file is not None and key_file is not None:
        raise ConfigInvalid("read options", options=names, reason="both are given")
    if passphrase_file is not None:
        return SealSecret(Kind.PASSPHRASE, passphrase_file)
    return None if key_file is None else SealSecret(Kind.KEY_FILE, key_file)


def hold(
    call: CeremonyCall,
    answer: type[A],
    *,
    writable: Sequence[Path],
    readable: Sequence[Path],
    required: tuple[Protection, ...] = (),
) -> A:
    """Start an enclave that may touch these folders and files, hold one ceremony, end it.

    Raises:
        OperatorError: what the enclave says.
    """
    confinement = Confinement(
        writable=tuple(dict.fromkeys(writable)),
        readable=tuple(dict.fromkeys(readable)),
        required=required,
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
