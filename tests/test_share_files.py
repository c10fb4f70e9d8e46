"""A keystore in the wrong place: the error says whose share it is."""

from pathlib import Path

import pytest
from tests.cluster.cluster_world import create, open_node, swap_files
from tests.enclave.ceremony_world import key_file

from tetrarch.cluster.load import load_cluster
from tetrarch.config import EnclaveConfig
from tetrarch.enclave.errors import SealSecretUnnamed, ShareSwapped
from tetrarch.enclave.opening import open_keys
from tetrarch.enclave.seal_secret import SealSecret
from tetrarch.enclave.sealed_keys import KeptShare, SealedKeys
from tetrarch.enclave.sealing import Kind
from tetrarch.entropy import system_entropy
from tetrarch.share_files import (
    naming_holders,
    seal_secret,
    sealed_file,
    sealed_keys_path,
    share_files,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create(tmp_path / "cluster")
    return tmp_path / "cluster"


def keystore(folder: Path, node: int, index: int = 0) -> Path:
    return folder / f"node{node}/validator_keys/keystore-{index}.json"


def swap_keystores(first: Path, second: Path) -> None:
    swap_files(first, second)
    swap_files(first.with_suffix(".txt"), second.with_suffix(".txt"))


def told_of(folder: Path, node: int) -> str:
    with pytest.raises(ShareSwapped) as caught:
        open_node(folder / f"node{node}")
    return str(caught.value)


def test_share_of_another_node(folder: Path) -> None:
    swap_keystores(keystore(folder, 0), keystore(folder, 2))
    text = told_of(folder, 0)
    assert "keystore-0.json" in text
    assert "holds=share of node 2 for validator 0" in text
    assert "this_node=0" in text


def test_share_of_another_validator(folder: Path) -> None:
    swap_keystores(keystore(folder, 1, 0), keystore(folder, 1, 1))
    assert "holds=share of node 1 for validator 1" in told_of(folder, 1)


def test_share_of_the_cluster_key(folder: Path) -> None:
    swap_keystores(keystore(folder, 0), folder / "node0/cluster_key/keystore-0.json")
    assert "holds=share of node 0 for the cluster key" in told_of(folder, 0)


def test_share_of_another_cluster(folder: Path, tmp_path: Path) -> None:
    create(tmp_path / "other", seed=2)
    swap_keystores(keystore(folder, 0), keystore(tmp_path / "other", 0))
    assert "holds=no share of this cluster" in told_of(folder, 0)


def test_seal_is_looked_for_only_where_something_opens_it(folder: Path) -> None:
    node = folder / "node0"
    assert sealed_file(node, None) is None
    assert not (node / "enclave").exists()
    secret = seal_secret(node, EnclaveConfig(key_file="key"))
    assert secret == SealSecret(Kind.KEY_FILE, node / "key")
    assert seal_secret(node, EnclaveConfig(passphrase_file="/run/words")) == SealSecret(
        Kind.PASSPHRASE, Path("/run/words")
    )
    assert seal_secret(node, EnclaveConfig()) is None
    file = sealed_file(node, secret)
    assert file is not None
    assert (file.path, file.secret.kind) == (str(sealed_keys_path(node)), Kind.KEY_FILE)
    sealed_keys_path(node).write_bytes(b"x")
    with pytest.raises(SealSecretUnnamed, match=r"keys\.sealed"):
        sealed_file(node, None)


def test_a_share_is_present_in_a_keystore_or_in_the_seal(folder: Path) -> None:
    node, cluster = folder / "node0", load_cluster(folder / "node0")
    key = key_file(node / "key")
    file = sealed_file(node, SealSecret.of(key))
    assert file is not None
    first, second = share_files(node, cluster)
    keys = SealedKeys.open(file, system_entropy)
    shares = open_node(node)
    keys.change(shares={first.pubkey: KeptShare(first.public_share, shares[first.pubkey])})
    for path in (first.keystore, second.keystore):
        Path(path).unlink()
    assert share_files(node, cluster, only_present=True) == (first,)
    assert share_files(node, cluster) == (first, second)
    with naming_holders(cluster):
        assert open_keys([first], keys).keys() == {first.pubkey}


def test_sealed_share_of_another_node_is_named(folder: Path) -> None:
    node, cluster = folder / "node0", load_cluster(folder / "node0")
    file = sealed_file(node, SealSecret.of(key_file(node / "key")))
    assert file is not None
    keys = SealedKeys.open(file, system_entropy)
    (theirs, *_), shares = (
        share_files(folder / "node2", load_cluster(folder / "node2")),
        open_node(folder / "node2"),
    )
    keys.change(shares={theirs.pubkey: KeptShare(theirs.public_share, shares[theirs.pubkey])})
    with (
        pytest.raises(ShareSwapped, match="holds=share of node 2 for validator 0"),
        naming_holders(cluster),
    ):
        open_keys(share_files(node, cluster), keys)
