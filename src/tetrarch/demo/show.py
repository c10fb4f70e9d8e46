"""Runs the demo: creates a cluster, starts the chain and the nodes, watches, sums up."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from rich.console import Console
from rich.live import Live

from tetrarch.clock import Clock
from tetrarch.demo.keys import key_presses
from tetrarch.demo.plan import Action, Outage, PlannedEvent, excused_slots
from tetrarch.demo.processes import Child, DemoProcessDied
from tetrarch.demo.summary import ChainDuty, NodeDuty, Summary, read_chain_duties, summarise
from tetrarch.demo.table import Frame, draw, progress_line

POLL_S = 0.5
READY_WAIT_S = 60.0
LAST_SLOTS_ASKED = 3  # while it runs; all that nodes still keep, at the end


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What is shown."""

    slots: int
    slot_duration_ms: int
    slots_per_epoch: int
    validators: int
    nodes: int
    threshold: int
    fork: str
    events: tuple[PlannedEvent, ...] = ()


@dataclass(slots=True)
class Demo:
    """One run. ``chain`` and ``nodes`` are ready to start; ports are where they listen."""

    shape: Shape
    clock: Clock
    dealer: Child
    chain: Child
    chain_url: str
    nodes: tuple[Child, ...]
    node_urls: tuple[str, ...]
    genesis_time_s: int
    console: Console
    show: bool
    outages: list[Outage] = field(default_factory=list)
    last_frame: Frame | None = None
    _node_duties: dict[tuple[int, int, str], NodeDuty] = field(default_factory=dict)
    _report: dict[str, Any] = field(default_factory=dict)

    async def run(self) -> Summary:
        """Start everything, watch until the last slot has ended, stop everything.

        Raises:
            DemoProcessDied: a process ended although neither plan nor key asked for it.
        """
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
                await self._start(session)
                await self._watch(session)
                await self._poll(session, since_slot=0)
        finally:
            await asyncio.gather(*(child.stop() for child in (*self.nodes, self.chain)))
        return self._summary()

    @property
    def slot(self) -> int:
        """The chain's slot now; negative before genesis."""
        elapsed_s = self.clock.wall_s() - self.genesis_time_s
        return int(elapsed_s * 1000 // self.shape.slot_duration_ms)

    async def _start(self, session: aiohttp.ClientSession) -> None:
        self._tell(f"creating a cluster of {len(self.nodes)} nodes")
        await self.dealer.start()
        await self.dealer.finish()
        self._tell("starting the development chain")
        await self.chain.start()
        await self._wait_ready(session, self.chain, f"{self.chain_url}/eth/v1/node/version")
        self._tell(f"starting {len(self.nodes)} nodes")
        for node in self.nodes:
            await node.start()
        for node, url in zip(self.nodes, self.node_urls, strict=True):
            await self._wait_ready(session, node, f"{url}/livez")

    def _tell(self, text: str) -> None:
        self.console.print(text)

    async def _wait_ready(self, session: aiohttp.ClientSession, child: Child, url: str) -> None:
        try:
            async with asyncio.timeout(READY_WAIT_S):
                while await _get(session, url) is None:
                    child.check()
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise DemoProcessDied(
                "wait for process", process=child.name, url=url, log=child.log_path
            ) from None

    async def _watch(self, session: aiohttp.ClientSession) -> None:
        pending, told = sorted(self.shape.events), -1
        with key_presses(enabled=self.show) as keys, self._live() as live:
            while self.slot < self.shape.slots:
                while pending and pending[0].slot <= self.slot:
                    event = pending.pop(0)
                    await self._act(event.node, event.action)
                if not await self._handle_keys(keys):
                    return
                for child in (self.chain, *self.nodes):
                    child.check()
                # Asked once a slot where nobody looks: answering is work that nodes are measured by.
                if live is not None or self.slot > told:
                    told = self.slot
                    await self._poll(session, since_slot=max(told - LAST_SLOTS_ASKED, 0))
                    self.last_frame = frame = self._frame()
                    if live is None:
                        self._tell(progress_line(frame))
                    else:
                        live.update(draw(frame))
                await asyncio.sleep(POLL_S)

    @contextlib.contextmanager
    def _live(self) -> Iterator[Live | None]:
        if not self.show:
            yield None
            return
        with Live(console=self.console, refresh_per_second=4) as live:
            yield live

    async def _handle_keys(self, keys: "asyncio.Queue[str]") -> bool:
        while not keys.empty():
            key = keys.get_nowait()
            if key == "q":
                return False
            if key.isdigit() and int(key) < len(self.nodes):
                node = int(key)
                alive = self.nodes[node].is_alive
                await self._act(node, Action.KILL if alive else Action.RESTART)
        return True

    async def _act(self, node: int, action: Action) -> None:
        child, slot = self.nodes[node], max(self.slot, 0)
        if action is Action.KILL and child.is_alive:
            await child.kill()
            self.outages.append(Outage(node, slot, None))
        elif action is Action.RESTART and not child.is_alive:
            await child.start()
            for index, outage in enumerate(self.outages):
                if outage.node == node and outage.until_slot is None:
                    self.outages[index] = Outage(node, outage.from_slot, slot)

    async def _poll(self, session: aiohttp.ClientSession, *, since_slot: int) -> None:
        urls = [f"{url}/duties?since_slot={since_slot}" for url in self.node_urls]
        answers = await asyncio.gather(
            _get(session, f"{self.chain_url}/tetrarch/devchain/report"),
            *(_get(session, url) for url in urls),
        )
        self._report = answers[0] or self._report
        for node, answer in enumerate(answers[1:]):
            for row in (answer or {}).get("duties", ()):
                duty = NodeDuty(
                    node=node,
                    slot=row["slot"],
                    type=row["type"],
                    outcome=row["outcome"],
                    reason=row["reason"],
                    validators=row["validators"],
                    round=row["round"],
                    leader=row["leader"],
                    at_ms=row["at_ms"],
                )
                self._node_duties[node, duty.slot, duty.type] = duty

    def _chain_duties(self) -> list[ChainDuty]:
        """Settled duties of the cluster in the shown slots; the genesis block needs no proposer."""
        if not self._report:
            return []
        return [
            duty
            for duty in read_chain_duties(self._report)
            if duty.slot < self.shape.slots
            and duty.validator_index < self.shape.validators
            and duty.status != "open"
        ]

    @property
    def node_duties(self) -> Sequence[NodeDuty]:
        """What the nodes reported of duties in the shown slots."""
        return [d for d in self._node_duties.values() if 0 <= d.slot < self.shape.slots]

    def _frame(self) -> Frame:
        return Frame(
            slot=self.slot,
            slot_count=self.shape.slots,
            alive=tuple(node.is_alive for node in self.nodes),
            nodes=self.node_duties,
            chain=self._chain_duties(),
            keys=self.show,
        )

    def _summary(self) -> Summary:
        shape = self.shape
        excused = excused_slots(
            self.outages,
            node_count=shape.nodes,
            threshold=shape.threshold,
            slots_per_epoch=shape.slots_per_epoch,
            slot_count=shape.slots,
        )
        return summarise(
            chain=self._chain_duties(),
            nodes=self.node_duties,
            excused_slots=excused,
            shape={
                "slots": shape.slots,
                "nodes": shape.nodes,
                "validators": shape.validators,
                "fork": shape.fork,
            },
            report=self._report,
        )


async def _get(session: aiohttp.ClientSession, url: str) -> dict[str, Any] | None:
    """The JSON object at ``url`` (an empty one for other answers), or None when nobody answers."""
    try:
        async with session.get(url) as response:
            if response.status != 200 or response.content_type != "application/json":
                return {} if response.status < 500 else None
            decoded = await response.json()
            return decoded if isinstance(decoded, dict) else {}
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return None
