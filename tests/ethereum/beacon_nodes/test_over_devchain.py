"""Goal: over real connections, the composite does what a single good node does while another one
is slow, lies, fails or is down.

Method: development chains of one configuration on one clock, so that they agree on every block;
faults are switched on through their control endpoint.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from tests.ethereum.beacon_nodes.scripted_nodes import Notes
from tests.ethereum.devchain.served import GENESIS_S, StillClock
from tests.ports import free_ports

from tetrarch.ethereum.beacon_node.client import connect_beacon_node
from tetrarch.ethereum.beacon_node.http import Timeouts
from tetrarch.ethereum.beacon_node.ports import (
    AttestationSubmission,
    BlockRequest,
    ProxyRequest,
)
from tetrarch.ethereum.beacon_nodes.settings import Settings
from tetrarch.ethereum.beacon_nodes.several import SeveralBeaconNodes
from tetrarch.ethereum.devchain.config import DevChainConfig
from tetrarch.ethereum.devchain.keys import interop_key
from tetrarch.ethereum.devchain.server import DevChainServer
from tetrarch.ethereum.spec.domains import DomainType
from tetrarch.supervision import Supervisor

SLOT = 23  # the last of an epoch
OURS = 3
ALL = tuple(range(16))
SETTINGS = Settings(hedge_ms=100, poll_ms=50, reconnect_ms=50)


class World:
    """Chains behind HTTP, and the composite over clients of them."""

    def __init__(
        self,
        chains: list[DevChainServer],
        several: SeveralBeaconNodes,
        notes: Notes,
        clock: StillClock,
        session: aiohttp.ClientSession,
        supervisor: Supervisor,
    ) -> None:
        self.chains = chains
        self.several = several
        self.notes = notes
        self.clock = clock
        self.supervisor = supervisor
        self._session = session

    async def fault(self, number: int, **faults: Any) -> None:
        url = self.chains[number].url + "/tetrarch/devchain/faults"
        async with self._session.post(url, json=faults) as answer:
            assert answer.status == 200

    def name(self, number: int) -> str:
        return self.chains[number].url

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not holds():  # noqa: ASYNC110 - what real connections bring about
                await asyncio.sleep(0.02)


@asynccontextmanager
async def world(primaries: int = 3, fallbacks: int = 0) -> AsyncIterator[World]:
    clock = StillClock(SLOT)
    config = DevChainConfig(genesis_time_s=GENESIS_S, validators=len(ALL), self_run=ALL)
    async with AsyncExitStack() as stack:
        chains, clients = [], []
        for _ in range(primaries + fallbacks):
            chain = await stack.enter_async_context(DevChainServer(config, clock))
            chain.chain.advance(clock.wall_s())
            chains.append(chain)
            connected = connect_beacon_node(chain.url, timeouts=Timeouts(read_s=10))
            clients.append(await stack.enter_async_context(connected))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        notes = Notes()
        supervisor = await stack.enter_async_context(Supervisor(notes))
        several = SeveralBeaconNodes(
            clients[:primaries],
            clients[primaries:],
            clock=clock,
            spawner=supervisor,
            log=notes,
            observer=notes,
            settings=SETTINGS,
        )
        yield World(chains, several, notes, clock, session, supervisor)
        supervisor.stop()


def run(scenario: Callable[[World], Awaitable[None]], **options: int) -> None:
    async def main() -> None:
        async with world(**options) as made:
            assert len({each.chain.head.root for each in made.chains}) == 1, "chains agree"
            await scenario(made)

    asyncio.run(main())


@pytest.mark.parametrize("liar", [0, 1, 2])
def test_wrong_head_is_outvoted(liar: int) -> None:
    async def scenario(world: World) -> None:
        await world.fault(liar, wrong_head=True)
        for _ in range(3):
            data = await world.several.attestation_data(SLOT, 0)
            assert data.beacon_block_root == world.chains[0].chain.head.root

    run(scenario)


@pytest.mark.parametrize("faults", [{"slow_ms": 5_000}, {"down": True}, {"error_rate": 1.0}])
@pytest.mark.parametrize("number", [0, 2])
def test_every_call_succeeds_while_one_node_is_bad(faults: dict[str, Any], number: int) -> None:
    async def scenario(world: World) -> None:
        await world.several.chain_spec()
        await world.fault(number, **faults)
        epoch = SLOT // 8
        key = interop_key(OURS)
        (record,) = await world.several.validators((key.public_key(),))
        assert record.index == OURS
        (duty,) = (await world.several.attester_duties(epoch, (OURS,))).duties
        (proposer, *_) = (await world.several.proposer_duties(epoch + 1)).duties
        data = await world.several.attestation_data(SLOT, 0)
        assert data.beacon_block_root == world.chains[1].chain.head.root
        chain = await world.several.chain_spec()
        revealed = (epoch + 1).to_bytes(32, "little")
        reveal = interop_key(proposer.validator_index).sign(
            chain.forks.signing_root(DomainType.RANDAO, epoch + 1, revealed)
        )
        made = await world.several.produce_block(BlockRequest(slot=SLOT + 1, randao_reveal=reveal))
        assert made.header.parent_root == data.beacon_block_root
        vote = await world.several.attestation_data(duty.slot, 0)
        root = vote.hash_tree_root()
        signed = AttestationSubmission(
            data=vote,
            signature=key.sign(chain.forks.signing_root(DomainType.BEACON_ATTESTER, epoch, root)),
            validator_index=OURS,
            committee_index=duty.committee_index,
            committee_length=duty.committee_length,
            validator_committee_index=duty.validator_committee_index,
        )
        await world.several.submit_attestations(chain.fork_at_slot(duty.slot), (signed,))

    run(scenario)


def test_fallback_stands_in_and_steps_back() -> None:
    async def scenario(world: World) -> None:
        await world.several.chain_spec()
        world.supervisor.spawn(world.several.watch(), name="watch")
        await world.fault(0, down=True)
        data = await world.several.attestation_data(SLOT, 0)
        assert data.beacon_block_root == world.chains[1].chain.head.root
        await world.until(lambda: world.several.conditions[world.name(0)] == "down")
        await world.until(lambda: world.notes.fallback[-1])
        await world.fault(0, down=False)
        await world.until(lambda: not world.notes.fallback[-1])
        assert world.several.conditions[world.name(0)] == "healthy"

    run(scenario, primaries=1, fallbacks=1)


def test_head_events_come_once_and_go_on_when_a_node_dies() -> None:
    async def scenario(world: World) -> None:
        await world.several.chain_spec()
        seen: list[object] = []

        async def follow() -> None:
            async with aclosing(world.several.events(("head",))) as events:
                async for event in events:
                    seen.append(event.data["slot"])  # noqa: PERF401 - looked at meanwhile

        following = world.supervisor.spawn(follow(), name="follow")
        await world.until(lambda: all(len(c.chain.listeners) for c in world.chains))
        for slot in (SLOT + 1, SLOT + 2):
            world.clock.move(slot)
            for each in world.chains:
                each.chain.advance(world.clock.wall_s())
        await world.until(lambda: len(seen) == 2)
        await world.chains[0].stop()
        world.clock.move(SLOT + 3)
        for each in world.chains[1:]:
            each.chain.advance(world.clock.wall_s())
        await world.until(lambda: len(seen) == 3)
        assert seen == [str(SLOT + number) for number in (1, 2, 3)]
        following.cancel()

    run(scenario)


def test_proxy_goes_on_with_the_next_node() -> None:
    async def scenario(world: World) -> None:
        await world.chains[0].stop()
        for method in ("GET", "POST"):
            path = "/eth/v1/node/version" if method == "GET" else "/eth/v1/validator/liveness/2"
            request = ProxyRequest(
                method=method,
                path=path,
                headers={"Content-Type": "application/json"},
                body=b"" if method == "GET" else b'["1"]',
            )
            async with world.several.proxy(request) as answer:
                assert answer.status == 200
                assert b"".join([chunk async for chunk in answer.chunks()])

    run(scenario)


def test_no_log_line_carries_credentials() -> None:
    async def main() -> None:
        notes = Notes()
        async with (
            Supervisor(notes) as supervisor,
            connect_beacon_node("http://user:hidden@127.0.0.1:1") as one,
            connect_beacon_node("http://user:hidden@127.0.0.1:2") as other,
        ):
            several = SeveralBeaconNodes(
                [one, other],
                clock=StillClock(SLOT),
                spawner=supervisor,
                log=notes,
                observer=notes,
            )
            for _ in range(4):
                with pytest.raises(Exception, match="unreachable") as caught:
                    await several.chain_spec()
                assert "hidden" not in str(caught.value)
            assert set(several.conditions.values()) == {"down"}
            assert notes.lines
            assert "hidden" not in repr((notes.lines, notes.conditions, several.name))

    asyncio.run(main())


def test_one_chain_may_stand_for_several_nodes() -> None:
    async def main() -> None:
        (port,) = free_ports(1)
        config = DevChainConfig(genesis_time_s=GENESIS_S, validators=8)
        clock = StillClock(SLOT)
        async with (
            DevChainServer(config, clock, also_ports=(port,)) as chain,
            connect_beacon_node(chain.url) as one,
            connect_beacon_node(f"http://127.0.0.1:{port}") as other,
        ):
            assert one.name != other.name
            assert await one.head() == await other.head()

    asyncio.run(main())
