"""The keymanager of a node that signs with its own enclave."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from tetrarch.cluster.types import Cluster
from tetrarch.config import NodeConfig
from tetrarch.duties.ports import Storage
from tetrarch.duties.types import PubKey
from tetrarch.enclave.client import EnclaveClient
from tetrarch.enclave.interchange import Interchange, import_file
from tetrarch.entropy import system_entropy
from tetrarch.keymanager.keeper import KeyKeeper
from tetrarch.keymanager.open import keymanager_listen
from tetrarch.keymanager.server import KeymanagerServer
from tetrarch.observability.logs import Log
from tetrarch.signer_api.api import HeldKeys


async def held_keys(enclave: EnclaveClient, cluster: Cluster) -> HeldKeys:
    """The shares that ``enclave`` opened at its start."""
    by_root = {v.pubkey: v.public_share(cluster.share_index) for v in cluster.validators}
    status = await enclave.status()
    return HeldKeys({by_root[PubKey(root)]: root for root in status.pubkeys})


async def node_keymanager(
    folder: Path,
    config: NodeConfig,
    *,
    cluster: Cluster,
    enclave: EnclaveClient,
    storage: Storage,
    log: Log,
) -> tuple[KeymanagerServer, KeyKeeper]:
    """The listener, and what it changes.

    A history that comes with keys is recorded for the group keys in the node's database, too.

    Raises:
        OperatorError: a file of the listener cannot be used.
    """

    async def also_import(file: Interchange, owners: Mapping[bytes, tuple[bytes, ...]]) -> None:
        await storage.write(partial(import_file, file=file, owners=owners))

    keeper = KeyKeeper(
        folder=folder,
        cluster=cluster,
        enclave=enclave,
        held=await held_keys(enclave, cluster),
        log=log,
        also_import=also_import,
    )
    listen = keymanager_listen(folder, config.keymanager, entropy=system_entropy)
    return KeymanagerServer(keeper, listen=listen, graffiti=config.graffiti, log=log), keeper
