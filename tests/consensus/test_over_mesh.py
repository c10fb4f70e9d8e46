"""Four components over real gRPC with mutual TLS and real signatures."""

import asyncio

from tests.network.mesh_world import PATIENCE_S, World, connected, running

from tetrarch.clock import SystemClock
from tetrarch.consensus.codec import Codec
from tetrarch.consensus.driver import Consensus
from tetrarch.consensus.events import Verdict
from tetrarch.consensus.ports import ConsensusPorts, Decided, DutyTimes
from tetrarch.consensus.timers import RoundTimes
from tetrarch.consensus.votes import MemoryVoteLog
from tetrarch.duties.types import Duty, DutyType
from tetrarch.network.mesh import Mesh
from tetrarch.sim.identities import real_identities

NODES = 4
VALUE_SIZE_BYTES = 2_000_000


async def agree(duty: Duty, value: bytes, round_: int) -> Verdict:
    return Verdict.OK


def component(mesh: Mesh) -> Consensus:
    now_s = SystemClock().wall_s()
    times = DutyTimes(
        starts_s=lambda _: now_s,
        ends_s=lambda _: now_s + 10 * PATIENCE_S,
        may_speak_of=lambda _: True,
        rounds=RoundTimes(round_s=PATIENCE_S, proposer_extra_s=0.0),
    )
    codec = Codec(
        identity=real_identities("mesh", NODES)(mesh.own_index),
        cluster_id=bytes(32),
        node_count=NODES,
    )
    return Consensus(
        ConsensusPorts(
            bus=mesh,
            codec=codec,
            times=times,
            checker=agree,
            votes=MemoryVoteLog(),
            clock=SystemClock(),
            node_count=NODES,
        )
    )


def test_nodes_decide_blocks_over_the_mesh() -> None:
    async def main() -> list[Decided]:
        world = World(NODES)
        nodes = [world.node(index, topics=[]) for index in range(NODES)]
        components = [component(node.mesh) for node in nodes]
        outcomes: asyncio.Queue[Decided] = asyncio.Queue()
        for one in components:
            one.decided.subscribe(outcomes.put)
        async with running(*nodes), asyncio.TaskGroup() as tasks:
            serving = [tasks.create_task(one.run()) for one in components]
            await connected(*nodes)
            decided: list[Decided] = []
            for slot in range(NODES):
                for index, one in enumerate(components):
                    await one.propose(
                        Duty(slot, DutyType.PROPOSER), bytes([index]) * VALUE_SIZE_BYTES
                    )
                async with asyncio.timeout(PATIENCE_S):
                    decided += [await outcomes.get() for _ in range(NODES)]
            for task in serving:
                task.cancel()
        return decided

    decided = asyncio.run(main())
    for outcome in decided:
        assert outcome.round == 1
        assert outcome.leader == (outcome.duty.slot + 1 + 1) % NODES
        assert outcome.value == bytes([outcome.leader]) * VALUE_SIZE_BYTES
