"""Puts a node of the overlay together from what ``tetrarch overlay node`` was told."""

import asyncio
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

from tetrarch.api.control_token import open_control_token
from tetrarch.api.overlay_controls import overlay_controls
from tetrarch.api.overlay_graph import overlay_graph
from tetrarch.api.overlay_page import overlay_pages
from tetrarch.api.overlay_views import overlay_views
from tetrarch.clock import SystemClock
from tetrarch.entropy import system_entropy
from tetrarch.errors import ConfigInvalid
from tetrarch.network.overlay.addresses import Address, read_address
from tetrarch.network.overlay.callers import IpNetwork
from tetrarch.network.overlay.chain import Tip
from tetrarch.network.overlay.identity import open_identity
from tetrarch.network.overlay.machine import OverlayRules
from tetrarch.network.overlay.memory_chain import MemoryChain, make_block
from tetrarch.network.overlay.meters import OverlayMeters
from tetrarch.network.overlay.node_store import SCHEMA
from tetrarch.network.overlay.nodes import PolicyRules
from tetrarch.network.overlay.overlay import Overlay, World
from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS, Interest
from tetrarch.network.overlay.settings import OverlaySettings, read_hash, read_trusted
from tetrarch.observability.controls import Controls
from tetrarch.observability.logs import Log
from tetrarch.observability.metrics import Metrics
from tetrarch.observability.monitoring import Monitoring
from tetrarch.storage.database import Database
from tetrarch.storage.folders import make_folder
from tetrarch.supervision import Supervisor

DATABASE_FILE = "overlay.sqlite"
_NO_ADDRESS, _DISCOVERED = "none", "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The options, as texts where they are texts."""

    listen: tuple[str, ...]
    trusted: tuple[str, ...] = ()
    public: str | None = None
    private_addresses: bool = False
    plain: bool = False
    plain_nodes: bool = False
    proxies: tuple[str, ...] = ()
    proxy_certificates: tuple[str, ...] = ()
    chain: str = "trial"
    round_s: float = 10.0
    block_every_s: float = 0.0
    block_size_bytes: int = 1000
    monitoring_port: int | None = None


def settings_of(trial: Trial) -> OverlaySettings:
    """What the node is told.

    Raises:
        ConfigInvalid: a text is no address, id or hash.
    """
    interests = tuple((topic, int(Interest.NORMAL)) for topic in (FRAGMENTS, BLOCKS))
    listen = tuple(map(read_address, trial.listen))
    # Whoever has no TLS is with others that have none, unless a proxy gives it one.
    plain_nodes = trial.plain_nodes or (trial.plain and not trial.proxy_certificates)
    policy = PolicyRules(private_addresses=trial.private_addresses, plain_nodes=plain_nodes)
    return OverlaySettings(
        rules=OverlayRules(interests=interests, policy=policy),
        listen=listen,
        public=_public(trial.public, listen[0]),
        discovers=_discovers(trial.public),
        discovered_port=_discovered_port(trial.public),
        trusted=tuple(read_trusted(text, plain=plain_nodes) for text in trial.trusted),
        secured=not trial.plain,
        proxies=tuple(map(_network, trial.proxies)),
        proxy_certificates=tuple(map(read_hash, trial.proxy_certificates)),
        round_s=trial.round_s,
    )


def _public(text: str | None, first: Address) -> Address | None:
    if text == _NO_ADDRESS or _discovers(text):
        return None
    return first if text is None else read_address(text)


def _discovers(text: str | None) -> bool:
    return text is not None and text.partition(":")[0] == _DISCOVERED


def _discovered_port(text: str | None) -> int | None:
    port = "" if text is None or not _discovers(text) else text.partition(":")[2]
    return read_address(f"0.0.0.0:{port}").port if port else None


def _network(text: str) -> IpNetwork:
    try:
        return ip_network(text)
    except ValueError:
        expected = "IP or IP/BITS"
        raise ConfigInvalid("read proxy", got=text[:100], expected=expected) from None


async def run_trial(trial: Trial, folder: Path, log: Log) -> None:
    """Until cancelled."""
    settings = settings_of(trial)
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
    token = open_control_token(folder, system_entropy)
    return Monitoring(
        host="127.0.0.1",
        port=port,
        metrics=metrics,
        reasons=lambda: () if len(overlay.links) else ("no_links: nobody is linked",),
        views=overlay_views(overlay)
        | {
            "overlay/graph": lambda _: overlay_graph(overlay),
            "overlay/tip": lambda _: _told(overlay.tip()),
        },
        controls=Controls(overlay_controls(overlay), token=token, log=log),
        pages=overlay_pages(),
        log=log,
    )


async def _make_blocks(overlay: Overlay, chain: MemoryChain, trial: Trial) -> None:
    number = int.from_bytes(overlay.identity.node[:4], "big")
    while True:
        await asyncio.sleep(trial.block_every_s)
        content = system_entropy(trial.block_size_bytes)
        await overlay.publish(BLOCKS, make_block(chain.tip(), number, content))


def _told(tip: Tip) -> dict[str, object]:
    return {"block": tip.block.hex(), "height": tip.height}
