"""EIP-2335 keystores on disk: ``keystore-N.json`` with its password in ``keystore-N.txt``."""

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

from tetrarch.cluster.errors import ClusterFileInvalid, ClusterFileMissing, PasswordWrong
from tetrarch.cluster.files import PUBLIC_MODE, READ_ONLY_SECRET_MODE, read_file, write_file
from tetrarch.crypto.bls import SecretKey
from tetrarch.crypto.keystore import (
    KeystoreCost,
    KeystoreInvalid,
    KeystorePasswordWrong,
    decrypt_keystore,
    encrypt_keystore,
)
from tetrarch.entropy import Entropy

# Called with the number of keystores done and their total, from the calling thread.
Progress: TypeAlias = Callable[[int, int], None]

KEY_PATH: Final = "m/12381/3600/0/0/0"  # the reference's, for every share
PASSWORD_ENTROPY_BYTES: Final = 16
T = TypeVar("T")
R = TypeVar("R")


def keystore_path(folder: Path, index: int) -> Path:
    """Where the keystore of validator ``index`` (its position in the lock) stands."""
    return folder / f"keystore-{index}.json"


def keystore_paths(folder: Path) -> list[Path]:
    """All ``keystore*.json`` of ``folder``, numbers in their names counted as numbers.

    Raises:
        ClusterFileMissing: the folder cannot be read, or has none.
    """
    try:
        paths = [path for path in folder.iterdir() if re.fullmatch("keystore.*\\.json", path.name)]
    except OSError as error:
        raise ClusterFileMissing("list keystores", folder=folder, reason=error.strerror) from error
    if not paths:
        raise ClusterFileMissing("list keystores", folder=folder, expected="keystore-*.json")
    return sorted(paths, key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def write_keystore(
    path: Path, secret: SecretKey, *, description: str, cost: KeystoreCost, entropy: Entropy
) -> None:
    """Encrypt ``secret`` under a fresh password and write both files."""
    keystore, password = make_keystore(secret, description=description, cost=cost, entropy=entropy)
    write_file(path.with_suffix(".txt"), password.encode(), mode=READ_ONLY_SECRET_MODE)
    write_file(path, keystore.encode(), mode=PUBLIC_MODE)


def make_keystore(
    secret: SecretKey, *, description: str, cost: KeystoreCost, entropy: Entropy
) -> tuple[str, str]:
    """The keystore of ``secret`` as JSON, and the fresh password that it is encrypted with."""
    password = entropy(PASSWORD_ENTROPY_BYTES).hex()
    keystore = encrypt_keystore(
        secret, password, entropy=entropy, path=KEY_PATH, description=description, cost=cost
    )
    return json.dumps(keystore, indent=1), password


def open_keystore(path: Path) -> SecretKey:
    """The secret in ``path``, opened with the password in the ``.txt`` file beside it.

    Raises:
        ClusterFileMissing: one of the two files cannot be read.
        ClusterFileInvalid: the keystore is malformed.
        PasswordWrong: the password does not open it.
    """
    password_path = path.with_suffix(".txt")
    data, password_data = read_file(path), read_file(password_path)
    try:
        password = password_data.decode().rstrip("\r\n")
        return decrypt_keystore(json.loads(data), password).secret
    except KeystorePasswordWrong as error:
        raise PasswordWrong("open keystore", file=path, password_file=password_path) from error
    except KeystoreInvalid as error:
        raise ClusterFileInvalid("open keystore", file=path, **error.fields) from error
    except (ValueError, RecursionError):
        # Without the cause: its text could quote the password file.
        raise ClusterFileInvalid(
            "open keystore", file=path, reason="not JSON, or its password is not UTF-8"
        ) from None


def in_threads(
    work: Callable[[T], R], items: Sequence[T], *, progress: Progress | None = None
) -> list[R]:
    """``work`` for every item, in order, on all cores: key derivation is native code."""
    results = []
    with _pool() as pool:
        for result in pool.map(work, items):
            results.append(result)
            if progress is not None:
                progress(len(results), len(items))
    return results


@contextmanager
def _pool() -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="keystore")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)  # after a failure the rest is not worth doing
