"""From what an enclave has its TPM make a key: a secret, sealed in the enclave's folder.

Who copies the folder gets the same key on this TPM only; who loses it gets another key, so another
measurement.
"""

from pathlib import Path

from tetrarch.enclave.seal_secret import SealSecret
from tetrarch.enclave.sealed_secret import sealed_secret
from tetrarch.enclave.secret_reading import SecretReader
from tetrarch.entropy import Entropy

FILE = "tpm-secret.sealed"
_BOUND_TO = b"tetrarch/tpm/1/secret"


def tpm_secret(folder: Path, secret: SealSecret, entropy: Entropy, read: SecretReader) -> bytes:
    """The 32 bytes in ``folder``; made and sealed there at the first call.

    Raises:
        SealInvalid, SealSecretWrong, SealSecretMissing: the file cannot be read.
        FolderNotWritable, StorageInUse: nor made.
    """
    return sealed_secret(
        folder / FILE,
        kind=secret.kind,
        content=read(secret),
        bound_to=_BOUND_TO,
        entropy=entropy,
    )
