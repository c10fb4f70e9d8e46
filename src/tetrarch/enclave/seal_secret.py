"""Where the secret that opens a seal lies. Only the enclave reads it; a node knows its path."""

import contextlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tetrarch.enclave.errors import SealSecretMissing
from tetrarch.enclave.messages import SecretFile
from tetrarch.enclave.sealing import KEY_FILE_SIZE_BYTES, PASSPHRASE_MAX_BYTES, Kind
from tetrarch.entropy import Entropy
from tetrarch.storage.durable_file import SECRET_MODE
from tetrarch.storage.errors import cannot_create


@dataclass(frozen=True, slots=True)
class SealSecret:
    """A file with a passphrase (a line end after it does not count), or with a key of 32 bytes."""

    kind: Kind
    path: Path

    @classmethod
    def of(cls, file: SecretFile) -> Self:
        """As a message names it."""
        return cls(Kind.PASSPHRASE if file.is_passphrase else Kind.KEY_FILE, Path(file.path))

    @property
    def file(self) -> SecretFile:
        """As a message."""
        return SecretFile(str(self.path), self.kind is Kind.PASSPHRASE)

    def check(self) -> None:
        """Whether there is such a file that is nobody else's; reads none of it.

        Raises:
            SealSecretMissing: there is none, or others may read it too.
        """
        try:
            _refuse_readable_by_others(self.path, self.path.stat().st_mode)
        except OSError as error:
            raise SealSecretMissing("find secret", path=self.path, reason=error.strerror) from None

    def read(self) -> bytes:
        """The secret.

        Raises:
            SealSecretMissing: there is none, or others may read it too.
        """
        size_max = PASSPHRASE_MAX_BYTES if self.kind is Kind.PASSPHRASE else KEY_FILE_SIZE_BYTES
        try:
            with self.path.open("rb") as stream:
                mode = os.fstat(stream.fileno()).st_mode
                content = stream.read(size_max + 3)
        except OSError as error:
            raise SealSecretMissing("read secret", path=self.path, reason=error.strerror) from None
        _refuse_readable_by_others(self.path, mode)
        if self.kind is Kind.PASSPHRASE:
            content = content.rstrip(b"\r\n")
        enough = len(content) > 0 if self.kind is Kind.PASSPHRASE else len(content) == size_max
        if not enough or len(content) > size_max:
            raise SealSecretMissing("read secret", path=self.path, bytes=len(content))
        return content


def _refuse_readable_by_others(path: Path, mode: int) -> None:
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
