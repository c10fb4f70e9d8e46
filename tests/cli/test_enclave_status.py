"""`tetrarch enclave status`: what it tells in each state of a folder, without a secret."""

import asyncio
import shutil
from pathlib import Path

import pytest
from tests.cli.enclave_commands import content, refused, run, told
from tests.cluster.cluster_world import create
from tests.enclave.ceremony_world import key_file
from tests.enclave.enclave_world import OLD_CHAIN, block, vote

from tetrarch.cluster.load import load_cluster
from tetrarch.config import EnclaveConfig, NodeConfig
from tetrarch.observability.logs import SilentLog
from tetrarch.signing_source import ENCLAVE_DATABASE_FILE, enclave_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create(tmp_path / "cluster")
    return tmp_path / "cluster" / "node1"


def test_a_folder_that_never_ran(folder: Path) -> None:
    before = content(folder)
    status, cluster = told("status", folder), load_cluster(folder)
    assert content(folder) == before, "nothing is changed"
    assert (status["node"], status["nodes"]) == (1, 4)
    assert status["runs"] == {"enclave": None, "node": None}
    assert (status["sealed_by"], status["edition"], status["own_keys"]) == (None, None, None)
    assert status["restored"] is False
    assert [share["kept"] for share in status["shares"]] == [["keystore"], ["keystore"]]
    assert [share["public_share"] for share in status["shares"]] == [
        "0x" + validator.public_share(cluster.share_index).hex() for validator in cluster.validators
    ]
    assert not status["histories"]["enclave"]["there"]
    assert "no_core" in status["enclave"]["protections"]
    assert status["enclave"]["entry"] == told("measure")["entry"]


def test_a_folder_with_sealed_keys_that_has_signed_and_runs_now(folder: Path) -> None:
    cluster, key = load_cluster(folder), key_file(folder.parent / "key")
    told("seal", folder, "--key-file", key.path, "--remove-keystores")
    own = told("keygen", folder, "--key-file", key.path)
    (folder / "validator_keys" / "keystore-1.json").write_text("{}")
    shutil.copy(key.path, folder / "key")
    config = NodeConfig(enclave=EnclaveConfig(key_file="key"))
    root = cluster.validators[0].pubkey

    async def main():
        enclave = enclave_of(folder, config, cluster=cluster, chain=OLD_CHAIN, log=SilentLog())
        async with enclave as client:
            await client.sign((vote(root, 3, 4), vote(root, 4, 9), block(root, 40)))
            return client.process_id, await asyncio.to_thread(told, "status", folder)

    process_id, status = asyncio.run(main())
    assert status["runs"] == {"enclave": str(process_id), "node": None}
    assert (status["sealed_by"], status["edition"]) == ("key_file", 2)
    assert status["own_keys"] == {k: own[k] for k in ("signing_key", "sealing_key")}
    assert [share["kept"] for share in status["shares"]] == [["sealed"], ["sealed", "keystore"]]
    history = status["histories"]["enclave"]
    assert history["genesis_validators_root"] == "0x" + (b"\x07" * 32).hex()
    assert (history["votes"], history["first_epoch"], history["last_epoch"]) == (2, 4, 9)
    assert (history["blocks"], history["first_slot"], history["last_slot"]) == (1, 40, 40)

    plain = run("status", folder).stdout
    assert "runs         no" in plain
    assert "2 shares by key_file, edition 2" in plain
    assert "1 blocks (slots 40 to 40), 2 votes (epochs 4 to 9)" in plain
    assert own["signing_key"] in plain


def test_what_is_damaged_is_named(folder: Path) -> None:
    (folder / "enclave").mkdir()
    (folder / "enclave" / "keys.sealed").write_bytes(b"x" * 40)
    code, line = refused("status", folder)
    assert (code, "seal_invalid" in line) == (65, True)
    (folder / "enclave" / "keys.sealed").unlink()
    (folder / "database").mkdir()
    (folder / ENCLAVE_DATABASE_FILE).write_bytes(b"no database" * 99)
    code, line = refused("status", folder)
    assert (code, "storage_corrupt" in line) == (74, True)
    assert refused("status", folder / "absent")[0] == 66
