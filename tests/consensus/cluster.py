"""Consensus components on a simulated network, for tests of the driver."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

from tests.consensus.building import DUTY

from tetrarch.consensus.codec import Codec, Item
from tetrarch.consensus.driver import Consensus
from tetrarch.consensus.events import Verdict
from tetrarch.consensus.ports import Checker, ConsensusPorts, Decided, DutyTimes, Undecided
from tetrarch.consensus.timers import RoundTimes
from tetrarch.consensus.votes import MemoryVoteLog, VoteLog
from tetrarch.duties.types import Duty
from tetrarch.errors import PeerFault
from tetrarch.network.ports import MessageBus, Topic
from tetrarch.sim.identities import ModelIdentity
from tetrarch.sim.loop import EPOCH_S, SimClock, simulate
from tetrarch.sim.network import Faults, SimBus, SimNetwork
from tetrarch.sim.trace import Trace

LIFE_S = 60.0
ROUND_S = 1.0


async def agree(duty: Duty, value: bytes, round_: int) -> Verdict:
    del duty, value
    return Verdict.OK


@dataclass
class Notes:
    """What a node's observer saw."""

    faults: list[tuple[int, str]] = field(default_factory=list)
    drops: list[tuple[int, str]] = field(default_factory=list)
    rounds: list[tuple[int, str]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def round_changed(self, duty: Duty, round_: int, reason: str) -> None:
        self.rounds.append((round_, reason))

    def fault(self, peer: int, fault: PeerFault) -> None:
        self.faults.append((peer, str(fault.fields.get("kind", fault.code))))

    def dropped(self, peer: int, reason: str) -> None:
        self.drops.append((peer, reason))

    def sent(self, duty: Duty, text: str) -> None:
        self.said.append(text)


@dataclass
class Node:
    component: Consensus
    bus: SimBus
    codec: Codec
    votes: VoteLog
    notes: Notes
    task: asyncio.Task[None] | None = None
    decided: list[Decided] = field(default_factory=list)
    undecided: list[Undecided] = field(default_factory=list)


class Cluster:
    """Nodes ``0 .. n-1``; those not started are silent, tests may speak with their keys."""

    def __init__(self, node_count: int = 4) -> None:
        self.node_count = node_count
        self.network = SimNetwork(
            node_count=node_count,
            faults=Faults(),
            rng=Random("cluster"),
            trace=Trace(),
            messages_max=50_000,
        )
        self.nodes: dict[int, Node] = {}
        self.tasks = asyncio.TaskGroup()
        self.may_speak_of: Callable[[Duty], bool] = lambda duty: True
        self.end_s: float | None = EPOCH_S + LIFE_S

    def codec(self, node: int) -> Codec:
        return Codec(
            identity=ModelIdentity(seed="cluster", own_index=node),
            cluster_id=b"c" * 32,
            node_count=self.node_count,
        )

    def start(
        self,
        index: int,
        *,
        checker: Checker = agree,
        votes: VoteLog | None = None,
        wrap: Callable[[MessageBus], MessageBus] = lambda bus: bus,
    ) -> Node:
        bus = self.network.bus(index)
        notes = Notes()
        ports = ConsensusPorts(
            bus=wrap(bus),
            codec=self.codec(index),
            times=DutyTimes(
                starts_s=lambda duty: EPOCH_S + duty.slot,
                ends_s=lambda duty: self.end_s,
                may_speak_of=self.may_speak_of,
                rounds=RoundTimes(round_s=ROUND_S, proposer_extra_s=0.5),
            ),
            checker=checker,
            votes=votes or MemoryVoteLog(),
            clock=SimClock(asyncio.get_running_loop()),
            node_count=self.node_count,
            observer=notes,
        )
        node = Node(Consensus(ports), bus, ports.codec, ports.votes, notes)

        async def decided(value: Decided) -> None:
            node.decided.append(value)

        async def undecided(value: Undecided) -> None:
            node.undecided.append(value)

        node.component.decided.subscribe(decided)
        node.component.undecided.subscribe(undecided)

        async def serve() -> None:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(bus.run())
                tasks.create_task(node.component.run())

        node.task = self.tasks.create_task(serve())
        self.nodes[index] = node
        return node

    async def crash(self, index: int) -> None:
        task = self.nodes[index].task
        assert task is not None
        task.cancel()
        self.network.detach(index)
        await asyncio.sleep(0)

    def speak(self, source: int, target: int, items: Sequence[Item]) -> None:
        """Send with the key and from the place of a node that is not started."""
        self.network.carry(source, target, Topic.CONSENSUS, self.codec(source).encode(items))

    async def propose_all(self, value: bytes = b"value", duty: Duty = DUTY) -> None:
        for node in self.nodes.values():
            await node.component.propose(duty, value)


@asynccontextmanager
async def cluster(node_count: int = 4, started: Sequence[int] = ()) -> AsyncIterator[Cluster]:
    made = Cluster(node_count)
    async with made.tasks:
        for index in started:
            made.start(index)
        await asyncio.sleep(0.001)
        yield made
        for node in made.nodes.values():
            assert node.task is not None
            node.task.cancel()


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario()

    simulate(main, seed="driver")
