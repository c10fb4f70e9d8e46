"""QBFT over the real mesh: four processes on loopback, mTLS, real signatures, a 30 kB value.

All nodes propose at once, as they do when a slot begins; a duty starts when the one before is over
on every node. The leader's time runs from its ``propose`` to its own decision, the last node's from
the leader's ``propose``. Three vote logs: in memory (the protocol alone), the node's database with
its full synchronisation, and what the disk below it takes is in the bench of storage.
"""

import asyncio
import multiprocessing
import tempfile
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from tests.network.mesh_world import TlsIdentity, World, connected, running

from tetrarch.clock import SystemClock
from tetrarch.consensus.codec import Codec
from tetrarch.consensus.driver import Consensus
from tetrarch.consensus.events import Verdict
from tetrarch.consensus.identity import K1Identity
from tetrarch.consensus.messages import leader
from tetrarch.consensus.ports import ConsensusPorts, Decided, DutyTimes
from tetrarch.consensus.timers import RoundTimes
from tetrarch.consensus.votes import MemoryVoteLog, VoteLog
from tetrarch.crypto.k1 import IdentityKey
from tetrarch.duties.types import Duty, DutyType
from tetrarch.duties.votelog import SCHEMA, DurableVoteLog
from tetrarch.storage.database import Database

NODES = 4
DUTIES = 400
WARM_UP = 50
VALUE_SIZE_BYTES = 30_000
TOGETHER = 4
LIFE_S = 120.0


@dataclass(frozen=True, slots=True)
class Timing:
    """What one node saw of one duty, on the host's common monotonic clock."""

    node: int
    slot: int
    proposed_s: float
    decided_s: float
    round: int
    cpu_s: float  # of the process so far


async def agree(duty: Duty, value: bytes, round_: int) -> Verdict:
    del duty, value, round_
    return Verdict.OK


def build(world: World, index: int, votes: VoteLog) -> tuple[Any, Consensus]:
    keys = [IdentityKey.from_bytes(bytes([1 + node]) * 32) for node in range(NODES)]
    node = world.node(index, topics=[])
    began_s = SystemClock().wall_s()
    times = DutyTimes(
        starts_s=lambda _duty: began_s,
        ends_s=lambda _duty: began_s + LIFE_S,
        may_speak_of=lambda _duty: True,
        rounds=RoundTimes(round_s=LIFE_S, proposer_extra_s=0.0),
    )
    codec = Codec(
        identity=K1Identity(key=keys[index], public_keys=[key.public_key() for key in keys]),
        cluster_id=bytes(32),
        node_count=NODES,
    )
    ports = ConsensusPorts(
        bus=node.mesh,
        codec=codec,
        times=times,
        checker=agree,
        votes=votes,
        clock=SystemClock(),
        node_count=NODES,
    )
    return node, Consensus(ports)


async def serve(world: World, index: int, votes: VoteLog, parent: Connection) -> None:
    node, consensus = build(world, index, votes)
    proposed_s: dict[Duty, float] = {}
    value = bytes([index]) * VALUE_SIZE_BYTES

    async def decided(outcome: Decided) -> None:
        now_s, slot = perf_counter(), outcome.duty.slot
        begun_s = proposed_s[outcome.duty]
        parent.send(Timing(index, slot, begun_s, now_s, outcome.round, process_time()))

    consensus.decided.subscribe(decided)
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    async with running(node), asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(consensus.run())
        await connected(node)

        def go() -> None:
            slots = parent.recv()
            if slots is None:
                over.set()
                return
            for slot in slots:
                duty = Duty(slot, DutyType.ATTESTER)
                proposed_s[duty] = perf_counter()
                tasks.create_task(consensus.propose(duty, value))

        loop.add_reader(parent.fileno(), go)
        parent.send(None)
        await over.wait()
        loop.remove_reader(parent.fileno())
        serving.cancel()


def process(
    index: int, kind: str, ports: list[int], identities: list[TlsIdentity], parent: Connection
) -> None:
    """One node."""
    world = World(NODES)
    world.ports, world.identities = ports, identities

    async def main(folder: Path) -> None:
        if kind == "memory":
            await serve(world, index, MemoryVoteLog(), parent)
            return
        database = Database.open(folder / "node.sqlite", (SCHEMA,))
        try:
            await serve(world, index, DurableVoteLog(storage=database), parent)
        finally:
            await database.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder)))


def measure(kind: str, *, together: int = 1) -> dict[str, float]:
    """Milliseconds from proposal to decision, and CPU of all nodes, per duty."""
    world = World(NODES)
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(NODES)]
    processes = [
        context.Process(
            target=process,
            args=(index, kind, world.ports, world.identities, theirs),
            daemon=True,
        )
        for index, (_, theirs) in enumerate(pipes)
    ]
    for one in processes:
        one.start()
    ours = [pipe for pipe, _ in pipes]
    for pipe in ours:
        pipe.recv()
    leaders_ms, last_ms, cpus_s = [], [], []
    for first in range(0, (WARM_UP + DUTIES) * together, together):
        slots = range(first, first + together)
        for pipe in ours:
            pipe.send(list(slots))
        timings: list[Timing] = [pipe.recv() for pipe in ours for _ in slots]
        cpus_s.append(sum(max(t.cpu_s for t in timings if t.node == n) for n in range(NODES)))
        if first < WARM_UP * together:
            continue
        for slot in slots:
            of_slot = {timing.node: timing for timing in timings if timing.slot == slot}
            if any(timing.round > 1 for timing in of_slot.values()):
                raise RuntimeError(f"duty {slot} took more than one round")
            first_node = of_slot[leader(Duty(slot, DutyType.ATTESTER), 1, NODES)]
            leaders_ms.append((first_node.decided_s - first_node.proposed_s) * 1e3)
            last_s = max(timing.decided_s for timing in of_slot.values())
            last_ms.append((last_s - first_node.proposed_s) * 1e3)
    for pipe in ours:
        pipe.send(None)
    for one in processes:
        one.join(10)
    leaders_ms.sort()
    last_ms.sort()
    return {
        "leader_p50_ms": leaders_ms[len(leaders_ms) // 2],
        "leader_p99_ms": leaders_ms[len(leaders_ms) * 99 // 100],
        "last_p50_ms": last_ms[len(last_ms) // 2],
        "last_p99_ms": last_ms[len(last_ms) * 99 // 100],
        "cpu_ms_all_nodes": (cpus_s[-1] - cpus_s[WARM_UP - 1]) / DUTIES / together * 1e3,
    }


def run() -> dict[str, Any]:
    """Print the table; return its figures."""
    figures = {
        "votes in memory": measure("memory"),
        "votes in the database": measure("database"),
        f"votes in the database, {TOGETHER} duties at once": measure("database", together=TOGETHER),
    }
    print(
        f"{'QBFT, n=4, 30 kB (ms)':<42}{'leader p50':>12}{'p99':>8}{'last p50':>12}{'p99':>8}{'CPU':>8}"
    )
    for name, row in figures.items():
        print(
            f"{name:<42}{row['leader_p50_ms']:>12.1f}{row['leader_p99_ms']:>8.1f}"
            f"{row['last_p50_ms']:>12.1f}{row['last_p99_ms']:>8.1f}{row['cpu_ms_all_nodes']:>8.1f}"
        )
    return figures


if __name__ == "__main__":
    run()
