"""Where the secret that opens a seal lies. Only the enclave reads it; a node knows its path."""

import contextlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tetrarch.enclave.errors import SealSecretMissing
from tetrarch.enclave.messages import SecretFile
from tetrarch.enclave.sealing import KEY_FILE_SIZE_BYTES, Kind
from tetrarch.entropy import Entropy
from tetrarch.storage.durable_file import SECRET_MODE
from tetrarch.storage.errors import cannot_create


@dataclass(frozen=True, slots=True)
class SealSecret:
    """A file with a passphrase (a line end after it does not count), with a key, or for a TPM.

    A key has 32 bytes; a TPM's file is one of ``tpm_key_file``. ``sealed_by``: the file is sealed
    itself, by another secret.
    """

    kind: Kind
    path: Path
    sealed_by: "SealSecret | None" = None

    @classmethod
    def of(cls, file: SecretFile) -> Self:
        """As a message names it."""
        sealed_by = None if file.sealed_by is None else cls.of(file.sealed_by)
        return cls(file.kind, Path(file.path), sealed_by)

    @property
    def file(self) -> SecretFile:
        """As a message."""
        sealed_by = None if self.sealed_by is None else self.sealed_by.file
        return SecretFile(str(self.path), self.kind, sealed_by)

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files that an enclave reads for it."""
        return (self.path, *(() if self.sealed_by is None else self.sealed_by.paths))

    def check(self) -> None:
        """Whether there is such a file that is nobody else's; reads none of it.

        Raises:
            SealSecretMissing: there is none, or others may read it too.
        """
        try:
            refuse_readable_by_others(self.path, self.path.stat().st_mode)
        except OSError as error:
            raise SealSecretMissing("find secret", path=self.path, reason=error.strerror) from None


def refuse_readable_by_others(path: Path, mode: int) -> None:
    """``mode``: of ``path``. Raises SealSecretMissing: others may read it."""
    if stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SealSecretMissing("read secret", path=path, reason=f"mode {stat.S_IMODE(mode):04o}")


def make_key_file(path: Path, entropy: Entropy) -> None:
    """Make a key file if there is none yet; whom it is not given to, it cannot be read by.

    Raises:
        FolderNotWritable: the folder refuses.
    """
    with contextlib.suppress(FileExistsError):
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET_MODE)
        except FileExistsError:
            raise
        except OSError as error:
            raise cannot_create("make key file", path, error) from None
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(entropy(KEY_FILE_SIZE_BYTES))
            stream.flush()
            os.fsync(descriptor)
