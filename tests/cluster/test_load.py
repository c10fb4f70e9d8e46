"""What a node reads at start, and one named error for each way its folder can be wrong."""

import json
import shutil

import pytest
from tests.cluster.cluster_world import create, edit_json, open_node, replace_file, swap_files

from tetrarch.cluster.errors import (
    ClusterFileInvalid,
    ClusterFileMissing,
    ClusterFilesWrong,
    IdentityUnknown,
    TlsKeyMismatch,
)
from tetrarch.cluster.files import CLUSTER_KEY_FOLDER, EXTENSION_FILE, LOCK_FILE
from tetrarch.cluster.keystore_files import keystore_path, open_keystore
from tetrarch.cluster.load import load_cluster, load_identity, share_keystores
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
        validator = cluster.validators[1]
        secret = open_node(here)[validator.pubkey]
        cluster_share = open_keystore(keystore_path(here / CLUSTER_KEY_FOLDER, 0))
        assert cluster_share.public_key() == cluster.cluster_key.public_shares[index]
        assert secret.public_key() == validator.public_share(cluster.share_index)
        assert cluster.by_own_share[secret.public_key()] is validator
        assert cluster.by_pubkey[validator.pubkey] is validator
        partials[index + 1] = SignaturePoint.parse(secret.sign(message))
        cluster_partials[index + 1] = SignaturePoint.parse(cluster_share.sign(message))
    root_key = dealt.lock.validators[1].pubkey
    cluster_key = dealt.extension.cluster_public_key
    chosen = range(nodes - needed + 1, nodes + 1)
    for points, key in ((partials, root_key), (cluster_partials, cluster_key)):
        signature = threshold.combine({index: points[index] for index in chosen})
        assert verify(key, message, signature.to_bytes())


def test_values_hide_their_secrets(folder):
    cluster = load_cluster(folder / "node0")
    identity, shares = load_identity(folder / "node0"), open_node(folder / "node0")
    shown = repr((cluster, identity, shares))
    secrets = [secret.to_bytes().hex() for secret in shares.values()]
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


def test_keystore_paths_follow_the_lock(folder):
    cluster = load_cluster(folder / "node0")
    paths = share_keystores(folder / "node0", cluster)
    shown = [json.loads(path.read_bytes())["pubkey"] for path in paths]
    assert shown == [
        validator.public_share(cluster.share_index).hex() for validator in cluster.validators
    ]
