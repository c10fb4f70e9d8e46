"""The network does what its faults say, and the same for the same seed."""

import asyncio
from collections.abc import Callable
from random import Random

import pytest

from tetrarch.network.ports import MessageBus, Topic
from tetrarch.sim.loop import simulate
from tetrarch.sim.network import Faults, SimNetwork, SimRunaway
from tetrarch.sim.trace import Trace

COUNT = 400


def deliver(
    faults: Faults, *, act: Callable[[SimNetwork], None] | None = None, messages_max: int = 9_999
) -> list[int]:
    """What node 1 hears of ``COUNT`` numbered messages of node 0."""

    async def main() -> list[int]:
        network = SimNetwork(
            node_count=2,
            faults=faults,
            rng=Random(1),
            trace=Trace(),
            messages_max=messages_max,
        )
        sender, receiver = network.bus(0), network.bus(1)
        heard: list[int] = []

        async def hear(peer: int, payload: bytes) -> None:
            assert peer == 0
            heard.append(int(payload))

        receiver.subscribe(Topic.CONSENSUS, hear)
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(receiver.run())
            if act is not None:
                act(network)
            for number in range(COUNT):
                sender.broadcast(Topic.CONSENSUS, b"%d" % number)
                await asyncio.sleep(0.001)
            await asyncio.sleep(10)
            serving.cancel()
        return heard

    return simulate(main, seed=1)


def test_good_network_loses_nothing_and_keeps_order() -> None:
    assert deliver(Faults()) == list(range(COUNT))


def test_loss_repetition_and_reordering() -> None:
    assert 0 < len(deliver(Faults(loss=0.5))) < COUNT
    repeated = deliver(Faults(repeat=0.5))
    assert len(repeated) > COUNT
    assert set(repeated) == set(range(COUNT))
    mixed = deliver(Faults(reorder=True, delay_s=(0.001, 0.5)))
    assert mixed != sorted(mixed)
    assert sorted(mixed) == list(range(COUNT))


def test_partition_is_one_way_and_heals() -> None:
    assert deliver(Faults(), act=lambda network: network.block(0, 1)) == []
    assert deliver(Faults(), act=lambda network: network.block(1, 0)) == list(range(COUNT))

    def block_and_heal(network: SimNetwork) -> None:
        network.block(0, 1)
        asyncio.get_running_loop().call_later(0.2, network.heal)

    assert 0 < len(deliver(Faults(), act=block_and_heal)) < COUNT


def test_crashed_node_hears_nothing_more() -> None:
    def crash(network: SimNetwork) -> None:
        asyncio.get_running_loop().call_later(0.2, network.detach, 1)

    assert 0 < len(deliver(Faults(), act=crash)) < COUNT


def test_storm_is_an_error() -> None:
    with pytest.raises(BaseExceptionGroup) as caught:
        deliver(Faults(), messages_max=COUNT - 1)
    assert caught.group_contains(SimRunaway)


def test_bus_names_its_peers() -> None:
    async def main() -> None:
        network = SimNetwork(
            node_count=3, faults=Faults(), rng=Random(1), trace=Trace(), messages_max=1
        )
        bus: MessageBus = network.bus(1)
        assert (bus.own_index, bus.peers) == (1, (0, 2))

    simulate(main, seed=1)
