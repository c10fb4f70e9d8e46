"""What stands on disk after creation, and that a failure leaves nothing."""

import json
import stat

import pytest
from tests.cluster.cluster_world import create, deal

from tetrarch.cluster.create import write_cluster
from tetrarch.cluster.errors import ClusterFolderExists, ClusterFolderUnwritable
from tetrarch.crypto.derivation import interop_secret_key
from tetrarch.entropy import system_entropy


def modes(folder):
    return {
        str(path.relative_to(folder)): oct(stat.S_IMODE(path.stat().st_mode))
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_every_node_has_its_files_with_safe_modes(tmp_path):
    create(tmp_path / "c", validator_count=1)
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == [
        "node0",
        "node1",
        "node2",
        "node3",
    ]
    for node in (tmp_path / "c").iterdir():
        assert stat.S_IMODE(node.stat().st_mode) == 0o700
        assert modes(node) == {
            "cluster-extension.json": "0o444",
            "cluster-lock.json": "0o444",
            "cluster_key/keystore-0.json": "0o444",
            "cluster_key/keystore-0.txt": "0o400",
            "deposit-data-1eth.json": "0o444",
            "deposit-data.json": "0o444",
            "identity-key": "0o600",
            "tls-certificate.pem": "0o444",
            "tls-key.pem": "0o600",
            "validator_keys/keystore-0.json": "0o444",
            "validator_keys/keystore-0.txt": "0o400",
        }


def test_no_root_key_and_no_other_nodes_secret_is_written(tmp_path):
    dealt = create(tmp_path / "c")
    roots = [interop_secret_key(index).to_bytes().hex() for index in range(2)]
    for path in (tmp_path / "c").rglob("*"):
        if path.is_file():
            text = path.read_bytes().decode()
            assert not [root for root in roots if root in text]
            owners = [i for i, n in enumerate(dealt.nodes) if n.identity.to_bytes().hex() in text]
            assert not owners or f"node{owners[0]}" in path.parts


def test_passwords_are_all_different(tmp_path):
    create(tmp_path / "c")
    passwords = [path.read_text() for path in (tmp_path / "c").rglob("keystore-*.txt")]
    assert len(set(passwords)) == len(passwords) == 4 * 3
    assert {len(password) for password in passwords} == {32}


def test_keystores_are_standard_unless_told(tmp_path):
    create(tmp_path / "c", node_count=3, validator_count=1, insecure_keystores=False)
    path = tmp_path / "c/node0/validator_keys/keystore-0.json"
    assert json.loads(path.read_bytes())["crypto"]["kdf"]["params"]["c"] == 1 << 18


def test_full_folder_is_refused_and_untouched(tmp_path):
    (tmp_path / "file").write_text("mine")
    for target in (tmp_path, tmp_path / "file"):
        with pytest.raises(ClusterFolderExists):
            write_cluster(deal(), target, entropy=system_entropy)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_empty_folder_is_filled(tmp_path):
    (tmp_path / "c").mkdir()
    create(tmp_path / "c")
    assert len(list((tmp_path / "c").iterdir())) == 4
    assert len(list(tmp_path.iterdir())) == 1


def test_parent_folders_are_made(tmp_path):
    create(tmp_path / "a" / "b" / "c")


def test_unwritable_place_is_named(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ClusterFolderUnwritable, match="file"):
        write_cluster(deal(), tmp_path / "file" / "c", entropy=system_entropy)


def test_failure_half_way_leaves_nothing(tmp_path):
    class PowerCut(Exception):
        pass

    def fail(done: int, total: int) -> None:
        if done == 5:
            raise PowerCut

    with pytest.raises(PowerCut):
        write_cluster(deal(), tmp_path / "c", entropy=system_entropy, progress=fail)
    assert list(tmp_path.iterdir()) == []


def test_equal_entropy_gives_equal_clusters_but_for_tls():
    first, second = deal(seed=7), deal(seed=7)
    assert first.lock == second.lock
    assert first.lock != deal(seed=8).lock
