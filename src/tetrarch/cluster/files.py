"""Names of the files in a node's folder, and the only ways they are read and written.

Every failure becomes an error that names the file.
"""

import os
from pathlib import Path
from typing import Final

from tetrarch.cluster.errors import ClusterFileInvalid, ClusterFileMissing, ClusterFolderUnwritable

LOCK_FILE: Final = "cluster-lock.json"
EXTENSION_FILE: Final = "cluster-extension.json"
IDENTITY_KEY_FILE: Final = "identity-key"
TLS_KEY_FILE: Final = "tls-key.pem"
TLS_CERTIFICATE_FILE: Final = "tls-certificate.pem"
VALIDATOR_KEYS_FOLDER: Final = "validator_keys"
CLUSTER_KEY_FOLDER: Final = "cluster_key"

LOCK_SIZE_BYTES_MAX: Final = 1 << 28  # 65,536 validators of ten nodes
EXTENSION_SIZE_BYTES_MAX: Final = 1 << 22
SMALL_FILE_SIZE_BYTES_MAX: Final = 1 << 16

SECRET_MODE: Final = 0o600
READ_ONLY_SECRET_MODE: Final = 0o400
PUBLIC_MODE: Final = 0o444


def read_file(path: Path, *, size_max: int = SMALL_FILE_SIZE_BYTES_MAX) -> bytes:
    """The bytes of ``path``, at most ``size_max``.

    Raises:
        ClusterFileMissing: it cannot be read.
        ClusterFileInvalid: it is longer.
    """
    try:
        with path.open("rb") as file:
            data = file.read(size_max + 1)
    except OSError as error:
        raise ClusterFileMissing("read file", file=path, reason=error.strerror) from error
    if len(data) > size_max:
        raise ClusterFileInvalid("read file", file=path, size_bytes_max=size_max)
    return data


def write_file(path: Path, data: bytes, *, mode: int = PUBLIC_MODE) -> None:
    """Create ``path`` with ``data`` and exactly ``mode``, durable on return.

    Raises:
        ClusterFolderUnwritable: it exists, or the file system refuses.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET_MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
    except OSError as error:
        raise ClusterFolderUnwritable("write file", file=path, reason=error.strerror) from error
