"""The ledger's demo: four nodes with their enclaves make a chain on this machine, pay each other, lose a node and get it back."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from tetrarch.clock import Clock
from tetrarch.demo.processes import Child, DemoProcessDied, free_ports
from tetrarch.ledger.accounts import AccountId
from tetrarch.ledger.blocks import encode_block
from tetrarch.ledger.genesis import Genesis, Grant, genesis_block
from tetrarch.ledger.parameters import Fees, Parameters
from tetrarch.storage.durable_file import write_durably

NODES: Final = 4
VICTIM: Final = 3
SLOTS_PER_EPOCH: Final = 20
KILL_SLOT: Final = 12
BACK_SLOT: Final = 24
PAY_EVERY_SLOTS: Final = 3
VALUE: Final = 10
START_IN_S: Final = 10.0
BEHIND_MAX: Final = 3  # blocks that need not be final at the end


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSummary:
    """What came of it. ``blocks``: final ones; ``slots_without_block``: by why."""

    slots: int
    blocks: int
    finals: tuple[int, ...]  # heights, by node
    one_chain: bool
    first_slots_led: bool  # of epochs whose first slot was not the missing node's
    slots_without_block: Mapping[str, int]
    payments_sent: int
    payments_paid: int
    problems: tuple[str, ...] = field(default=())

    @property
    def succeeded(self) -> bool:
        """Whether all of it held."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return {**asdict(self), "succeeded": self.succeeded}


class LedgerDemo:
    """``run`` it once. ``tell`` hears a line now and then."""

    def __init__(
        self, folder: Path, *, slots: int, clock: Clock, tell: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._slots = slots
        self._tell = tell
        ports = free_ports(2 * NODES)
        self._ports, self._monitoring = ports[:NODES], ports[NODES:]
        self._nodes: list[Child] = []
        self._start_s = 0.0
        self._sent = 0
        self._bob = ""

    async def run(self) -> LedgerSummary:
        """All of it.

        Raises:
            DemoProcessDied: a node ended by itself.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._tell(f"{NODES} nodes make their keys in their enclaves")
        keys = await asyncio.gather(*(self._keys(node) for node in range(NODES)))
        alice, self._bob = [await self._account(name) for name in ("alice", "bob")]
        self._found(keys, AccountId(bytes.fromhex(alice)))
        self._nodes = [
            Child(f"node{node}", self._arguments(node), self._folder / f"node{node}.log")
            for node in range(NODES)
        ]
        try:
            for node in self._nodes:
                await node.start()
            self._tell(f"watch it: {self._url(0)}/ledger/")
            await asyncio.gather(self._happen(), self._pay(), self._show())
            return await self._summarize()
        finally:
            for node in self._nodes:
                await node.stop()

    # -- before -----------------------------------------------------------------------------------

    async def _told(self, name: str, *arguments: object) -> dict[str, Any]:
        """What a command prints as JSON."""
        log = self._folder / f"{name}.json"
        child = Child(name, (*map(str, arguments), "--json"), log)
        await child.start()
        await child.finish()
        told: dict[str, Any] = json.loads(log.read_text().strip().splitlines()[-1])
        return told

    async def _keys(self, node: int) -> dict[str, Any]:
        folder = self._folder / f"node{node}"
        return await self._told(f"keys{node}", "ledger", "keys", folder, "--add-leader")

    async def _account(self, name: str) -> str:
        told = await self._told(name, "ledger", "account", self._folder / f"{name}.key")
        return str(told["account"])

    def _found(self, keys: list[dict[str, Any]], alice: AccountId) -> None:
        self._start_s = float(int(self._clock.wall_s() + START_IN_S) + 1)
        genesis = Genesis(
            start_unix_s=int(self._start_s),
            name="demo",
            parameters=Parameters(slots_per_epoch=SLOTS_PER_EPOCH, fees=Fees(constant=1)),
            leaders=tuple(bytes.fromhex(each["leaders"][0]["key"]) for each in keys),
            members=tuple(bytes.fromhex(each["voter"]) for each in keys),
            grants=(Grant(alice, 1_000_000),),
        )
        block = genesis_block(genesis)
        write_durably(self._folder / "block0", encode_block(block))
        starts = datetime.fromtimestamp(self._start_s, UTC).strftime("%H:%M:%S")
        self._tell(f"chain {block.header.id.hex()[:16]} begins at {starts} UTC, slots of a second")

    def _arguments(self, node: int) -> tuple[str, ...]:
        trusted = ("--trusted", f"127.0.0.1:{self._ports[0]}") if node else ()
        return (
            *("ledger", "node", str(self._folder / f"node{node}")),
            *("--genesis", str(self._folder / "block0"), "--private-addresses"),
            *("--listen", f"127.0.0.1:{self._ports[node]}", "--round-s", "1"),
            *("--monitoring-port", str(self._monitoring[node]), *trusted),
        )

    # -- meanwhile --------------------------------------------------------------------------------

    async def _until(self, slot: float) -> None:
        await asyncio.sleep(max(0.0, self._start_s + slot - self._clock.wall_s()))

    async def _happen(self) -> None:
        await self._until(KILL_SLOT + 0.5)
        await self._nodes[VICTIM].kill()
        self._tell(f"slot {KILL_SLOT}: node{VICTIM} killed")
        await self._until(BACK_SLOT + 0.5)
        await self._nodes[VICTIM].start()
        self._tell(f"slot {BACK_SLOT}: node{VICTIM} started again")

    async def _pay(self) -> None:
        for number, slot in enumerate(range(4, self._slots - 8, PAY_EVERY_SLOTS)):
            await self._until(slot + 0.2)
            node = number % (NODES - 1)  # one that is never away
            key_file, folder = self._folder / "alice.key", self._folder / f"node{node}"
            how = ("--key-file", key_file, "--url", self._url(node), "--folder", folder)
            await self._told(f"payment{number}", "ledger", "send", self._bob, VALUE, *how)
            self._sent += 1

    async def _show(self) -> None:
        for slot in range(1, self._slots + 1):
            await self._until(slot + 0.8)
            for node in self._nodes:
                if not node.is_alive and not node.killed:
                    raise DemoProcessDied("run demo", process=node.name, log=node.log_path)
            if slot % 5 == 0:
                told = [await self._ask(node, "ledger/status") for node in range(NODES)]
                shown = "  ".join(
                    "    away"
                    if each is None
                    else f"{each['tip']['height']:>3}/{each['final']['height']:<3}"
                    for each in told
                )
                self._tell(f"slot {slot:>3}  height/final by node  {shown}")

    # -- after ------------------------------------------------------------------------------------

    async def _summarize(self) -> LedgerSummary:
        statuses = [await self._ask(node, "ledger/status") for node in range(NODES)]
        finals = tuple(0 if each is None else each["final"]["height"] for each in statuses)
        chain = await self._chain(0, min(finals))
        others = [await self._chain(node, min(finals), count=1) for node in range(1, NODES)]
        one_chain = all(each and each[0] == chain[0] for each in others)
        account = await self._ask(0, f"ledger/account?id={self._bob}") or {}
        paid = account.get("value", 0) // VALUE
        slots = {_slot(each["date"]) for each in chain}
        missing = Counter(
            f"node{slot % NODES} away" if self._was_away(slot) else "not made"
            for slot in range(1, max(slots, default=0))
            if slot not in slots
        )
        firsts = range(SLOTS_PER_EPOCH, max(slots, default=0), SLOTS_PER_EPOCH)
        led = all(slot in slots for slot in firsts if not self._was_away(slot))
        problems = [
            text
            for is_so, text in (
                (None in statuses, "a node does not answer"),
                (not one_chain, "the nodes' final blocks differ"),
                (
                    min(finals, default=0) < self._expected() - BEHIND_MAX,
                    "too few blocks are final",
                ),
                (not led, "the first slot of an epoch was not led"),
                (missing["not made"] > 0, "a slot of a running node has no block"),
                (paid != self._sent, "a payment is lost, or was paid twice"),
            )
            if is_so
        ]
        return LedgerSummary(
            slots=self._slots,
            blocks=len(chain),
            finals=finals,
            one_chain=one_chain,
            first_slots_led=led,
            slots_without_block=dict(missing),
            payments_sent=self._sent,
            payments_paid=paid,
            problems=tuple(problems),
        )

    def _was_away(self, slot: int) -> bool:
        """Its turn was the missing node's, or it was just coming back."""
        return slot % NODES == VICTIM and KILL_SLOT <= slot <= BACK_SLOT + NODES + 2

    def _expected(self) -> int:
        return self._slots - sum(map(self._was_away, range(1, self._slots + 1)))

    async def _chain(
        self, node: int, height: int, *, count: int | None = None
    ) -> list[dict[str, Any]]:
        """Final blocks from ``height`` down, without the first block."""
        status = await self._ask(node, "ledger/status")
        found: list[dict[str, Any]] = []
        identity = "" if status is None else status["final"]["block"]
        while identity and (count is None or len(found) < count):
            block = await self._ask(node, f"ledger/block?id={identity}")
            if block is None or block["height"] == 0:
                break
            if block["height"] <= height:
                found.append(block)
            identity = block["parent"]
        return found

    def _url(self, node: int) -> str:
        return f"http://127.0.0.1:{self._monitoring[node]}"

    async def _ask(self, node: int, path: str) -> dict[str, Any] | None:
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
                session.get(f"{self._url(node)}/{path}") as answer,
            ):
                told: dict[str, Any] = msgspec.json.decode(await answer.read())
                return told
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError):
            return None


def _slot(date: str) -> int:
    epoch, slot = date.split(".")
    return int(epoch) * SLOTS_PER_EPOCH + int(slot)
