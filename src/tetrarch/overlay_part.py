"""A node's part in the overlay: its identity, its database, its links with the cluster's other nodes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tetrarch.api.control_token import open_control_token
from tetrarch.api.overlay_face import OverlayFace, overlay_face
from tetrarch.clock import Clock
from tetrarch.config import OverlayConfig
from tetrarch.entropy import Entropy
from tetrarch.errors import ConfigInvalid
from tetrarch.network.overlay.cluster_nodes import ClusterNodes
from tetrarch.network.overlay.empty_chain import EmptyChain
from tetrarch.network.overlay.identity import open_identity
from tetrarch.network.overlay.meters import OverlayMeters
from tetrarch.network.overlay.node_store import SCHEMA
from tetrarch.network.overlay.overlay import Overlay, World
from tetrarch.network.overlay.settings import read_hash
from tetrarch.network.overlay.texts import read_settings
from tetrarch.network.requests import Requests
from tetrarch.observability.logs import Log
from tetrarch.observability.metrics import Metrics
from tetrarch.storage.database import Database
from tetrarch.storage.folders import make_folder

DATABASE_FILE = "database/overlay.sqlite"


@dataclass(frozen=True, slots=True)
class OverlayPart:
    """``face`` is what the monitoring listener serves of it."""

    overlay: Overlay
    face: OverlayFace
    log: Log

    async def run(self, requests: Requests, peers: tuple[int, ...]) -> None:
        """Until cancelled; ``peers`` are the cluster's other nodes, asked along the mesh."""
        cluster = ClusterNodes(self.overlay, requests, peers=peers, log=self.log)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.overlay.run(), name="overlay")
            await self.overlay.listening.wait()  # before that its address may have no port
            tasks.create_task(cluster.run(), name="overlay-cluster")


@asynccontextmanager
async def open_overlay(
    folder: Path,
    config: OverlayConfig,
    *,
    lock_hash: bytes,
    clock: Clock,
    entropy: Entropy,
    metrics: Metrics,
    log: Log,
) -> AsyncIterator[OverlayPart]:
    """The part of the node of ``folder``; its chain is the cluster's own unless the configuration names one.

    Raises:
        ConfigInvalid: a setting of [overlay] is not what it should be.
        OverlayKeyUnreadable, ControlTokenUnusable, StorageFailed: a file of the folder is damaged.
    """
    settings = read_settings(config)
    try:
        block0 = read_hash(config.chain) if config.chain else lock_hash
    except ConfigInvalid:
        expected = "the first block's id, 64 hexadecimal digits"
        raise ConfigInvalid("read overlay", setting="chain", expected=expected) from None
    make_folder((folder / DATABASE_FILE).parent)
    database = Database.open(folder / DATABASE_FILE, (SCHEMA,))
    try:
        overlay = Overlay(
            settings,
            open_identity(folder, entropy),
            EmptyChain(block0),
            World(
                clock=clock,
                entropy=entropy,
                meters=OverlayMeters(metrics),
                log=log,
                storage=database,
            ),
        )
        face = overlay_face(overlay, token=open_control_token(folder, entropy), log=log)
        yield OverlayPart(overlay, face, log)
    finally:
        await database.close()
