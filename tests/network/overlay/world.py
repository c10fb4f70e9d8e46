"""Nodes of the overlay in one process, over real sockets on this machine."""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from tests.network.overlay.support import BOTH
from tests.ports import free_ports

from tetrarch.clock import SystemClock
from tetrarch.entropy import system_entropy
from tetrarch.network.overlay.addresses import Address
from tetrarch.network.overlay.identity import open_identity
from tetrarch.network.overlay.machine import OverlayRules
from tetrarch.network.overlay.memory_chain import MemoryChain, make_block
from tetrarch.network.overlay.node_store import Storage
from tetrarch.network.overlay.overlay import Overlay, World
from tetrarch.network.overlay.policy import PolicyRules
from tetrarch.network.overlay.profile import NodeId
from tetrarch.network.overlay.settings import OverlaySettings, TrustedPeer
from tetrarch.observability.logs import Log, LogFormat, LogLevel, build_log

LOOPBACK = ip_address("127.0.0.1")
ROUND_S = 0.5
RULES = OverlayRules(interests=BOTH, policy=PolicyRules(private_addresses=True))


class Meters:
    """Counts what links tell."""

    def __init__(self) -> None:
        self.received: dict[int, int] = {}
        self.dropped: dict[tuple[int, str], int] = {}

    def count_received_frame(self, size_bytes: int) -> None: ...
    def count_sent_frame(self, size_bytes: int) -> None: ...
    def count_sent(self, topic: int) -> None: ...
    def show_outbox(self, messages: int) -> None: ...
    def show_pong(self, *, rtt_s: float, offset_s: float | None) -> None: ...

    def count_received(self, topic: int) -> None:
        self.received[topic] = self.received.get(topic, 0) + 1

    def count_dropped(self, topic: int, reason: str) -> None:
        self.dropped[topic, reason] = self.dropped.get((topic, reason), 0) + 1


class Node:
    """One node, its chain and its log."""

    def __init__(
        self,
        folder: Path,
        settings: OverlaySettings,
        chain: MemoryChain,
        storage: Storage | None = None,
        **how: Any,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.text = io.StringIO()
        self.meters = Meters()
        self.chain = chain
        self.overlay = Overlay(
            settings,
            open_identity(folder, system_entropy),
            chain,
            World(
                clock=SystemClock(),
                entropy=system_entropy,
                meters=self.meters,
                log=self._log(),
                storage=storage,
            ),
            **how,
        )
        self.node: NodeId = self.overlay.identity.node
        self.nodes = self.overlay.machine.nodes
        self.links = self.overlay.links

    def _log(self) -> Log:
        return build_log(
            self.text,
            clock=SystemClock(),
            log_format=LogFormat.JSON,
            level=LogLevel.DEBUG,
            node="test",
        )

    @property
    def height(self) -> int:
        return self.chain.tip().height

    async def make_block(self, content: bytes, number: int = 0) -> None:
        await self.overlay.propose_block(make_block(self.chain.tip(), number, content))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Node"]:
        task = asyncio.create_task(self.overlay.run())
        listening = asyncio.create_task(self.overlay.listening.wait())
        try:
            await asyncio.wait({task, listening}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                await task
            yield self
        finally:
            listening.cancel()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def nodes_of(folder: Path, count: int, **changes: object) -> list[Node]:
    """The first is trusted by all others."""
    addresses = [Address(LOOPBACK, port) for port in free_ports(count)]
    first = TrustedPeer(address=addresses[0], secured=bool(changes.get("secured", True)))
    made = []
    for place, address in enumerate(addresses):
        settings = OverlaySettings(
            rules=RULES,
            listen=(address,),
            public=address,
            trusted=(first,) if place else (),
            round_s=ROUND_S,
        )
        settings = replace(settings, **changes)  # type: ignore[arg-type]
        made.append(Node(folder / str(place), settings, MemoryChain()))
    return made


async def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Wait for ``condition``; a generous limit ends a hopeless wait."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - it looks at other nodes
            await asyncio.sleep(0.02)
