"""From what an enclave has its TPM make a key: a secret, sealed in the enclave's folder.

Who copies the folder gets the same key on this TPM only; who loses it gets another key, so another
measurement.
"""

from pathlib import Path

from tetrarch.enclave.errors import SealInvalid
from tetrarch.enclave.seal_secret import SealSecret
from tetrarch.enclave.sealing import new_key, unseal
from tetrarch.enclave.tpm_attesting import SECRET_SIZE_BYTES
from tetrarch.entropy import Entropy
from tetrarch.storage.durable_file import write_durably
from tetrarch.storage.errors import cannot_create
from tetrarch.storage.lock import OwnerLock

FILE = "tpm-secret.sealed"
_LOCK = "tpm-secret.lock"
_SEALED_MAX_BYTES = 1 << 10
_BOUND_TO = b"tetrarch/tpm/1/secret"


def tpm_secret(folder: Path, secret: SealSecret, entropy: Entropy) -> bytes:
    """The 32 bytes in ``folder``; made and sealed there at the first call.

    Raises:
        SealInvalid, SealSecretWrong, SealSecretMissing: the file cannot be read.
        FolderNotWritable, StorageInUse: nor made.
    """
    path = folder / FILE
    content = secret.read()
    lock = OwnerLock.acquire(folder / _LOCK)  # two first starts would make two
    try:
        try:
            with path.open("rb") as stream:
                sealed = stream.read(_SEALED_MAX_BYTES)
        except FileNotFoundError:
            return _made(path, secret, content, entropy)
        except OSError as error:
            raise SealInvalid("read TPM secret", path=path, reason=error.strerror) from None
    finally:
        lock.release()
    _, text = unseal(sealed, content, secret.kind, bound_to=_BOUND_TO, entropy=entropy)
    if len(text) != SECRET_SIZE_BYTES:
        raise SealInvalid("read TPM secret", path=path, bytes=len(text))
    return text


def _made(path: Path, secret: SealSecret, content: bytes, entropy: Entropy) -> bytes:
    text = entropy(SECRET_SIZE_BYTES)
    key = new_key(secret.kind, content, entropy)
    try:
        write_durably(path, key.seal(text, bound_to=_BOUND_TO))
    except OSError as error:
        raise cannot_create("seal TPM secret", path, error) from None
    return text
