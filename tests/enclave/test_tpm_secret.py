"""The secret behind a TPM's key is made once, and opens for this seal alone."""

from pathlib import Path

import pytest

from tetrarch.enclave.errors import SealInvalid, SealSecretMissing, SealSecretWrong
from tetrarch.enclave.seal_secret import SealSecret, make_key_file
from tetrarch.enclave.sealing import Kind
from tetrarch.enclave.secret_reading import SecretReader
from tetrarch.enclave.tpm_secret import FILE, tpm_secret
from tetrarch.entropy import system_entropy
from tetrarch.storage.errors import FolderNotWritable, StorageInUse
from tetrarch.storage.lock import OwnerLock

READ = SecretReader(system_entropy)


def secret_in(folder: Path) -> SealSecret:
    make_key_file(folder / "key", system_entropy)
    return SealSecret(Kind.KEY_FILE, folder / "key")


def test_secret_stays_the_same_and_is_sealed(tmp_path: Path) -> None:
    secret = secret_in(tmp_path)
    made = tpm_secret(tmp_path, secret, system_entropy, READ)
    assert len(made) == 32
    assert tpm_secret(tmp_path, secret, system_entropy, READ) == made
    assert made not in (tmp_path / FILE).read_bytes()
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_each_folder_has_its_own(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    secret = secret_in(tmp_path)
    assert tpm_secret(tmp_path, secret, system_entropy, READ) != (
        tpm_secret(tmp_path / "other", secret, system_entropy, READ)
    )


def test_every_fault_has_its_error(tmp_path: Path) -> None:
    secret = secret_in(tmp_path)
    tpm_secret(tmp_path, secret, system_entropy, READ)
    sealed = (tmp_path / FILE).read_bytes()

    (tmp_path / "key").write_bytes(b"k" * 32)
    with pytest.raises(SealSecretWrong):
        tpm_secret(tmp_path, secret, system_entropy, READ)
    (tmp_path / "key").unlink()
    with pytest.raises(SealSecretMissing):
        tpm_secret(tmp_path, secret, system_entropy, READ)
    secret = secret_in(tmp_path)
    for content in (b"", sealed[:-1], b"x" * 4096):
        (tmp_path / FILE).write_bytes(content)
        with pytest.raises((SealInvalid, SealSecretWrong)):
            tpm_secret(tmp_path, secret, system_entropy, READ)
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).mkdir()
    with pytest.raises(SealInvalid):
        tpm_secret(tmp_path, secret, system_entropy, READ)
    with pytest.raises(FolderNotWritable):
        tpm_secret(tmp_path / "absent", secret, system_entropy, READ)


def test_two_first_starts_do_not_make_two(tmp_path: Path) -> None:
    secret = secret_in(tmp_path)
    lock = OwnerLock.acquire(tmp_path / "tpm-secret.lock")
    with pytest.raises(StorageInUse):
        tpm_secret(tmp_path, secret, system_entropy, READ)
    lock.release()
    assert tpm_secret(tmp_path, secret, system_entropy, READ)
