"""A secret of 32 bytes that the enclave makes at its first use, sealed in a file of its own."""

from pathlib import Path

from tetrarch.enclave.errors import SealInvalid
from tetrarch.enclave.sealing import Kind, new_key, unseal
from tetrarch.entropy import Entropy
from tetrarch.storage.durable_file import write_durably
from tetrarch.storage.errors import cannot_create
from tetrarch.storage.lock import OwnerLock

SECRET_SIZE_BYTES = 32
_SEALED_MAX_BYTES = 1 << 10


def sealed_secret(
    path: Path, *, kind: Kind, content: bytes, bound_to: bytes, entropy: Entropy
) -> bytes:
    """The 32 bytes in ``path``, made and sealed at the first call; ``content``: what opens it.

    Raises:
        SealInvalid, SealSecretWrong: the file cannot be read.
        FolderNotWritable, StorageInUse: nor made.
    """
    lock = OwnerLock.acquire(path.with_suffix(".lock"))  # two first starts would make two
    try:
        if not path.exists():
            secret = entropy(SECRET_SIZE_BYTES)
            write_sealed_secret(
                path, secret, kind=kind, content=content, bound_to=bound_to, entropy=entropy
            )
            return secret
    finally:
        lock.release()
    return read_sealed_secret(path, kind=kind, content=content, bound_to=bound_to, entropy=entropy)


def read_sealed_secret(
    path: Path, *, kind: Kind, content: bytes, bound_to: bytes, entropy: Entropy
) -> bytes:
    """The 32 bytes in ``path``.

    Raises:
        SealInvalid, SealSecretWrong: the file is not there, or does not open.
    """
    try:
        with path.open("rb") as stream:
            sealed = stream.read(_SEALED_MAX_BYTES)
    except OSError as error:
        raise SealInvalid("read sealed secret", path=path, reason=error.strerror) from None
    _, secret = unseal(sealed, content, kind, bound_to=bound_to, entropy=entropy)
    if len(secret) != SECRET_SIZE_BYTES:
        raise SealInvalid("read sealed secret", path=path, bytes=len(secret))
    return secret


def write_sealed_secret(
    path: Path, secret: bytes, *, kind: Kind, content: bytes, bound_to: bytes, entropy: Entropy
) -> None:
    """Seal ``secret`` in ``path``, durable on return.

    Raises:
        FolderNotWritable: the folder refuses.
    """
    key = new_key(kind, content, entropy)
    try:
        write_durably(path, key.seal(secret, bound_to=bound_to))
    except OSError as error:
        raise cannot_create("seal secret", path, error) from None
