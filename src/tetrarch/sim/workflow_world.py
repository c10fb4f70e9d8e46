"""The whole workflow on simulated time: whole nodes, their chain, faults, crashes and liars.

Three epochs at most of chaos, in which only safety must hold; then everything heals, and in two
more epochs every duty must be done in time. ``workflow_checkers`` says what is judged.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from tetrarch.consensus.codec import Codec, Identity
from tetrarch.consensus.messages import faulty_max
from tetrarch.consensus.priority import PriorityCodec
from tetrarch.duties.partials_codec import decode_partials
from tetrarch.duties.timing import PREPARED_SLOTS_AHEAD
from tetrarch.duties.types import Duty, DutyType, ShareIndex
from tetrarch.errors import TetrarchError
from tetrarch.network.ports import Topic
from tetrarch.node import Node
from tetrarch.sim.beacon_node import BeaconFaults
from tetrarch.sim.chain import GENESIS_S, SLOTS_PER_EPOCH, SimChain
from tetrarch.sim.checkers import Honesty, require
from tetrarch.sim.feature_checkers import FeatureCheckers
from tetrarch.sim.feature_liars import FeatureLies
from tetrarch.sim.identities import ModelIdentity, real_identities
from tetrarch.sim.loop import simulate
from tetrarch.sim.model_crypto import deal
from tetrarch.sim.network import SimNetwork
from tetrarch.sim.qbft_world import CLUSTER_ID
from tetrarch.sim.trace import Trace
from tetrarch.sim.workflow_asked import check_asked
from tetrarch.sim.workflow_checkers import RESUMED_SLOTS, WorkflowCheckers
from tetrarch.sim.workflow_liars import SpoilingBus, WorkflowLiar, split
from tetrarch.sim.workflow_node import BuildNode, Setting, SimNode
from tetrarch.sim.workflow_profile import FIRST_SLOT, SLOT_S, Crash, FullDisk, Kind, Profile, draw
from tetrarch.sim.workflow_restored import read_restored

MESSAGES_MAX = 200_000
INSTANCES_MAX = 1 + 2 * (SLOTS_PER_EPOCH + 4)  # attestations and aggregates live for an epoch
# Attestations and their aggregates live for an epoch, selection proofs for two and are made ahead.
OPEN_DUTIES_MAX = 2 * (SLOTS_PER_EPOCH + 4) + 2 * (2 * SLOTS_PER_EPOCH + PREPARED_SLOTS_AHEAD + 2)
LYING_INSTANCES_MAX = 16
ASKED_DUTIES_MAX = 3  # exits and registrations that operators ask for
# Liars may speak of duties of nine kinds, up to two epochs ahead.
LYING_DUTIES_MAX = 3 * 9 * SLOTS_PER_EPOCH
WAITERS_MAX = 24  # selection proofs that never come, for each slot and validator
CONNECT_S = 0.05
STATED_S = 0.5  # after an agreement's start: a liar that leads has heard the others' statements


class WorkflowWorld:
    """One run. Build and use it inside ``simulate``."""

    def __init__(
        self, profile: Profile, *, seed: int, trace: Trace, real: bool, build: BuildNode
    ) -> None:
        count = profile.node_count
        keys = deal(
            seed,
            node_count=count,
            threshold=profile.threshold,
            validator_count=profile.validator_count,
            real=real,
        )
        self.profile = profile
        self.chain = SimChain(seed, keys.pubkeys)
        self.checkers = WorkflowCheckers(
            profile=profile, chain=self.chain, crypto=keys.crypto[profile.honest[0]]
        )
        identity = (
            real_identities(seed, count)
            if real
            else (lambda node: ModelIdentity(seed=seed, own_index=node))
        )
        self.features = FeatureCheckers(
            profile=profile, codec=_priority_codec(identity(profile.honest[0]), count)
        )
        self.network = SimNetwork(
            node_count=count,
            faults=profile.faults,
            rng=Random(f"{seed}/network"),
            trace=trace,
            messages_max=MESSAGES_MAX,
        )
        self._seed = seed
        self._setting = Setting(
            seed=seed,
            profile=profile,
            chain=self.chain,
            keys=keys,
            identity=identity,
            trace=trace,
            checkers=self.checkers,
            features=self.features,
            build=build,
        )
        self._nodes = {
            node: SimNode(self._setting, node, label=f"{node}") for node in profile.honest
        }
        self._others: list[SimNode] = []  # programs of Byzantine nodes
        self._honesty = Honesty(
            self.codec(profile.honest[0]),
            profile.honest,
            faulty_max=faulty_max(count),
            now_s=asyncio.get_running_loop().time,
        )
        self.network.taps.append(self._tap)
        self.network.arrival_taps.append(self.checkers.starts.note_arrival)
        self.chain.taps.append(self.checkers.note_submission)

    @property
    def written(self) -> tuple[str, ...]:
        """What the first honest node wrote, by kind."""
        return tuple(sorted(self._nodes[self.profile.honest[0]].written))

    def codec(self, node: int) -> Codec:
        """A consensus codec that signs as ``node``."""
        return Codec(
            identity=self._setting.identity(node),
            cluster_id=CLUSTER_ID,
            node_count=self.profile.node_count,
        )

    async def run(self) -> None:
        """Chaos, heal, calm, and the checks."""
        async with asyncio.TaskGroup() as tasks:
            work = tasks.create_task(self._cluster(), name="cluster")
            await asyncio.sleep(self.profile.heal_s)
            self._heal()
            databases = {index: node.database for index, node in self._nodes.items()}
            self.checkers.note_heal(databases)
            await asyncio.sleep(RESUMED_SLOTS * SLOT_S)
            self.checkers.check_resumed(databases)
            await asyncio.sleep(self.profile.end_s - asyncio.get_running_loop().time())
            self.checkers.check_liveness()
            self.features.check_liveness(
                {i: n.node.features.agreed for i, n in self._nodes.items() if n.node is not None}
            )
            operators = {index: node.operator for index, node in self._nodes.items()}
            check_asked(self.checkers, operators)
            self._check_memory()
            work.cancel()

    def _tap(self, source: int, topic: Topic, payload: bytes) -> None:
        self._honesty.note(source, topic, payload)
        if topic is Topic.PARTIAL_SIGNATURES and source in self._nodes:
            self.checkers.note_partials(source, payload, self._nodes[source].database)

    def _heal(self) -> None:
        self._setting.trace.note("healed")
        self.network.heal()
        for node in self._nodes.values():
            node.beacons.heal(BeaconFaults())
            node.fill_disk(full=False)
        for node in self._others:  # they need not heal
            faults = node.beacons.faults
            node.beacons.heal(BeaconFaults(forked=faults.forked, selective=faults.selective))

    def _check_memory(self) -> None:
        liars = len(self.profile.liars)
        for index in self.profile.honest:
            node = self._nodes[index].node
            require(node is not None, "honest nodes are up after the heal", node=index)
            if node is None:
                continue
            parts = node.components
            open_count = len(parts.parsigdb.open_duties())
            for claim, count, bound in (
                (
                    "instances are bounded",
                    node.consensus.instance_count,
                    INSTANCES_MAX + liars * LYING_INSTANCES_MAX,
                ),
                (
                    "open duties are bounded",
                    open_count,
                    OPEN_DUTIES_MAX + ASKED_DUTIES_MAX + bool(liars) * LYING_DUTIES_MAX,
                ),
                ("waiters are bounded", parts.aggsigdb.waiting_count, WAITERS_MAX),
            ):
                require(count <= bound, claim, node=index, count=count)

    # Lives

    async def _cluster(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for index, node in self._nodes.items():
                crashes = [crash for crash in self.profile.crashes if crash.node == index]
                tasks.create_task(self._lives(node, crashes), name=f"node-{index}")
            for index, kind in self.profile.liars:
                tasks.create_task(self._byzantine(index, kind), name=f"liar-{index}")
            for source, target, at_s in self.profile.partitions:
                asyncio.get_running_loop().call_at(at_s, self.network.block, source, target)
            for window in self.profile.full_disks:
                tasks.create_task(self._fill(window), name=f"disk-{window.node}")

    async def _lives(self, node: SimNode, crashes: Sequence[Crash]) -> None:
        """Run ``node``, crash it when the profile says so, and run it again."""
        loop = asyncio.get_running_loop()
        for crash in crashes:
            if crash.backup_s is not None:
                loop.call_at(max(crash.backup_s, loop.time()), node.back_up)
        for crash in crashes:
            async with asyncio.TaskGroup() as tasks:
                life = tasks.create_task(self._live(node), name=f"life-{node.index}")
                await asyncio.sleep(max(crash.at_s - loop.time(), 0))
                kind = await _write_of(node, crash) if crash.at_write else ""
                self._setting.trace.note(f"{node.index} crashes {kind}")
                self.network.detach(node.index)
                node.crash(after_commit=crash.after_commit)
                life.cancel()
            await asyncio.sleep(max(crash.back_s - loop.time(), 0.01))
            self._setting.trace.note(f"{node.index} restarts")
            node.restart(from_backup=crash.backup_s is not None)
            if crash.backup_s is not None:
                self._note_restored(node, crash.backup_s)
        await self._live(node)

    def _note_restored(self, node: SimNode, backup_s: float) -> None:
        self._setting.trace.note(f"{node.index} has the disks of a backup")
        peers = (each.node for each in self._nodes.values() if each is not node)
        told = [peer.consensus.heard_from(node.index) for peer in peers if peer is not None]
        self._honesty.forget(node.index, since_s=backup_s, told=told)
        # Copies, for those of crashed nodes answer no more.
        others = [each.database.backup() for each in self._nodes.values() if each is not node]
        slot = int((asyncio.get_running_loop().time() - GENESIS_S) // SLOT_S)
        restored = read_restored(lambda: node.histories, others, share=node.index + 1, at_slot=slot)
        self.checkers.restored[node.index] = restored

    async def _live(self, node: SimNode) -> None:
        bus = self.network.bus(node.index)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._connect(node), name=f"connect-{node.index}")
            await node.live(bus, serve=bus.run)

    async def _connect(self, node: SimNode) -> None:
        """The connections of a (re)started node are there."""
        await asyncio.sleep(CONNECT_S)
        for peer in self._nodes.values():
            if peer is not node and peer.node is not None:
                peer.greet(node.index)
                node.greet(peer.index)

    async def _fill(self, window: FullDisk) -> None:
        node = self._nodes[window.node]
        await asyncio.sleep(window.from_s)
        node.fill_disk(full=True)
        await asyncio.sleep(window.to_s - window.from_s)
        node.fill_disk(full=False)

    # Byzantine nodes

    async def _byzantine(self, index: int, kind: Kind) -> None:
        bus = self.network.bus(index)
        rng = Random(f"{self._seed}/liar/{index}")
        async with asyncio.TaskGroup() as tasks:
            match kind:
                case Kind.SILENT:
                    pass
                case Kind.SELECTIVE:
                    program = self._program(index, f"{index}", selective=True)
                    tasks.create_task(program.live(bus, serve=bus.run))
                case Kind.TAMPER:
                    program = self._program(index, f"{index}")
                    spoiling = SpoilingBus(bus, rng, self._feature_lies(index))
                    tasks.create_task(program.live(spoiling, serve=bus.run))
                case Kind.TWINS:
                    for side, half in zip("ab", split(bus, rng), strict=True):
                        tasks.create_task(self._program(index, f"{index}{side}").live(half))
                    tasks.create_task(bus.run())
                case Kind.LIAR:
                    liar = WorkflowLiar(
                        bus,
                        (self.codec(index), self.profile.node_count),
                        rng=rng,
                        chain=self.chain,
                        lies=self._feature_lies(index),
                    )
                    tasks.create_task(bus.run())
                    for duty, start_s in self._starts():
                        tasks.create_task(liar.lead(duty, start_s))

    def _feature_lies(self, index: int) -> FeatureLies:
        identity = self._setting.identity(index)
        return FeatureLies(
            _priority_codec(identity, self.profile.node_count),
            own_index=index,
            rng=Random(f"{self._seed}/features/{index}"),
        )

    def _program(self, index: int, label: str, *, selective: bool = False) -> SimNode:
        program = SimNode(self._setting, index, label=label)
        rng = Random(f"{self._seed}/program/{label}")
        forked = rng.random() < 0.5
        program.beacons.faults = replace(
            program.beacons.faults, forked=forked and not selective, selective=selective
        )
        self._others.append(program)
        return program

    def _starts(self) -> list[tuple[Duty, float]]:
        """When a liar may lead which duty."""
        slots = range(FIRST_SLOT + 1, FIRST_SLOT + int(self.profile.end_s / SLOT_S))
        proposals = [
            (Duty(slot, DutyType.PROPOSER), GENESIS_S + slot * SLOT_S)
            for slot in slots
            if self.chain.proposer(slot) is not None
        ]
        votes = [
            (Duty(slot, DutyType.ATTESTER), GENESIS_S + (slot + 1 / 3) * SLOT_S) for slot in slots
        ]
        agreements = [
            (Duty(slot, DutyType.INFO_SYNC), GENESIS_S + slot * SLOT_S + STATED_S)
            for slot in slots
            if (slot + 1) % SLOTS_PER_EPOCH == 0
        ]
        return proposals + votes + agreements


def _priority_codec(identity: Identity, node_count: int) -> PriorityCodec:
    return PriorityCodec(identity=identity, cluster_id=CLUSTER_ID, node_count=node_count)


async def _write_of(node: SimNode, crash: Crash) -> str:
    """Wait for the write of ``node`` at which it dies, but not for long; its kind, if it came."""
    reached: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    left = crash.at_write

    def note(kind: str) -> None:
        nonlocal left
        left -= not crash.write_kind or kind == crash.write_kind
        if left == 0 and not reached.done():
            reached.set_result(kind)

    node.on_write = note
    try:
        async with asyncio.timeout_at(crash.back_s):
            return await reached
    except TimeoutError:
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run that broke no rule shows."""

    digest: str
    events_count: int
    messages_count: int
    decided_count: int
    submitted_count: int
    written: tuple[str, ...]  # kinds of writes of the first honest node


def run_seed(
    seed: int,
    *,
    real_crypto: bool = False,
    show: Callable[[str], None] | None = None,
    build: BuildNode = Node,
    profile: Profile | None = None,
) -> Outcome:
    """Run one seed's world; raises what broke, with the profile and the last events as notes.

    ``profile`` takes the place of what the seed draws.
    """
    profile = profile or draw(seed)
    trace = Trace(show=show)

    async def scenario() -> Outcome:
        world = WorkflowWorld(profile, seed=seed, trace=trace, real=real_crypto, build=build)
        if show is not None:
            world.network.describe = _describe_with(world.codec(0))
        await world.run()
        return Outcome(
            digest=trace.digest,
            events_count=trace.events_count,
            messages_count=world.network.sent_count,
            decided_count=len(world.checkers.decided),
            submitted_count=len(world.chain.submissions),
            written=world.written,
        )

    try:
        return simulate(scenario, seed=seed)
    except BaseException as error:
        error.add_note(f"replay: python -m tetrarch.sim --workflow --seed {seed} --show")
        error.add_note(f"profile: {profile}")
        error.add_note("\n".join(trace.last))
        raise


def _describe_with(codec: Codec) -> Callable[[Topic, bytes], str]:
    def describe(topic: Topic, payload: bytes) -> str:
        if topic is Topic.CONSENSUS:
            return codec.describe(payload)
        if topic is not Topic.PARTIAL_SIGNATURES:
            return f"{topic.name.lower()} {len(payload)}B"
        try:
            partial_set, is_answer = decode_partials(payload, share_index=ShareIndex(1))
        except TetrarchError as error:
            return f"no partials: {error}"
        count = len(partial_set.partials)
        return f"partials {partial_set.duty} count={count}" + (" answer" if is_answer else "")

    return describe
