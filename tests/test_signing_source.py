"""The one source that signs for a node: what is opened, and what is refused."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.duties.duty_world import FixedClock, InlineCompute, RecordingLog, attestation_data
from tests.enclave.enclave_world import OLD_CHAIN
from tests.keymanager.managed_world import Folders, folders

from tetrarch.cluster.load import load_cluster
from tetrarch.cluster.types import Cluster
from tetrarch.config import KeymanagerConfig, NodeConfig, RemoteSignerConfig, SigningSource
from tetrarch.duties.group_crypto import BlsGroupCrypto
from tetrarch.duties.keys import ClusterKeys
from tetrarch.duties.types import AttestationPayload
from tetrarch.enclave import history
from tetrarch.enclave.ports import Approved
from tetrarch.entropy import system_entropy
from tetrarch.errors import ConfigInvalid
from tetrarch.observability.metrics import Metrics
from tetrarch.remote_signer.errors import RemoteSignerAway, TokenFileUnusable
from tetrarch.signing_source import ENCLAVE_DATABASE_FILE, Source, SourceSetting, signing_source
from tetrarch.storage.errors import StorageInUse
from tetrarch.storage.inline import InlineDatabase
from tetrarch.storage.lock import OwnerLock

VOTE = AttestationPayload(data=attestation_data(9))


@pytest.fixture
def world(tmp_path: Path) -> Folders:
    made = folders(tmp_path)
    (made.cluster / "node0/database").mkdir()
    return made


def keys_of(cluster: Cluster) -> ClusterKeys:
    return ClusterKeys(
        threshold=cluster.threshold,
        share_count=cluster.node_count,
        own_share_index=cluster.share_index,
        shares={v.pubkey: v.public_shares for v in cluster.validators},
    )


@asynccontextmanager
async def source_of(
    folder: Path, config: NodeConfig, storage: InlineDatabase, log: RecordingLog
) -> AsyncIterator[Source | None]:
    cluster = load_cluster(folder)
    keys = keys_of(cluster)
    async with signing_source(
        SourceSetting(folder=folder, config=config, cluster=cluster, chain=OLD_CHAIN),
        keys=keys,
        crypto=BlsGroupCrypto(keys=keys, entropy=system_entropy),
        compute=InlineCompute(),
        storage=storage,
        clock=FixedClock(),
        metrics=Metrics(),
        log=log,
    ) as source:
        yield source


def opened(folder: Path, config: NodeConfig, use: Any = None) -> Any:
    """What ``use(source, storage, log)`` gives while the source is open."""

    async def main() -> Any:
        storage, log = InlineDatabase.open((history.SCHEMA,)), RecordingLog()
        async with source_of(folder, config, storage, log) as source:
            return None if use is None else await use(source, storage, log)

    return asyncio.run(main())


def test_enclave_signs_with_the_folders_shares(world: Folders) -> None:
    async def use(source: Source, _storage: Any, _log: Any) -> Any:
        root = load_cluster(world.cluster / "node0").validators[0].pubkey
        assert source.trouble() is None
        return await source.service.sign(((root, VOTE),))

    (answer,) = opened(world.cluster / "node0", NodeConfig(), use)
    assert isinstance(answer, Approved)


def test_validator_client_needs_nothing_opened(world: Folders) -> None:
    async def use(source: Source | None, *_: Any) -> bool:
        return source is None

    config = NodeConfig(signing=SigningSource.VALIDATOR_CLIENT)
    assert opened(world.cluster / "node0", config, use)


def remote(**settings: Any) -> NodeConfig:
    wanted: dict[str, Any] = {"urls": ("http://127.0.0.1:9",), "start_wait_ms": 1} | settings
    return NodeConfig(
        signing=SigningSource.REMOTE_SIGNER, remote_signer=RemoteSignerConfig(**wanted)
    )


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"urls": ()}, ConfigInvalid),
        ({"urls": ("http://127.0.0.1:9",) * 2}, ConfigInvalid),
        ({"urls": ("ftp://127.0.0.1",)}, ConfigInvalid),
        ({"token_file": "none"}, TokenFileUnusable),
        ({}, RemoteSignerAway),
    ],
)
def test_remote_signers_that_cannot_be_used_stop_the_start(
    world: Folders, settings: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        opened(world.cluster / "node0", remote(**settings))
    assert not (world.cluster / "node0" / ENCLAVE_DATABASE_FILE).exists()


def test_shares_history_has_one_owner(world: Folders) -> None:
    """Node and signer on one folder: the second says so instead of keeping a second history."""
    path = world.cluster / "node0" / ENCLAVE_DATABASE_FILE
    lock = OwnerLock.acquire(path.with_name(path.name + ".lock"))
    try:
        with pytest.raises(StorageInUse):
            opened(world.cluster / "node0", NodeConfig())
    finally:
        lock.release()


@pytest.mark.parametrize("source", [SigningSource.VALIDATOR_CLIENT, SigningSource.REMOTE_SIGNER])
def test_keymanager_needs_an_enclave(world: Folders, source: SigningSource) -> None:
    config = NodeConfig(signing=source, keymanager=KeymanagerConfig(enabled=True))
    with pytest.raises(ConfigInvalid):
        opened(world.cluster / "node0", config)


def test_keymanager_of_a_node_fills_enclave_and_both_histories(world: Folders) -> None:
    folder = world.cluster / "node0"
    keystore, password = world.keystore(0, 0), world.password(0, 0)
    for path in (folder / "validator_keys").iterdir():
        path.unlink()
    cluster = load_cluster(folder)
    root, share = cluster.validators[0].pubkey, cluster.validators[0].public_shares[0]
    document = {
        "metadata": {
            "interchange_format_version": "5",
            "genesis_validators_root": "0x" + OLD_CHAIN.forks.genesis_validators_root.hex(),
        },
        "data": [
            {
                "pubkey": "0x" + share.hex(),
                "signed_blocks": [],
                "signed_attestations": [{"source_epoch": "0", "target_epoch": "1"}],
            }
        ],
    }
    body = {
        "keystores": [keystore],
        "passwords": [password],
        "slashing_protection": json.dumps(document),
    }

    async def use(source: Source, storage: InlineDatabase, log: RecordingLog) -> Any:
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(source.watch())
            while not log.find("keymanager_listening"):  # noqa: ASYNC110 - a log
                await asyncio.sleep(0.01)
            assert source.trouble() == "2 of 2 shares are not in the enclave"
            token = (folder / "keymanager-token").read_text().strip()
            (line,) = log.find("keymanager_listening")
            async with aiohttp.ClientSession() as session:
                url = f"{line['address']}/eth/v1/keystores"
                headers = {"Authorization": f"Bearer {token}"}
                async with session.post(url, json=body, headers=headers) as answer:
                    told = (await answer.json())["data"]
            assert told == [{"status": "imported", "message": ""}]
            assert source.trouble() == "1 of 2 shares are not in the enclave"
            count = "SELECT count(*) FROM slashing_vote WHERE pubkey = ?"
            recorded = await storage.read(lambda c: c.execute(count, (root,)).fetchone())
            assert recorded == (1,), "the node's own history knows it, too"
            answers = await source.service.sign(((root, VOTE),))
            watch.cancel()
            return answers

    config = NodeConfig(keymanager=KeymanagerConfig(enabled=True, listen_port=0))
    assert opened(folder, config, use) == ("denied: double_vote",)
