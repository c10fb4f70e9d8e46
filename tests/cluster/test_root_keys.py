"""Where keys to split come from."""

import pytest

from tetrarch.cluster.errors import ClusterFileMissing, PasswordWrong
from tetrarch.cluster.keystore_files import keystore_paths, write_keystore
from tetrarch.cluster.root_keys import fresh_keys, interop_keys, keys_of_keystores
from tetrarch.crypto.keystore import KeystoreCost
from tetrarch.entropy import system_entropy
from tetrarch.errors import ConfigInvalid


def write(folder, names, keys):
    for name, key in zip(names, keys, strict=True):
        write_keystore(
            folder / f"{name}.json",
            key,
            description="",
            cost=KeystoreCost.INSECURE,
            entropy=system_entropy,
        )


def test_numbers_in_names_are_numbers(tmp_path):
    keys = interop_keys(range(4))
    write(tmp_path, ["keystore-0", "keystore-2", "keystore-10", "keystore-m_12381_9"], keys)
    (tmp_path / "other.json").write_text("{}")
    assert keys_of_keystores(tmp_path) == keys
    assert [path.stem for path in keystore_paths(tmp_path)][:3] == [
        "keystore-0",
        "keystore-2",
        "keystore-10",
    ]


def test_same_key_twice_is_refused(tmp_path):
    key = interop_keys(range(1))[0]
    write(tmp_path, ["keystore-0", "keystore-1"], [key, key])
    with pytest.raises(ConfigInvalid, match=r"keystore-1\.json.*keystore-0\.json"):
        keys_of_keystores(tmp_path)


@pytest.mark.parametrize("make", [True, False])
def test_folder_without_keystores_is_named(tmp_path, make):
    if make:
        (tmp_path / "empty").mkdir()
    with pytest.raises(ClusterFileMissing, match="empty"):
        keys_of_keystores(tmp_path / "empty")


def test_wrong_password_is_named(tmp_path):
    write(tmp_path, ["keystore-0"], interop_keys(range(1)))
    password = tmp_path / "keystore-0.txt"
    password.unlink()
    with pytest.raises(ClusterFileMissing, match=r"keystore-0\.txt"):
        keys_of_keystores(tmp_path)
    password.write_text("wrong")
    with pytest.raises(PasswordWrong, match=r"keystore-0\.txt"):
        keys_of_keystores(tmp_path)


def test_interop_keys_are_the_published_ones():
    key = interop_keys(range(1))[0]
    assert key.to_bytes().hex() == (
        "25295f0d1d592a90b333e26e85149708208e9f8e8bc18f6c77bd62f8ad7a6866"
    )


def test_fresh_keys_differ():
    assert len({key.public_key() for key in fresh_keys(3, entropy=system_entropy)}) == 3
