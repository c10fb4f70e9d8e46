"""A gated bus passes on what may be heard, and says whose messages were not."""

import asyncio
from random import Random

from tetrarch.network.gated_bus import GatedBus
from tetrarch.network.ports import Topic
from tetrarch.sim.loop import simulate
from tetrarch.sim.network import Faults, SimNetwork
from tetrarch.sim.trace import Trace


def test_only_who_may_speak_is_heard_from_when_it_may() -> None:
    heard: list[tuple[int, bytes]] = []
    unheard: list[int] = []
    speakers = {1}

    async def main() -> None:
        network = SimNetwork(
            node_count=3, faults=Faults(), rng=Random(1), trace=Trace(), messages_max=99
        )
        buses = [network.bus(own) for own in range(3)]
        gated = GatedBus(buses[0], speakers.__contains__, unheard.append)
        assert (gated.own_index, gated.peers) == (0, (1, 2))

        async def hear(source: int, payload: bytes) -> None:
            heard.append((source, payload))

        async def answer(source: int, payload: bytes) -> None:
            buses[2].send(source, Topic.ANSWERS, payload)

        gated.subscribe(Topic.CONSENSUS, hear)
        gated.subscribe(Topic.ANSWERS, hear)
        buses[2].subscribe(Topic.REQUESTS, answer)
        async with asyncio.TaskGroup() as tasks:
            serving = [tasks.create_task(bus.run()) for bus in buses]
            for source in (1, 2):
                buses[source].send(0, Topic.CONSENSUS, b"early")
            gated.broadcast(Topic.REQUESTS, b"asked")
            await asyncio.sleep(1)
            assert heard == [(1, b"early")]
            assert unheard == [2, 2]
            speakers.add(2)
            assert gated.send(2, Topic.REQUESTS, b"asked again")
            await asyncio.sleep(1)
            for task in serving:
                task.cancel()

    simulate(main, seed=1)
    assert heard == [(1, b"early"), (2, b"asked again")]
