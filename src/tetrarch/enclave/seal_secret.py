"""Where the secret that opens a seal lies. Only the enclave reads it; a node knows its path."""

import contextlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from tetrarch.enclave.errors import SealSecretMissing
from tetrarch.enclave.sealing import KEY_FILE_SIZE_BYTES, PASSPHRASE_MAX_BYTES, Kind
from tetrarch.entropy import Entropy
from tetrarch.storage.durable_file import SECRET_MODE
from tetrarch.storage.errors import cannot_create


@dataclass(frozen=True, slots=True)
class SealSecret:
    """A file with a passphrase (a line end after it does not count), or with a key of 32 bytes."""

    kind: Kind
    path: Path

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
        if stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise SealSecretMissing(
                "read secret", path=self.path, reason=f"mode {stat.S_IMODE(mode):04o}"
            )
        if self.kind is Kind.PASSPHRASE:
            content = content.rstrip(b"\r\n")
        enough = len(content) > 0 if self.kind is Kind.PASSPHRASE else len(content) == size_max
        if not enough or len(content) > size_max:
            raise SealSecretMissing("read secret", path=self.path, bytes=len(content))
        return content


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
