"""What a node reads at start, and one named error for each way its folder can be wrong."""

import json
import shutil

import pytest
from tests.cluster.cluster_world import create, edit_json, replace_file, swap_files

from tetrarch.cluster.errors import (
    ClusterFileInvalid,
    ClusterFileMissing,
    ClusterFilesWrong,
    IdentityUnknown,
    PasswordWrong,
    ShareSwapped,
    ShareUnknown,
    TlsKeyMismatch,
)
from tetrarch.cluster.files import EXTENSION_FILE, LOCK_FILE
from tetrarch.cluster.load import load_cluster, load_identity, open_shares, share_keystores
from tetrarch.crypto import threshold
from tetrarch.crypto.bls import SignaturePoint, verify

INFINITE = "0xc0" + "00" * 47


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("load") / "cluster"
    create(folder)
    return folder


@pytest.fixture
def folder(original, tmp_path):
    shutil.copytree(original, tmp_path / "cluster")
    return tmp_path / "cluster"


@pytest.mark.parametrize(("nodes", "needed"), [(4, 3), (7, 5)])
def test_every_node_loads_and_any_threshold_of_them_sign(tmp_path, nodes, needed):
    dealt = create(tmp_path / "c", node_count=nodes)
    message = b"\x07" * 32
    partials, cluster_partials = {}, {}
    for index in range(nodes):
        here = tmp_path / "c" / f"node{index}"
        cluster = load_cluster(here)
        assert (cluster.peer_index, cluster.share_index) == (index, index + 1)
        assert (cluster.node_count, cluster.threshold) == (nodes, needed)
        assert cluster.lock_hash == dealt.lock.lock_hash
        assert cluster.own.address == f"127.0.0.1:{9000 + index}"
        assert len(cluster.peers) == nodes - 1
        identity = load_identity(here)
        assert identity.key.public_key() == cluster.own.public_key
        shares = open_shares(here, cluster)
        validator = cluster.validators[1]
        secret = shares.validators[validator.pubkey]
        assert secret.public_key() == validator.public_share(cluster.share_index)
        assert cluster.by_own_share[secret.public_key()] is validator
        assert cluster.by_pubkey[validator.pubkey] is validator
        partials[index + 1] = SignaturePoint.parse(secret.sign(message))
        cluster_partials[index + 1] = SignaturePoint.parse(shares.cluster_key.sign(message))
    root_key = dealt.lock.validators[1].pubkey
    cluster_key = dealt.extension.cluster_public_key
    chosen = range(nodes - needed + 1, nodes + 1)
    for points, key in ((partials, root_key), (cluster_partials, cluster_key)):
        signature = threshold.combine({index: points[index] for index in chosen})
        assert verify(key, message, signature.to_bytes())


def test_values_hide_their_secrets(folder):
    cluster = load_cluster(folder / "node0")
    identity, shares = load_identity(folder / "node0"), open_shares(folder / "node0", cluster)
    shown = repr((cluster, identity, shares))
    secrets = [secret.to_bytes().hex() for secret in shares.validators.values()]
    secrets += [identity.key.to_bytes().hex(), identity.tls.private_key_pem.decode()[40:80]]
    assert not [secret for secret in secrets if secret in shown]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        (LOCK_FILE, ClusterFileMissing),
        (EXTENSION_FILE, ClusterFileMissing),
        ("identity-key", ClusterFileMissing),
        ("tls-key.pem", ClusterFileMissing),
        ("tls-certificate.pem", ClusterFileMissing),
    ],
)
def test_missing_file_is_named(folder, name, error):
    (folder / "node1" / name).unlink()
    with pytest.raises(error, match=name):
        load_cluster(folder / "node1")


@pytest.mark.parametrize(
    "name", [LOCK_FILE, EXTENSION_FILE, "identity-key", "tls-key.pem", "tls-certificate.pem"]
)
def test_garbage_in_a_file_is_named(folder, name):
    replace_file(folder / "node1" / name, b"\xff garbage")
    with pytest.raises(ClusterFileInvalid, match=name):
        load_cluster(folder / "node1")


def test_corrupt_lock_names_the_first_finding(folder):
    def forge(document):
        document["distributed_validators"][0]["public_shares"][2] = INFINITE

    edit_json(folder / "node0" / LOCK_FILE, forge)
    with pytest.raises(ClusterFilesWrong, match=r"first=lock .*lock_hash_wrong.*findings=3"):
        load_cluster(folder / "node0")


def test_extension_of_another_cluster_is_refused(folder, tmp_path):
    create(tmp_path / "other", seed=2)
    shutil.copy(tmp_path / "other/node0" / EXTENSION_FILE, tmp_path / "spare")
    replace_file(folder / "node0" / EXTENSION_FILE, (tmp_path / "spare").read_bytes())
    with pytest.raises(ClusterFilesWrong, match="extension lock_hash"):
        load_cluster(folder / "node0")


def test_foreign_identity_is_refused(folder):
    replace_file(folder / "node0" / "identity-key", b"01" * 32)
    with pytest.raises(IdentityUnknown, match="identity-key"):
        load_cluster(folder / "node0")


def test_tls_files_of_another_node_are_refused(folder):
    swap_files(folder / "node0/tls-key.pem", folder / "node1/tls-key.pem")
    with pytest.raises(TlsKeyMismatch, match="match TLS key and certificate"):
        load_cluster(folder / "node0")
    swap_files(folder / "node0/tls-certificate.pem", folder / "node1/tls-certificate.pem")
    with pytest.raises(TlsKeyMismatch, match="pinned"):
        load_cluster(folder / "node0")


def keystore(folder, node, index=0):
    return folder / f"node{node}/validator_keys/keystore-{index}.json"


def swap_keystores(first, second):
    swap_files(first, second)
    swap_files(first.with_suffix(".txt"), second.with_suffix(".txt"))


def open_node(folder, node):
    here = folder / f"node{node}"
    return open_shares(here, load_cluster(here))


def test_share_of_another_node_is_named(folder):
    swap_keystores(keystore(folder, 0), keystore(folder, 2))
    with pytest.raises(ShareSwapped) as caught:
        open_node(folder, 0)
    text = str(caught.value)
    assert "keystore-0.json" in text
    assert "holds=share of node 2 for validator 0" in text
    assert "this_node=0" in text


def test_share_of_another_validator_is_named(folder):
    swap_keystores(keystore(folder, 1, 0), keystore(folder, 1, 1))
    with pytest.raises(ShareSwapped, match="holds=share of node 1 for validator 1"):
        open_node(folder, 1)


def test_validator_share_in_place_of_the_cluster_key_is_named(folder):
    swap_keystores(keystore(folder, 0), folder / "node0/cluster_key/keystore-0.json")
    with pytest.raises(ShareSwapped, match="holds=share of node 0 for the cluster key"):
        open_node(folder, 0)


def test_share_of_another_cluster_is_unknown(folder, tmp_path):
    create(tmp_path / "other", seed=2)
    swap_keystores(keystore(folder, 0), keystore(tmp_path / "other", 0))
    with pytest.raises(ShareUnknown, match=r"keystore-0\.json"):
        open_node(folder, 0)


def test_wrong_password_is_named_and_not_shown(folder):
    path = keystore(folder, 3, 1).with_suffix(".txt")
    replace_file(path, b"not the password")
    with pytest.raises(PasswordWrong) as caught:
        open_node(folder, 3)
    assert "keystore-1.json" in str(caught.value)
    assert "keystore-1.txt" in str(caught.value)
    assert "not the password" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".txt", ".json"])
def test_missing_keystore_file_is_named(folder, suffix):
    keystore(folder, 0, 1).with_suffix(suffix).unlink()
    with pytest.raises(ClusterFileMissing, match=f"keystore-1{suffix}"):
        open_node(folder, 0)


@pytest.mark.parametrize("data", [b"", b"{", b"[" * 60000, b"{}", b"\xff\xfe", b'{"version": 4}'])
def test_malformed_keystore_is_named(folder, data):
    replace_file(keystore(folder, 0, 1), data)
    with pytest.raises(ClusterFileInvalid, match=r"keystore-1\.json"):
        open_node(folder, 0)


def test_password_may_end_with_a_line_break(folder):
    path = keystore(folder, 0).with_suffix(".txt")
    replace_file(path, path.read_bytes() + b"\n")
    open_node(folder, 0)


def test_keystore_paths_follow_the_lock(folder):
    cluster = load_cluster(folder / "node0")
    paths = share_keystores(folder / "node0", cluster)
    shown = [json.loads(path.read_bytes())["pubkey"] for path in paths.validators]
    assert shown == [
        validator.public_share(cluster.share_index).hex() for validator in cluster.validators
    ]
    assert paths.cluster_key.exists()
