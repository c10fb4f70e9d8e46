"""One node with leaders, in virtual time: its chain is all the network there is."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar, cast

from tests.ledger.makers import account_id
from tests.network.mesh_world import RecordingLog

from tetrarch.leadership.leading import Leadership
from tetrarch.leadership.logs import Logs
from tetrarch.leadership.ports import LeadershipPorts
from tetrarch.ledger.accounts import AccountId
from tetrarch.ledger.applying import Place
from tetrarch.ledger.blocks import Block
from tetrarch.ledger.chain import LedgerChain
from tetrarch.ledger.genesis import Genesis, Grant, genesis_block
from tetrarch.ledger.keyring import KeptKeys, Keyring, TurnKeys
from tetrarch.ledger.parameters import Parameters
from tetrarch.ledger.ports import LedgerPorts
from tetrarch.ledger.store import SCHEMA, LedgerStore
from tetrarch.network.overlay.chain import Verdict
from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS
from tetrarch.sim.ledger_keys import KeyDisk, SimKeys, first_keys, seeded
from tetrarch.sim.ledger_node import InlineCompute
from tetrarch.sim.loop import EPOCH_S, SimClock, simulate
from tetrarch.storage.inline import InlineDatabase

T = TypeVar("T")
SLOTS_PER_EPOCH = 10
START_S = EPOCH_S + 1


@dataclass
class World:
    """``leadership`` runs already."""

    chain: LedgerChain
    leadership: Leadership
    clock: SimClock
    disk: KeyDisk
    log: RecordingLog
    proposed: list[bytes] = field(default_factory=list)
    verdict: Verdict | None = None  # instead of the chain's

    async def propose_block(self, content: bytes) -> Verdict:
        self.proposed.append(content)
        return self.verdict or await self.chain.take(BLOCKS, content)

    async def propose_fragment(self, content: bytes) -> Verdict:
        self.proposed.append(content)
        return await self.chain.take(FRAGMENTS, content)

    @property
    def tip(self) -> Place:
        return self.chain.tree.tip

    @property
    def logs(self) -> Logs:
        return self.leadership.logs

    def outcomes(self) -> dict[str, str]:
        return {str(entry.date): entry.status.value for entry in self.logs}

    async def until(self, slot: float) -> None:
        """Of the chain, by true time."""
        now_s = EPOCH_S + asyncio.get_running_loop().time()
        await asyncio.sleep(max(0.0, START_S + slot - now_s))


def genesis_for(kept: KeptKeys) -> Block:
    """Its first leader leads alone, its vote alone makes final; account 0 holds 1000."""
    keyring = Keyring(kept, lambda _: None, seeded(Random(0)))
    leaders = [each.keys.leader for each in keyring.leaders if isinstance(each.keys, TurnKeys)]
    return genesis_block(
        Genesis(
            start_unix_s=int(START_S),
            name="one",
            parameters=Parameters(slots_per_epoch=SLOTS_PER_EPOCH),
            leaders=tuple(leaders),
            members=(keyring.voter,),
            grants=(Grant(AccountId(account_id(0)), 1000),),
        )
    )


@asynccontextmanager
async def leading(
    keys_type: Callable[..., SimKeys] = SimKeys,
    founded: Callable[[KeptKeys], Block] = genesis_for,
) -> AsyncIterator[World]:
    disk = KeyDisk(first_keys(0, None))
    block0 = founded(disk.kept)
    log, clock = RecordingLog(), SimClock(asyncio.get_running_loop())
    store = LedgerStore(InlineDatabase.open((SCHEMA,)))
    ports = LedgerPorts(store=store, compute=InlineCompute(), clock=clock, log=cast("Any", log))
    chain = await LedgerChain.open(ports, block0)
    keys = keys_type(
        disk,
        block0.header.id,
        Random(0),
        on_block=lambda *_: None,
        on_vote=lambda *_: None,
    )
    world = World(chain, cast("Any", None), clock, disk, log)
    given = LeadershipPorts(
        keys=keys, network=world, compute=InlineCompute(), clock=clock, log=cast("Any", log)
    )
    world.leadership = Leadership(given, chain)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(world.leadership.run())
        yield world
        running.cancel()


def run(scenario: Callable[[], Coroutine[Any, Any, T]]) -> T:
    return simulate(scenario, seed=1)
