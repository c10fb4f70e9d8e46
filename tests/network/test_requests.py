"""Goal: who asks gets the asked peer's answer or a clear failure in time, whatever peers do."""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest

from tetrarch.network.ports import Topic
from tetrarch.network.requests import (
    BODY_SIZE_BYTES_MAX,
    BURST_MAX,
    WAITING_MAX,
    PeerSilent,
    Requests,
    Subject,
)
from tetrarch.observability.logs import build_log
from tetrarch.sim.loop import SimClock, simulate
from tetrarch.sim.network import Faults, SimNetwork
from tetrarch.sim.trace import Trace

Scenario = Callable[["Cluster"], Awaitable[None]]


class Cluster:
    """Nodes that ask each other over a simulated network."""

    def __init__(self, node_count: int) -> None:
        self.network = SimNetwork(
            node_count=node_count,
            faults=Faults(),
            rng=Random(1),
            trace=Trace(),
            messages_max=9_999,
        )
        self.log_text = io.StringIO()
        log = build_log(self.log_text, clock=SimClock(asyncio.get_running_loop()))
        self.buses = [self.network.bus(node) for node in range(node_count)]
        self.nodes = [
            Requests(bus, entropy=Random(node).randbytes, log=log)
            for node, bus in enumerate(self.buses)
        ]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve all buses."""
        async with asyncio.TaskGroup() as tasks:
            serving = [tasks.create_task(bus.run()) for bus in self.buses]
            yield
            for task in serving:
                task.cancel()


def run(scenario: Scenario, *, node_count: int = 3) -> None:
    async def main() -> None:
        await scenario(Cluster(node_count))

    simulate(main, seed=1)


async def echo(peer: int, body: bytes) -> bytes:
    return b"%d asked %b" % (peer, body)


def test_answer_of_the_asked_peer_comes_back() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.nodes[1].serve(Subject.PRIORITY, echo)
        async with cluster.running():
            answer = await cluster.nodes[0].ask(1, Subject.PRIORITY, b"why", timeout_s=1)
        assert answer == b"0 asked why"

    run(scenario)


def test_all_are_asked_and_silence_of_one_costs_no_other_answer() -> None:
    async def never(_peer: int, _body: bytes) -> bytes:
        await asyncio.sleep(60)
        return b"late"

    async def scenario(cluster: Cluster) -> None:
        cluster.nodes[1].serve(Subject.PRIORITY, echo)
        cluster.nodes[2].serve(Subject.PRIORITY, never)
        async with cluster.running():
            answers = await cluster.nodes[0].ask_all(Subject.PRIORITY, b"x", timeout_s=1)
        assert answers == {1: b"0 asked x"}

    run(scenario)


@pytest.mark.parametrize(("subject", "reason"), [(1, "nothing known"), (2, "nothing known")])
def test_who_knows_nothing_says_so_at_once(subject: int, reason: str) -> None:
    async def nothing(_peer: int, _body: bytes) -> None:
        return None

    async def scenario(cluster: Cluster) -> None:
        cluster.nodes[1].serve(Subject(1), nothing)  # subject 2 is not served at all
        async with cluster.running():
            before_s = asyncio.get_running_loop().time()
            with pytest.raises(PeerSilent, match=reason):
                await cluster.nodes[0].ask(1, Subject(subject), b"", timeout_s=50)
            assert asyncio.get_running_loop().time() - before_s < 1

    run(scenario)


def test_an_answerer_may_ask_in_turn() -> None:
    async def scenario(cluster: Cluster) -> None:
        async def relay(_peer: int, body: bytes) -> bytes:
            return await cluster.nodes[1].ask(2, Subject.PRIORITY, body, timeout_s=1)

        cluster.nodes[1].serve(Subject.PRIORITY, relay)
        cluster.nodes[2].serve(Subject.PRIORITY, echo)
        async with cluster.running():
            answer = await cluster.nodes[0].ask(1, Subject.PRIORITY, b"x", timeout_s=2)
        assert answer == b"1 asked x"

    run(scenario)


def test_only_the_asked_peer_can_answer() -> None:
    async def scenario(cluster: Cluster) -> None:
        heard: list[bytes] = []

        async def overhear(_peer: int, body: bytes) -> bytes:
            heard.append(body)
            await asyncio.sleep(60)
            return b""

        cluster.nodes[1].serve(Subject.PRIORITY, overhear)
        requests: list[bytes] = []
        cluster.network.taps.append(
            lambda _source, topic, payload: (
                requests.append(payload) if topic is Topic.REQUESTS else None
            )
        )
        async with cluster.running():
            asking = asyncio.gather(
                cluster.nodes[0].ask(1, Subject.PRIORITY, b"", timeout_s=1), return_exceptions=True
            )
            await asyncio.sleep(0.1)
            forged = requests[0] + b"\x01forged"  # the number is right, the sender is not
            cluster.buses[2].send(0, Topic.ANSWERS, forged)
            (result,) = await asking
        assert isinstance(result, PeerSilent)

    run(scenario)


def test_a_flood_of_questions_is_cut_and_told_once() -> None:
    async def scenario(cluster: Cluster) -> None:
        answered = 0

        async def count(_peer: int, _body: bytes) -> bytes:
            nonlocal answered
            answered += 1
            return b""

        cluster.nodes[1].serve(Subject.PRIORITY, count)
        async with cluster.running():
            for number in range(4 * BURST_MAX):
                payload = b"\x03" + number.to_bytes(8)
                cluster.buses[0].send(1, Topic.REQUESTS, payload)
            await asyncio.sleep(1)
            assert BURST_MAX <= answered <= BURST_MAX + 8
            assert cluster.log_text.getvalue().count("] requests_too_many") == 1
            await cluster.nodes[2].ask(1, Subject.PRIORITY, b"", timeout_s=1)  # others are served

    run(scenario)


def test_malformed_and_oversize_messages_are_dropped() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.nodes[1].serve(Subject.PRIORITY, echo)
        async with cluster.running():
            for topic in (Topic.REQUESTS, Topic.ANSWERS):
                for payload in (b"", b"\x03", bytes(BODY_SIZE_BYTES_MAX + 100)):
                    cluster.buses[0].send(1, topic, payload)
            await asyncio.sleep(0.5)
            answer = await cluster.nodes[0].ask(1, Subject.PRIORITY, b"", timeout_s=1)
        assert answer == b"0 asked "
        assert cluster.log_text.getvalue().count("_refused  ") == 6

    run(scenario)


def test_an_answer_that_is_too_large_is_not_sent() -> None:
    async def large(_peer: int, _body: bytes) -> bytes:
        return bytes(BODY_SIZE_BYTES_MAX + 1)

    async def scenario(cluster: Cluster) -> None:
        cluster.nodes[1].serve(Subject.PRIORITY, large)
        async with cluster.running():
            with pytest.raises(PeerSilent, match="nothing known"):
                await cluster.nodes[0].ask(1, Subject.PRIORITY, b"", timeout_s=1)

    run(scenario)


def test_questions_under_way_are_bounded() -> None:
    async def scenario(cluster: Cluster) -> None:
        async with cluster.running():
            cluster.network.block(0, 1)
            async with asyncio.TaskGroup() as tasks:
                waiting = [
                    tasks.create_task(cluster.nodes[0].ask(1, Subject.PRIORITY, b"", timeout_s=9))
                    for _ in range(WAITING_MAX)
                ]
                await asyncio.sleep(0.1)
                with pytest.raises(PeerSilent, match="too many asked"):
                    await cluster.nodes[0].ask(1, Subject.PRIORITY, b"", timeout_s=9)
                for task in waiting:
                    task.cancel()

    run(scenario)
