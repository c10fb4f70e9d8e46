"""A cluster that runs real consensus components on simulated time, network, faults and liars.

Two phases: chaos, in which only safety must hold, and after ``heal_s`` a good network, on which
every duty must be decided by every honest node within ``LIVENESS_S``.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tetrarch.consensus.codec import Codec, Identity
from tetrarch.consensus.driver import Consensus
from tetrarch.consensus.events import Verdict
from tetrarch.consensus.messages import faulty_max
from tetrarch.consensus.ports import ConsensusPorts, Decided, DutyTimes, SilentObserver
from tetrarch.consensus.timers import RoundTimes
from tetrarch.consensus.votes import MemoryVoteLog
from tetrarch.duties.types import Duty, DutyType
from tetrarch.errors import PeerFault
from tetrarch.network.ports import MessageBus, Topic
from tetrarch.sim.adversary import BAD_PREFIX, Liar, Nature, twins
from tetrarch.sim.checkers import Agreement, Honesty, require
from tetrarch.sim.disk import SlowVoteLog
from tetrarch.sim.identities import ModelIdentity, real_identities
from tetrarch.sim.loop import EPOCH_S, SimClock, simulate
from tetrarch.sim.network import Faults, SimBus, SimNetwork
from tetrarch.sim.trace import Trace

CLUSTER_ID = b"simulated cluster".ljust(32, b".")
DUTY_LIFE_S = 400.0
LIVENESS_S = 150.0
MESSAGES_MAX = 120_000
IdentityMaker = Callable[[int], Identity]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """All that a seed draws before a run."""

    node_count: int
    faults: Faults
    duties: tuple[tuple[Duty, float], ...]  # with start, in seconds of the run
    round_s: float
    heal_s: float
    offsets_s: tuple[float, ...]  # error of each node's clock
    liars: tuple[tuple[int, str], ...]  # node, and "silent", "twins" or "liar"
    crashes: tuple[tuple[int, float, float], ...]  # node, when, and when it is back
    partitions: tuple[tuple[int, int, float], ...]  # source, target, from when until the heal
    value_size_bytes: int
    disk_s: float  # half of the longest time that a durable write takes


def draw(seed: int) -> Profile:
    """Swarm testing: each fault is on or off for the whole run, then of drawn strength."""
    rng = Random(f"{seed}/profile")
    node_count = rng.choice([4, 4, 4, 4, 7, 3, 5])
    heal_s = rng.choice([5.0, 15.0, 30.0])
    nodes = list(range(node_count))
    count = rng.randint(0, faulty_max(node_count))
    liars = tuple(
        (node, rng.choice(["silent", "twins", "liar", "liar"])) for node in rng.sample(nodes, count)
    )
    kinds = [DutyType.ATTESTER, DutyType.PROPOSER, DutyType.INFO_SYNC]
    slot = rng.randint(1, 1_000)
    duties = tuple(
        (Duty(slot + step, rng.choice(kinds)), rng.uniform(0.5, heal_s * 0.8))
        for step in range(rng.randint(1, 3))
    )
    lying = {node for node, _ in liars}
    crashes = []
    for node in nodes:
        if node not in lying and rng.random() < 0.25:
            down_s = rng.uniform(0.3, heal_s)
            crashes.append((node, down_s, rng.uniform(down_s, heal_s + 2)))
    partitions = []
    if rng.random() < 0.4:
        part_s = rng.uniform(0, heal_s)
        partitions = [(a, b, part_s) for a in nodes for b in nodes if rng.random() < 0.3]
    skew_s = rng.choice([0.0, 0.0, 0.2, 1.0, 3.0])
    return Profile(
        node_count=node_count,
        faults=Faults.drawn(rng),
        duties=duties,
        round_s=rng.choice([0.4, 1.0]),
        heal_s=heal_s,
        offsets_s=tuple(rng.uniform(-skew_s, skew_s) for _ in nodes),
        liars=liars,
        crashes=tuple(crashes),
        partitions=tuple(partitions),
        value_size_bytes=rng.choice([40, 3_000]),
        disk_s=rng.choice([0.0, 0.001, 0.05]),
    )


class Blames(SilentObserver):
    """Honest nodes blame liars only."""

    def __init__(self, node: int, honest: tuple[int, ...]) -> None:
        self._node = node
        self._honest = honest

    def fault(self, peer: int, fault: PeerFault) -> None:
        """See ``Observer``."""
        if peer == self._node and fault.fields.get("kind") == "restored_folder":
            return  # it knows that it has forgotten, and keeps silent
        framed = self._node in self._honest and peer in self._honest
        require(not framed, "no honest node is blamed", by=self._node, peer=peer, fault=fault)


class QbftWorld:
    """One run. Build and use it inside ``simulate``."""

    def __init__(
        self, profile: Profile, *, seed: int, trace: Trace, identity: IdentityMaker | None = None
    ) -> None:
        self.profile = profile
        self.trace = trace
        self._seed = seed
        self._identity = identity or (lambda node: ModelIdentity(seed=seed, own_index=node))
        self._rng = Random(f"{seed}/world")
        self.network = SimNetwork(
            node_count=profile.node_count,
            faults=profile.faults,
            rng=Random(f"{seed}/network"),
            trace=trace,
            messages_max=MESSAGES_MAX,
        )
        lying = {node for node, _ in profile.liars}
        self.honest = tuple(n for n in range(profile.node_count) if n not in lying)
        self.agreement = Agreement(valid=self._valid)
        honesty = Honesty(self.codec(self.honest[0]), self.honest)
        self.network.taps.append(honesty.note)
        self._logs = [
            SlowVoteLog(rng=Random(f"{seed}/disk/{node}"), delay_max_s=profile.disk_s)
            for node in range(profile.node_count)
        ]
        self._healed = False
        self.components: dict[int, Consensus] = {}
        self.rounds_max = 0

    def codec(self, node: int) -> Codec:
        """A codec that signs as ``node``."""
        return Codec(
            identity=self._identity(node),
            cluster_id=CLUSTER_ID,
            node_count=self.profile.node_count,
        )

    async def run(self) -> None:
        """Chaos, heal, and the checks of both."""
        async with asyncio.TaskGroup() as tasks:
            work = tasks.create_task(self._nodes(), name="nodes")
            await asyncio.sleep(self.profile.heal_s)
            self.trace.note("healed")
            self._healed = True
            self.network.heal()
            await asyncio.sleep(LIVENESS_S)
            self._check_liveness()
            await asyncio.sleep(DUTY_LIFE_S)
            self._check_memory()
            work.cancel()

    def _valid(self, decided: Decided) -> bool:
        if decided.value.startswith(BAD_PREFIX):
            return False
        return decided.value.startswith(b"honest") or bool(self.profile.liars)

    def _check_liveness(self) -> None:
        for duty, _ in self.profile.duties:
            missing = self.agreement.missing(duty, self.honest)
            require(
                not missing,
                "every duty is decided once the network heals",
                duty=duty,
                nodes=missing,
            )

    def _check_memory(self) -> None:
        for node in sorted(self.components):
            count = self.components[node].instance_count
            require(count == 0, "instances end at their deadline", node=node, count=count)

    # Nodes

    async def _nodes(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for node in self.honest:
                tasks.create_task(self._lives(node), name=f"node-{node}")
            for node, kind in self.profile.liars:
                if kind != "silent":
                    work = self._liar(node) if kind == "liar" else self._twins(node)
                    tasks.create_task(work, name=f"liar-{node}")
            for source, target, at_s in self.profile.partitions:
                asyncio.get_running_loop().call_at(at_s, self._part, source, target)

    def _part(self, source: int, target: int) -> None:
        if not self._healed:
            self.network.block(source, target)

    async def _lives(self, node: int) -> None:
        """Run ``node``, crash it when the profile says so, and run it again."""
        loop = asyncio.get_running_loop()
        life = 0
        for crashed, down_s, up_s in self.profile.crashes:
            if crashed == node:
                try:
                    async with asyncio.timeout_at(down_s):
                        await self._live(node, self.network.bus(node), life)
                except TimeoutError:
                    self.trace.note(f"{node} crashed")
                self.network.detach(node)
                await asyncio.sleep(max(up_s - loop.time(), 0.01))
                self.trace.note(f"{node} restarted")
                life += 1
        await self._live(node, self.network.bus(node), life)

    async def _live(self, node: int, bus: SimBus, life: int) -> None:
        component = self._component(node, bus, self._logs[node])
        self.components[node] = component

        async def decided(value: Decided) -> None:
            self.trace.note(f"{node} decided {value.duty} round {value.round}")
            self.rounds_max = max(self.rounds_max, value.round)
            self.agreement.note(node, life, value)

        component.decided.subscribe(decided)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(bus.run(), name=f"bus-{node}")
            tasks.create_task(component.run(), name=f"consensus-{node}")
            for duty, start_s in self.profile.duties:
                work = self._work(component, node, duty, start_s, f"honest/{node}/{life}")
                tasks.create_task(work, name=f"work-{node}")

    async def _work(
        self, component: Consensus, node: int, duty: Duty, start_s: float, text: str
    ) -> None:
        rng = Random(f"{self._seed}/work/{node}/{duty}/{text}")
        loop = asyncio.get_running_loop()
        own_start_s = start_s - self.profile.offsets_s[node]
        await asyncio.sleep(max(own_start_s - loop.time(), 0.001))
        await component.participate(duty)
        await asyncio.sleep(rng.choice([0.0, 0.05, 0.3, 2.0]) * rng.random())
        value = rng.choice([f"honest/same/{duty}", f"{text}/{duty}"]).encode()
        await component.propose(duty, value.ljust(self.profile.value_size_bytes, b"."))

    def _component(self, node: int, bus: MessageBus, votes: MemoryVoteLog) -> Consensus:
        starts = dict(self.profile.duties)
        offset_s = self.profile.offsets_s[node]
        clock = SimClock(asyncio.get_running_loop(), offset_s=offset_s)
        rng = Random(f"{self._seed}/checker/{node}")

        async def check(duty: Duty, value: bytes, round_: int) -> Verdict:
            require(duty in starts, "only known duties are checked", duty=duty)
            require(round_ > 0, "a value is proposed in a round", duty=duty)
            if not self._healed:
                await asyncio.sleep(rng.choice([0.0, 0.001, 0.1]))
                if rng.random() < 0.05:
                    return Verdict.UNKNOWN
            return Verdict.REFUSED if value.startswith(BAD_PREFIX) else Verdict.OK

        return Consensus(
            ConsensusPorts(
                bus=bus,
                codec=self.codec(node),
                times=DutyTimes(
                    starts_s=lambda duty: EPOCH_S + starts[duty],
                    ends_s=lambda duty: EPOCH_S + starts[duty] + DUTY_LIFE_S,
                    may_speak_of=lambda duty: duty in starts,
                    rounds=RoundTimes(round_s=self.profile.round_s, proposer_extra_s=0.5),
                ),
                checker=check,
                votes=votes,
                clock=clock,
                node_count=self.profile.node_count,
                observer=Blames(node, self.honest),
            )
        )

    # Liars

    async def _liar(self, node: int) -> None:
        bus = self.network.bus(node)
        rng = Random(f"{self._seed}/liar/{node}")
        liar = Liar(
            bus,
            self.codec(node),
            rng=rng,
            nature=Nature.drawn(rng),
            node_count=self.profile.node_count,
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(bus.run(), name=f"bus-{node}")
            for duty, start_s in self.profile.duties:
                tasks.create_task(liar.lead(duty, start_s), name=f"lead-{node}")

    async def _twins(self, node: int) -> None:
        bus = self.network.bus(node)
        pair = twins(bus, Random(f"{self._seed}/twins/{node}"))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(bus.run(), name=f"bus-{node}")
            for side, twin in enumerate(pair):
                component = self._component(node, twin, MemoryVoteLog())
                tasks.create_task(component.run(), name=f"twin-{node}-{side}")
                for duty, start_s in self.profile.duties:
                    work = self._work(component, node, duty, start_s, f"odd/{node}/{side}")
                    tasks.create_task(work, name=f"work-{node}-{side}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run that broke no rule shows."""

    digest: str
    events_count: int
    messages_count: int
    rounds_max: int


def run_seed(
    seed: int, *, real_crypto: bool = False, show: Callable[[str], None] | None = None
) -> Outcome:
    """Run one seed's world; raises what broke, with the profile and the last events as notes."""
    profile = draw(seed)
    identity = real_identities(seed, profile.node_count) if real_crypto else None
    trace = Trace(show=show)

    async def scenario() -> Outcome:
        world = QbftWorld(profile, seed=seed, trace=trace, identity=identity)
        if show is not None:
            world.network.describe = describe_with(world.codec(0))
        await world.run()
        return Outcome(
            digest=trace.digest,
            events_count=trace.events_count,
            messages_count=world.network.sent_count,
            rounds_max=world.rounds_max,
        )

    try:
        return simulate(scenario, seed=seed)
    except BaseException as error:
        error.add_note(f"replay: python -m tetrarch.sim --seed {seed} --show")
        error.add_note(f"profile: {profile}")
        error.add_note("\n".join(trace.last))
        raise


def describe_with(codec: Codec) -> Callable[[Topic, bytes], str]:
    """A text for people of what a payload says."""

    def describe(topic: Topic, payload: bytes) -> str:
        del topic
        return codec.describe(payload)

    return describe
