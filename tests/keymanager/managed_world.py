"""A signer with a real enclave process and both its listeners, for one node of a made-up cluster."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import msgspec
from tests.cluster.cluster_world import create
from tests.duties.duty_world import RecordingLog
from tests.enclave.enclave_world import OLD_CHAIN
from tests.remote_signer.signer_world import CountingMeter

from tetrarch.cluster.files import EXTENSION_FILE, LOCK_FILE, VALIDATOR_KEYS_FOLDER
from tetrarch.cluster.types import Cluster
from tetrarch.config import EnclaveConfig, KeymanagerConfig, NodeConfig
from tetrarch.duties.types import PubKey
from tetrarch.enclave.client import EnclaveClient
from tetrarch.entropy import system_entropy
from tetrarch.keymanager.keeper import KeyKeeper
from tetrarch.keymanager.open import keymanager_listen
from tetrarch.keymanager.server import KeymanagerServer
from tetrarch.remote_signer.access import read_token
from tetrarch.signer_api.api import HeldKeys, SignerApi
from tetrarch.signer_api.batches import Batches
from tetrarch.signer_api.guard import Guard
from tetrarch.signer_api.holder import load_holder
from tetrarch.signer_api.server import Listen, SignerServer
from tetrarch.signing_source import enclave_of

CHAIN = OLD_CHAIN


@dataclass
class Folders:
    """A cluster as it was dealt, and the folder of a signer for its node 0 without any key."""

    cluster: Path
    signer: Path

    def keystore(self, node: int, validator: int) -> str:
        return self._file(node, validator).read_text()

    def password(self, node: int, validator: int) -> str:
        return self._file(node, validator).with_suffix(".txt").read_text()

    def _file(self, node: int, validator: int) -> Path:
        return self.cluster / f"node{node}" / VALIDATOR_KEYS_FOLDER / f"keystore-{validator}.json"

    def files(self) -> list[str]:
        """What lies in the signer's key folder."""
        folder = self.signer / VALIDATOR_KEYS_FOLDER
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def folders(path: Path) -> Folders:
    create(path / "cluster")
    made = Folders(path / "cluster", path / "keys0")
    made.signer.mkdir()
    (made.signer / "database").mkdir()
    for name in (LOCK_FILE, EXTENSION_FILE):
        shutil.copy(made.cluster / "node0" / name, made.signer / name)
    return made


@dataclass
class Managed:
    """A running signer."""

    cluster: Cluster
    enclave: EnclaveClient
    url: str
    signer_url: str
    token: str
    log: RecordingLog

    def share(self, validator: int, node: int = 0) -> str:
        return "0x" + self.cluster.validators[validator].public_shares[node].hex()

    def root(self, validator: int) -> PubKey:
        return self.cluster.validators[validator].pubkey

    async def call(self, method: str, path: str, value: object = None, *, token: str = ""):
        headers = {"Authorization": f"Bearer {token or self.token}"}
        data = None if value is None else msgspec.json.encode(value)
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(method, self.url + path, data=data) as answer,
        ):
            text = await answer.text()
            return answer.status, msgspec.json.decode(text)

    async def listed(self) -> list[str]:
        status, answer = await self.call("GET", "/eth/v1/keystores")
        assert status == 200
        return [entry["validating_pubkey"] for entry in answer["data"]]


@asynccontextmanager
async def managed(folder: Path, *, enclave: EnclaveConfig | None = None) -> AsyncIterator[Managed]:
    """As ``signer_api.run`` wires it, without a beacon node."""
    cluster, log = load_holder(folder, node=0), RecordingLog()
    config = KeymanagerConfig(enabled=True, listen_port=0)
    listen = keymanager_listen(folder, config, entropy=system_entropy)
    node_config = NodeConfig(keymanager=config, enclave=enclave or EnclaveConfig())
    async with enclave_of(folder, node_config, cluster=cluster, chain=CHAIN, log=log) as client:
        status = await client.status()
        by_root = {v.pubkey: v.public_share(cluster.share_index) for v in cluster.validators}
        held = HeldKeys({by_root[PubKey(root)]: root for root in status.pubkeys})
        batches = Batches(client)
        keeper = KeyKeeper(folder=folder, cluster=cluster, enclave=client, held=held, log=log)
        keymanager = KeymanagerServer(keeper, listen=listen, graffiti="ours", log=log)
        signer = SignerServer(
            SignerApi(sign=batches.sign, keys=held, chain=CHAIN),
            listen=Listen(host="127.0.0.1", port=0, guard=Guard()),
            log=log,
            meter=CountingMeter(),
        )
        async with asyncio.TaskGroup() as tasks:
            workers = [tasks.create_task(each.run()) for each in (batches, keymanager, signer)]
            try:
                await keymanager.listening.wait()
                await signer.listening.wait()
                yield Managed(
                    cluster,
                    client,
                    f"http://127.0.0.1:{keymanager.bound_port}",
                    f"http://127.0.0.1:{signer.bound_port}",
                    read_token(folder / config.token_file),
                    log,
                )
            finally:
                for worker in workers:
                    worker.cancel()
