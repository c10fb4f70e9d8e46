"""Where the keys to split come from: fresh, existing keystores, or public interop keys."""

from pathlib import Path

from tetrarch.cluster.keystore_files import Progress, in_threads, keystore_paths, open_keystore
from tetrarch.crypto.bls import SecretKey
from tetrarch.crypto.derivation import interop_secret_key
from tetrarch.entropy import Entropy
from tetrarch.errors import ConfigInvalid


def fresh_keys(count: int, *, entropy: Entropy) -> tuple[SecretKey, ...]:
    """``count`` new keys."""
    return tuple(SecretKey.generate(entropy) for _ in range(count))


def interop_keys(indices: range) -> tuple[SecretKey, ...]:
    """The publicly known keys of the validators ``indices`` of a development chain."""
    return tuple(interop_secret_key(index) for index in indices)


def keys_of_keystores(folder: Path, *, progress: Progress | None = None) -> tuple[SecretKey, ...]:
    """Every ``keystore*.json`` of ``folder``, by the numbers in their names.

    Raises:
        ClusterFileMissing, ClusterFileInvalid, PasswordWrong: see ``open_keystore``.
        ConfigInvalid: two of them hold the same key.
    """
    paths = keystore_paths(folder)
    secrets = in_threads(open_keystore, paths, progress=progress)
    first: dict[bytes, Path] = {}
    for path, secret in zip(paths, secrets, strict=True):
        other = first.setdefault(secret.public_key(), path)
        if other != path:
            raise ConfigInvalid("read keystores to split", file=path, same_key_as=other)
    return tuple(secrets)
