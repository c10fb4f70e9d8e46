"""Whole nodes of different versions in one cluster, over real sockets with real identities.

Goal: an update of node after node changes nothing that any node cannot read, and a node that is
too old is refused by name while the others go on. Only the chain is simulated, on real time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from random import Random

import pytest
from tests.network.mesh_world import LOCK_HASH, RecordingLog, World

from tetrarch.clock import SystemClock
from tetrarch.consensus.messages import quorum
from tetrarch.consensus.ports import SilentObserver
from tetrarch.duties.enclave_signing import EnclaveSigning
from tetrarch.duties.types import DutyType, UnsignedDataSet
from tetrarch.enclave.history import SCHEMA as ENCLAVE_SCHEMA
from tetrarch.enclave.inline import InlineEnclave
from tetrarch.entropy import system_entropy
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.selection import subcommittees_of
from tetrarch.network.mesh import Mesh
from tetrarch.network.versions import CURRENT, PLURAL_CONTRIBUTIONS, Versions
from tetrarch.node import SCHEMAS, Node
from tetrarch.node_ports import NodePorts, NodeShape
from tetrarch.sim.beacon_node import SimBeaconNode
from tetrarch.sim.chain import FIRST_EPOCH, SLOTS_PER_EPOCH, SimChain
from tetrarch.sim.identities import real_identities
from tetrarch.sim.model_crypto import DealtKeys, SimCompute, deal
from tetrarch.storage.inline import InlineDatabase
from tetrarch.supervision import Supervisor

NODES = 4
SLOT_MS = 2_000
PATIENCE_S = 120.0  # only a broken program waits as long
START_SLOT = FIRST_EPOCH * SLOTS_PER_EPOCH + SLOTS_PER_EPOCH - 2  # agreement comes in the next

OLD = replace(CURRENT, features=())  # knows one contribution for each validator
NEW = CURRENT
NEXT = Versions(protocol_min=CURRENT.protocol + 1, protocol=CURRENT.protocol + 2)


@dataclass
class FastChain(SimChain):
    genesis_s: int = 0

    @property
    def spec(self) -> ChainSpec:
        return replace(super().spec, genesis_time_s=self.genesis_s, slot_duration_ms=SLOT_MS)


def chain_with_member_of_two_subcommittees() -> tuple[FastChain, DealtKeys]:
    genesis_s = int(SystemClock().wall_s()) - START_SLOT * SLOT_MS // 1000
    for seed in range(1_000):
        keys = deal(seed, node_count=NODES, threshold=quorum(NODES), validator_count=2, real=False)
        chain = FastChain(seed=seed, pubkeys=keys.pubkeys, genesis_s=genesis_s)
        places = [chain.sync_positions(FIRST_EPOCH + e, 0) for e in range(5)]
        if all(len(subcommittees_of(each, preset="minimal")) == 2 for each in places):
            return chain, keys
    raise AssertionError("no seed has such a validator")


class Member:
    """One whole node. ``stored`` is what its cluster agreed to sign."""

    def __init__(self, cluster: "Cluster", index: int, versions: Versions) -> None:
        self.index, self.versions = index, versions
        built = cluster.mesh_world.node(index, topics=[], versions=versions)
        self.mesh: Mesh = built.mesh
        self.log: RecordingLog = built.log
        self.count = built.count
        self.stored: list[UnsignedDataSet] = []
        self.tasks = Supervisor(self.log)
        self._cluster = cluster
        self.node: Node

    async def run(self, stack: AsyncExitStack) -> None:
        cluster = self._cluster
        enclave_storage = InlineDatabase.open((ENCLAVE_SCHEMA,))
        enclave = InlineEnclave(
            storage=enclave_storage, keys=cluster.keys.rings[self.index], clock=SystemClock()
        )
        await enclave.configure(cluster.chain.spec)
        self.node = Node(
            NodeShape(
                chain=cluster.chain.spec,
                keys=cluster.keys.public[self.index],
                cluster_id=LOCK_HASH,
                versions=self.versions,
            ),
            NodePorts(
                beacon_node=SimBeaconNode(
                    cluster.chain,
                    node=self.index,
                    label=f"{self.index}",
                    clock=SystemClock(),
                    rng=Random(self.index),
                ),
                bus=self.mesh,
                storage=InlineDatabase.open(SCHEMAS),
                identity=real_identities("together", NODES)(self.index),
                clock=SystemClock(),
                compute=SimCompute(),
                crypto=cluster.keys.crypto[self.index],
                entropy=system_entropy,
                spawner=self.tasks,
                observer=SilentObserver(),
                log=self.log,
            ),
            signing=EnclaveSigning(enclave),
        )
        self.mesh.on_connected(self.node.peer_connected)
        self.node.components.dutydb.stored.subscribe(self._note)
        await self.node.load()
        await stack.enter_async_context(self.tasks)
        self.tasks.spawn(self.mesh.run(), name="mesh")
        await self.mesh.listening.wait()
        self.node.start()

    async def _note(self, data_set: UnsignedDataSet) -> None:
        self.stored.append(data_set)

    def contributions_since_agreement(self) -> list[UnsignedDataSet]:
        agreed = self.node.features.agreed.slot
        return [
            each
            for each in self.stored
            if each.duty.type is DutyType.SYNC_CONTRIBUTION and 0 <= agreed < each.duty.slot
        ]

    def submitted(self, kind: DutyType) -> bool:
        submissions = self._cluster.chain.submissions
        return any(each.node == self.index and each.duty.type is kind for each in submissions)


class Cluster:
    def __init__(self, versions: tuple[Versions, ...]) -> None:
        self.mesh_world = World(NODES)
        self.chain, self.keys = chain_with_member_of_two_subcommittees()
        self.members = [Member(self, index, each) for index, each in enumerate(versions)]


def play(
    versions: tuple[Versions, ...], scenario: Callable[[list[Member]], Awaitable[None]]
) -> None:
    async def main() -> None:
        cluster = Cluster(versions)
        async with AsyncExitStack() as stack:
            for member in cluster.members:
                await member.run(stack)
            async with asyncio.timeout(PATIENCE_S):
                await scenario(cluster.members)
            for member in cluster.members:
                member.tasks.stop()

    asyncio.run(main())


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.02)


def is_plural(data_set: UnsignedDataSet) -> bool:
    pubkeys = [item.pubkey for item in data_set.items]
    return len(set(pubkeys)) < len(pubkeys)


@pytest.mark.parametrize("updated", [1, 3])
def test_half_updated_cluster_sends_what_the_old_nodes_read(updated: int) -> None:
    async def scenario(members: list[Member]) -> None:
        await until(lambda: all(len(m.node.features.agreed.nodes) == NODES for m in members))
        await until(lambda: all(m.contributions_since_agreement() for m in members))
        await until(lambda: all(m.submitted(DutyType.SYNC_CONTRIBUTION) for m in members))
        behind = tuple(range(NODES - updated))
        for member in members:
            agreed = member.node.features.agreed
            assert agreed.features == ()
            assert agreed.without_feature == {PLURAL_CONTRIBUTIONS: behind}
            assert not any(is_plural(each) for each in member.stored)
            waits = member.log.find("feature_waits", feature=PLURAL_CONTRIBUTIONS)
            assert [line["nodes"] for line in waits] == [behind]
            assert member.node.peer_infos.newest.keys() == {0, 1, 2, 3} - {member.index}

    play((OLD,) * (NODES - updated) + (NEW,) * updated, scenario)


def test_updated_cluster_sends_the_new_form_once_all_have_agreed() -> None:
    async def scenario(members: list[Member]) -> None:
        await until(lambda: all(m.node.features.may_send(PLURAL_CONTRIBUTIONS) for m in members))
        agreed = members[0].node.features.agreed.slot
        for member in members:
            assert not any(is_plural(s) for s in member.stored if s.duty.slot <= agreed)
        await until(lambda: all(any(map(is_plural, m.stored)) for m in members))

    play((NEW,) * NODES, scenario)


def test_node_that_is_too_old_is_refused_and_the_others_go_on() -> None:
    async def scenario(members: list[Member]) -> None:
        *others, behind = members
        await until(lambda: all(m.node.features.agreed.nodes == (0, 1, 2) for m in others))
        await until(lambda: all(m.submitted(DutyType.SYNC_MESSAGE) for m in others))
        code = "protocol_version_differs"
        for member in others:
            assert member.node.features.agreed.version == str(NEXT.protocol)
            line = member.log.find("peer_fault", peer=3, code=code)[0]
            assert "update the node of operator 3" in line["mend"]
            assert member.count("mesh_peer_version_supported", peer="3") == 0
            assert member.mesh.connected_count() == 2
        assert "update this node" in behind.log.find("peer_fault", code=code)[0]["mend"]
        assert behind.mesh.connected_count() == 0
        assert behind.node.features.agreed.slot == -1

    play((NEXT, NEXT, NEXT, NEW), scenario)
