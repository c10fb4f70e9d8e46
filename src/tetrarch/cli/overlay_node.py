"""Puts a node of the overlay together from what ``tetrarch overlay node`` was told."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from tetrarch.api.control_token import open_control_token
from tetrarch.api.overlay_face import overlay_face, overlay_reasons
from tetrarch.clock import SystemClock
from tetrarch.config import OverlayConfig
from tetrarch.entropy import system_entropy
from tetrarch.network.overlay.identity import open_identity
from tetrarch.network.overlay.memory_chain import MemoryChain, make_block
from tetrarch.network.overlay.meters import OverlayMeters
from tetrarch.network.overlay.node_store import SCHEMA
from tetrarch.network.overlay.overlay import Overlay, World
from tetrarch.network.overlay.texts import read_settings
from tetrarch.observability.logs import Log
from tetrarch.observability.metrics import Metrics
from tetrarch.observability.monitoring import Monitoring
from tetrarch.storage.database import Database
from tetrarch.storage.folders import make_folder
from tetrarch.supervision import Supervisor

DATABASE_FILE = "overlay.sqlite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A node with a chain in memory, named ``chain``; 0 seconds: it makes no blocks."""

    config: OverlayConfig
    chain: str = "trial"
    block_every_s: float = 0.0
    block_size_bytes: int = 1000
    monitoring_port: int | None = None


async def run_trial(trial: Trial, folder: Path, log: Log) -> None:
    """Until cancelled.

    Raises:
        ConfigInvalid: a text of it is not what it should be.
    """
    settings = read_settings(trial.config)
    make_folder(folder)
    metrics = Metrics()
    database = Database.open(folder / DATABASE_FILE, (SCHEMA,))
    try:
        chain = MemoryChain(trial.chain.encode())
        overlay = Overlay(
            settings,
            open_identity(folder, system_entropy),
            chain,
            World(
                clock=SystemClock(),
                entropy=system_entropy,
                meters=OverlayMeters(metrics),
                log=log,
                storage=database,
            ),
        )
        async with Supervisor(log) as tasks:
            if trial.monitoring_port is not None:
                tasks.spawn(
                    _monitoring(trial.monitoring_port, overlay, folder, metrics, log).run(),
                    name="monitoring",
                )
            log.info(
                "overlay_begun",
                folder=str(folder),
                own=overlay.identity.node.hex(),
                certificate=overlay.identity.certificate_hash.hex(),
            )
            if trial.block_every_s:
                tasks.spawn(_make_blocks(overlay, chain, trial), name="blocks")
            await overlay.run()
    finally:
        await database.close()


def _monitoring(
    port: int, overlay: Overlay, folder: Path, metrics: Metrics, log: Log
) -> Monitoring:
    face = overlay_face(overlay, token=open_control_token(folder, system_entropy), log=log)
    return Monitoring(
        host="127.0.0.1",
        port=port,
        metrics=metrics,
        reasons=lambda: overlay_reasons(overlay),
        views=face.views,
        controls=face.controls,
        pages=face.pages,
        log=log,
    )


async def _make_blocks(overlay: Overlay, chain: MemoryChain, trial: Trial) -> None:
    number = int.from_bytes(overlay.identity.node[:4], "big")
    while True:
        await asyncio.sleep(trial.block_every_s)
        content = system_entropy(trial.block_size_bytes)
        await overlay.propose_block(make_block(chain.tip(), number, content))
