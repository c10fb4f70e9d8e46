"""Start with one beacon node or several: who is enough, who is left out, and when to give up.

Real HTTP: development chains, one of another network among them, and addresses where nobody is.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

import pytest
from tests.ethereum.beacon_nodes.scripted_nodes import Notes
from tests.ethereum.devchain.served import GENESIS_S, StillClock
from tests.ports import free_ports

from tetrarch.beacon_access import BeaconNodeAway, ChainDiffers, await_chain, open_beacon_nodes
from tetrarch.config import BeaconNodeConfig
from tetrarch.errors import ConfigInvalid
from tetrarch.ethereum.beacon_nodes.chain_identity import OurChain
from tetrarch.ethereum.beacon_nodes.several import SeveralBeaconNodes
from tetrarch.ethereum.devchain.config import DevChainConfig, fork_version
from tetrarch.ethereum.devchain.server import DevChainServer
from tetrarch.ethereum.spec.values import Fork
from tetrarch.observability.metrics import Metrics
from tetrarch.supervision import Supervisor

OURS = OurChain(fork_version=fork_version(Fork.PHASE0))
CLOCK = StillClock(9)


class World:
    """Chains that listen, and the composite of a configuration."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.notes = Notes()
        self._stack = stack

    async def chain(self, port: int = 0, **options: Any) -> DevChainServer:
        config = DevChainConfig(
            **{"genesis_time_s": GENESIS_S, "validators": 8, "port": port, **options}
        )
        return await self._stack.enter_async_context(DevChainServer(config, CLOCK))

    async def nodes(self, config: BeaconNodeConfig, *, ours: OurChain = OURS) -> SeveralBeaconNodes:
        supervisor = await self._stack.enter_async_context(Supervisor(cast("Any", self.notes)))
        return await self._stack.enter_async_context(
            open_beacon_nodes(
                config,
                ours=ours,
                clock=CLOCK,
                spawner=supervisor,
                metrics=Metrics(),
                log=cast("Any", self.notes),
            )
        )

    async def start(self, config: BeaconNodeConfig, *, ours: OurChain = OURS) -> SeveralBeaconNodes:
        nodes = await self.nodes(config, ours=ours)
        spec = await await_chain(nodes, config, log=cast("Any", self.notes))
        assert spec.genesis_time_s == GENESIS_S
        return nodes


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        yield World(stack)


def nobody() -> str:
    return f"http://127.0.0.1:{free_ports(1)[0]}"


def test_one_url_is_a_composite_of_one() -> None:
    async def scenario() -> None:
        async with world() as made:
            chain = await made.chain()
            nodes = await made.start(BeaconNodeConfig(url=chain.url))
            assert nodes.conditions == {chain.url: "healthy"}

    asyncio.run(scenario())


def test_node_of_another_network_is_named_and_does_not_stop_the_others() -> None:
    async def scenario() -> None:
        async with world() as made:
            ours = await made.chain()
            other, another = [await made.chain(validators=9) for _ in range(2)]  # even if more
            urls = (other.url, ours.url, another.url)
            signed_on = OurChain(
                fork_version=OURS.fork_version, validators_root=ours.chain.genesis_validators_root
            )
            nodes = await made.start(
                BeaconNodeConfig(urls=urls, start_wait_ms=3_000), ours=signed_on
            )
            assert set(nodes.strangers) == {other.url, another.url}
            named = made.notes.events("beacon_node_on_another_chain")
            assert {line["beacon_node"] for line in named} == {other.url, another.url}

    asyncio.run(scenario())


def test_all_of_another_network_is_an_error_that_names_them() -> None:
    async def scenario() -> None:
        async with world() as made:
            chains = [await made.chain() for _ in range(2)]
            config = BeaconNodeConfig(urls=tuple(each.url for each in chains))
            with pytest.raises(ChainDiffers) as raised:
                await made.start(config, ours=OurChain(fork_version=bytes(4)))
            for each in chains:
                assert each.url in str(raised.value)

    asyncio.run(scenario())


def test_a_liar_that_is_up_first_does_not_say_which_chain_this_is() -> None:
    async def scenario() -> None:
        async with world() as made:
            liar = await made.chain(genesis_time_s=GENESIS_S + 1)
            ports = free_ports(2)
            urls = (liar.url, *(f"http://127.0.0.1:{port}" for port in ports))
            config = BeaconNodeConfig(urls=urls)
            async with asyncio.TaskGroup() as tasks:
                starting = tasks.create_task(made.start(config))
                async with asyncio.timeout(20):
                    while not made.notes.events("beacon_node_away"):  # noqa: ASYNC110
                        await asyncio.sleep(0.02)
                for port in ports:
                    await made.chain(port=port)
            nodes = starting.result()
            assert (await nodes.genesis()).time_s == GENESIS_S
            await nodes._identity.verify(limit_s=10)
            assert nodes.strangers == (liar.url,)

    asyncio.run(scenario())


def test_one_of_three_is_enough_after_a_while() -> None:
    async def scenario() -> None:
        async with world() as made:
            alone = await made.chain()
            config = BeaconNodeConfig(urls=(nobody(), alone.url, nobody()), start_wait_ms=1_500)
            await made.start(config)
            assert made.notes.events("beacon_node_away")

    asyncio.run(scenario())


def test_fallback_alone_is_enough_to_start() -> None:
    async def scenario() -> None:
        async with world() as made:
            spare = await made.chain()
            config = BeaconNodeConfig(url=nobody(), fallback_urls=(spare.url,))
            await made.start(config)

    asyncio.run(scenario())


def test_nobody_there_is_given_up_with_all_names() -> None:
    async def scenario() -> None:
        async with world() as made:
            urls = (nobody(), nobody())
            with pytest.raises(BeaconNodeAway) as raised:
                await made.start(BeaconNodeConfig(urls=urls, start_wait_ms=1_100))
            assert all(url in str(raised.value) for url in urls)
            assert raised.value.exit_code == 69

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "config",
    [
        BeaconNodeConfig(urls=("http://a:1", "http://user:hidden@a:1/")),
        BeaconNodeConfig(url="http://a:1", fallback_urls=("http://a:1",)),
        BeaconNodeConfig(urls=("http://a:1", "not an address with hidden words")),
    ],
)
def test_node_that_stands_twice_or_is_no_address_is_refused(config: BeaconNodeConfig) -> None:
    async def scenario() -> None:
        async with world() as made:
            with pytest.raises(ConfigInvalid) as raised:
                await made.nodes(config)
            assert "hidden" not in str(raised.value)

    asyncio.run(scenario())
