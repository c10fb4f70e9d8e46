"""The key of what an enclave seals beside its shares: sealed itself, or, without a seal, in a plain file.

So a rotation of the seal writes one small file anew, and not all that is sealed under this key.
"""

from pathlib import Path

from tetrarch.enclave.errors import SealInvalid, SealSecretWrong
from tetrarch.enclave.seal_secret import SealSecret
from tetrarch.enclave.sealed_secret import read_sealed_secret, write_sealed_secret
from tetrarch.enclave.sealing import Kind
from tetrarch.enclave.secret_reading import STATE_KEY_BOUND_TO, SecretReader
from tetrarch.entropy import Entropy
from tetrarch.storage.durable_file import sync_folder
from tetrarch.storage.errors import cannot_create

FILE = "state-key.sealed"
PLAIN_FILE = "seal-key"


def state_secret(folder: Path, secret: SealSecret | None) -> SealSecret:
    """What opens the state in ``folder``, where ``secret`` opens the enclave's seal, if there is one.

    A plain key that is there goes on to be used, until ``seal_state_key`` seals it.
    """
    plain = SealSecret(Kind.KEY_FILE, folder / PLAIN_FILE)
    if secret is None or plain.path.exists():
        return plain
    return SealSecret(Kind.KEY_FILE, folder / FILE, sealed_by=secret)


def seal_state_key(
    path: Path, old: SealSecret, new: SealSecret, *, entropy: Entropy, read: SecretReader
) -> None:
    """Seal the key in ``path`` under ``new``, or the plain one beside it, which ends then.

    Does nothing where neither is there, or it was done before.

    Raises:
        SealInvalid, SealSecretWrong, SealSecretMissing: it does not open.
        FolderNotWritable: the folder refuses.
    """
    plain = SealSecret(Kind.KEY_FILE, path.with_name(PLAIN_FILE))
    if plain.path.exists():
        key: bytes | None = read(plain)
    else:
        key = _sealed_otherwise(path, old, new, entropy=entropy, read=read)
    if key is None:
        return
    write_sealed_secret(
        path,
        key,
        kind=new.kind,
        content=read(new),
        bound_to=STATE_KEY_BOUND_TO,
        entropy=entropy,
    )
    try:
        plain.path.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise cannot_create("remove plain key", plain.path, error) from None


def _sealed_otherwise(
    path: Path, old: SealSecret, new: SealSecret, *, entropy: Entropy, read: SecretReader
) -> bytes | None:
    """The key in ``path`` that ``old`` opens; None: there is none, or it is under ``new`` by now."""
    if old == new or not path.exists():
        return None
    try:
        return _read(path, old, read=read, entropy=entropy)
    except (SealInvalid, SealSecretWrong) as error:
        try:
            _read(path, new, read=read, entropy=entropy)
        except (SealInvalid, SealSecretWrong):
            raise error from None
        return None


def _read(path: Path, secret: SealSecret, *, read: SecretReader, entropy: Entropy) -> bytes:
    return read_sealed_secret(
        path,
        kind=secret.kind,
        content=read(secret),
        bound_to=STATE_KEY_BOUND_TO,
        entropy=entropy,
    )
