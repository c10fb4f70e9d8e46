"""The key of other state: made once, sealed as the shares are, and sealed anew with them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tetrarch.enclave.errors import SealInvalid, SealSecretMissing, SealSecretWrong
from tetrarch.enclave.seal_secret import SealSecret, make_key_file
from tetrarch.enclave.sealing import Kind
from tetrarch.enclave.secret_reading import SecretReader
from tetrarch.enclave.state_key import FILE, PLAIN_FILE, seal_state_key, state_secret
from tetrarch.entropy import system_entropy

READ = SecretReader(system_entropy)


def passphrase(folder: Path, text: str) -> SealSecret:
    path = folder / f"{text}.txt"
    path.write_text(text)
    path.chmod(0o600)
    return SealSecret(Kind.PASSPHRASE, path)


def seal(folder: Path, old: SealSecret, new: SealSecret) -> None:
    seal_state_key(folder / FILE, old, new, entropy=system_entropy, read=READ)


def test_without_a_seal_it_is_a_plain_file(tmp_path: Path) -> None:
    secret = state_secret(tmp_path, None)
    assert (secret.path, secret.sealed_by) == (tmp_path / PLAIN_FILE, None)


def test_with_a_seal_the_enclave_makes_it_once_and_it_lies_nowhere_plain(tmp_path: Path) -> None:
    words = passphrase(tmp_path, "words")
    secret = state_secret(tmp_path, words)
    assert secret.paths == (tmp_path / FILE, words.path)
    key = READ(secret)
    assert len(key) == 32
    assert READ(SealSecret.of(secret.file)) == key
    assert key not in (tmp_path / FILE).read_bytes()
    assert not (tmp_path / PLAIN_FILE).exists()
    with pytest.raises(SealSecretWrong):
        READ(state_secret(tmp_path, passphrase(tmp_path, "others")))


def test_it_stays_the_same_under_another_seal_and_the_old_one_opens_it_no_more(
    tmp_path: Path,
) -> None:
    old, new = passphrase(tmp_path, "old"), passphrase(tmp_path, "new")
    key = READ(state_secret(tmp_path, old))
    for _ in range(2):  # the second time nothing is left to do
        seal(tmp_path, old, new)
        assert READ(state_secret(tmp_path, new)) == key
    with pytest.raises(SealSecretWrong):
        READ(state_secret(tmp_path, old))
    with pytest.raises(SealSecretWrong):
        seal(tmp_path, old, passphrase(tmp_path, "neither"))


def test_plain_key_goes_on_to_be_used_until_it_is_sealed(tmp_path: Path) -> None:
    make_key_file(tmp_path / PLAIN_FILE, system_entropy)
    words = passphrase(tmp_path, "words")
    key = READ(state_secret(tmp_path, words))
    assert key == (tmp_path / PLAIN_FILE).read_bytes()
    seal(tmp_path, words, words)
    assert not (tmp_path / PLAIN_FILE).exists()
    assert READ(state_secret(tmp_path, words)) == key


def test_where_there_is_none_none_is_made(tmp_path: Path) -> None:
    words = passphrase(tmp_path, "words")
    seal(tmp_path, words, passphrase(tmp_path, "new"))
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda raw: raw[:-1], SealInvalid),
        (lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), SealInvalid),
        (lambda _: b"", SealInvalid),
    ],
)
def test_damaged_file_does_not_open(
    tmp_path: Path, spoil: Callable[[bytes], bytes], error: type[Exception]
) -> None:
    secret = state_secret(tmp_path, passphrase(tmp_path, "words"))
    READ(secret)
    (tmp_path / FILE).write_bytes(spoil((tmp_path / FILE).read_bytes()))
    with pytest.raises(error):
        READ(secret)


def test_what_opens_it_must_be_there(tmp_path: Path) -> None:
    words = passphrase(tmp_path, "words")
    READ(state_secret(tmp_path, words))
    words.path.unlink()
    with pytest.raises(SealSecretMissing):
        READ(state_secret(tmp_path, words))
