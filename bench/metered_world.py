"""A cluster of whole nodes on metered processors: chain, beacon nodes, network, enclaves, keys.

The workflow is the production code. Signatures are the simulator's model, charged at what the
real ones cost; a validator attests once in each epoch of 32 slots, as on mainnet.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, TypeVar

from bench.operation_costs import Costs
from bench.virtual_cpu import NOBODY, PROCESSOR, Processor, metered_loop, outside
from tetrarch.compute import COST_MS_UNKNOWN, INLINE_MS_MAX
from tetrarch.duties.enclave_signing import EnclaveSigning
from tetrarch.duties.group_crypto import GroupCrypto, GroupSignatures, PartialClaim, PartialsFor
from tetrarch.duties.timing import start_s
from tetrarch.duties.types import (
    AttestationPayload,
    AttesterDefinition,
    Duty,
    DutyType,
    PartialSignature,
    Payload,
    PubKey,
    ShareIndex,
    SignedDataSet,
    SyncMessagePayload,
)
from tetrarch.enclave.history import SCHEMA as ENCLAVE_SCHEMA
from tetrarch.enclave.inline import InlineEnclave
from tetrarch.enclave.ports import Approved
from tetrarch.ethereum.beacon_node.ports import (
    AttesterDuties,
    AttesterDuty,
    ProposerDuties,
    ProposerDuty,
)
from tetrarch.ethereum.spec.aggregates import Aggregate
from tetrarch.ethereum.spec.attestations import SlotAttestation
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.presets import MINIMAL
from tetrarch.ethereum.spec.values import AttestationData, Checkpoint, Fork
from tetrarch.network.frames import BATCH_ENTRY_OVERHEAD
from tetrarch.network.ports import MessageHandler, Topic
from tetrarch.node import SCHEMAS, Node
from tetrarch.node_ports import NodePorts, NodeShape
from tetrarch.sim.beacon_node import BeaconFaults, SimBeaconNode
from tetrarch.sim.chain import FIRST_EPOCH, FIRST_INDEX, SLOTS_PER_EPOCH, SimChain, Submission
from tetrarch.sim.identities import ModelIdentity
from tetrarch.sim.loop import SimClock
from tetrarch.sim.model_crypto import DealtKeys, deal
from tetrarch.sim.qbft_world import CLUSTER_ID
from tetrarch.ssz.bits import Bits
from tetrarch.storage.inline import InlineDatabase
from tetrarch.supervision import Supervisor

R = TypeVar("R")

FIRST_SLOT = FIRST_EPOCH * SLOTS_PER_EPOCH
COMMITTEE_LENGTH = 512  # of which a 32nd aggregates
SYNC_MEMBERS = 1  # a cluster of a thousand validators has one most of the time
BEACON_ANSWER_S = 0.002
COMMIT_S = 0.0005
KEPT_SLOTS = 4
FRAME_OVERHEAD = BATCH_ENTRY_OVERHEAD + 1 + 5 + 22  # entry, kind, gRPC's and TLS's headers
MEASURED = {
    DutyType.RANDAO,
    DutyType.PREPARE_AGGREGATOR,
    DutyType.PREPARE_SYNC_CONTRIBUTION,
}  # end when the group's signature is made; all others when the beacon node has them


@dataclass(slots=True)
class BenchChain(SimChain):
    """Epochs of mainnet's length, large committees, one sync committee member, a short memory."""

    slots_per_epoch: int = 32
    votes_by_slot: dict[int, dict[int, AttestationData]] = field(default_factory=dict)
    sync_by_slot: dict[int, dict[PubKey, bytes]] = field(default_factory=dict)
    index_by_key: dict[bytes, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.index_by_key = {key: FIRST_INDEX + at for at, key in enumerate(self.pubkeys)}

    @property
    def spec(self) -> ChainSpec:
        return replace(self._spec_of_eight(), slots_per_epoch=self.slots_per_epoch)

    def _spec_of_eight(self) -> ChainSpec:
        return SimChain(seed=self.seed, pubkeys=()).spec

    def submit(self, submission: Submission) -> None:
        slot, payload = submission.duty.slot, submission.payload
        if isinstance(payload, AttestationPayload):
            position = self.index_by_key[submission.pubkey] - FIRST_INDEX
            self.votes_by_slot.setdefault(slot, {})[position] = payload.data
        elif isinstance(payload, SyncMessagePayload):
            root = payload.beacon_block_root
            self.sync_by_slot.setdefault(slot, {})[submission.pubkey] = root
        self.votes_by_slot.pop(slot - KEPT_SLOTS, None)
        self.sync_by_slot.pop(slot - KEPT_SLOTS, None)

    def index_of(self, pubkey: bytes) -> int:
        return self.index_by_key[pubkey]

    def attester_slot(self, epoch: int, position: int) -> int:
        return epoch * self.slots_per_epoch + position % self.slots_per_epoch

    def attester(self, epoch: int, position: int) -> AttesterDefinition:
        return replace(SimChain.attester(self, epoch, position), committee_length=COMMITTEE_LENGTH)

    def sync_positions(self, epoch: int, position: int) -> tuple[int, ...]:
        del epoch
        return (position,) if position < SYNC_MEMBERS else ()

    def votes(self, slot: int, data_root: bytes) -> dict[int, AttestationData]:
        del data_root  # all follow one chain
        return self.votes_by_slot.get(slot, {})

    def sync_votes(self, slot: int, root: bytes) -> tuple[int, ...]:
        voters = self.sync_by_slot.get(slot, {})
        places = [self.index_of(key) - FIRST_INDEX for key, each in voters.items() if each == root]
        return tuple(sorted(places))

    def attestation_data(self, slot: int, *, lag: int, branch: str) -> AttestationData:
        del lag
        epoch = slot // self.slots_per_epoch
        first, source = epoch * self.slots_per_epoch, (epoch - 1) * self.slots_per_epoch
        return AttestationData(
            slot=slot,
            index=0,
            beacon_block_root=self.root(slot, branch=branch),
            source=Checkpoint(epoch=epoch - 1, root=self.root(source, branch=branch)),
            target=Checkpoint(epoch=epoch, root=self.root(first, branch=branch)),
        )


class BenchBeaconNode(SimBeaconNode):
    """Duties by the chain's own epochs."""

    def __init__(self, chain: BenchChain, **settings: Any) -> None:
        super().__init__(chain, **settings)
        self._bench = chain
        self.faults = BeaconFaults(delay_s=(BEACON_ANSWER_S, BEACON_ANSWER_S))

    async def attester_duties(self, epoch: int, indices: tuple[int, ...]) -> AttesterDuties:
        await self._answer()
        found = (self._bench.attester(epoch, index - FIRST_INDEX) for index in indices)
        duties = tuple(
            AttesterDuty(
                pubkey=each.pubkey,
                slot=each.slot,
                validator_index=each.validator_index,
                committee_index=each.committee_index,
                committee_length=each.committee_length,
                committees_at_slot=each.committees_at_slot,
                validator_committee_index=each.validator_committee_index,
            )
            for each in found
        )
        return AttesterDuties(epoch=epoch, dependent_root=bytes(32), duties=duties)

    async def aggregate_attestation(
        self, fork: Fork, slot: int, data_root: bytes, committee_index: int
    ) -> Aggregate | None:
        del fork
        await self._answer()
        seen = self._bench.votes(slot, data_root)
        places = {place % COMMITTEE_LENGTH for place in seen if place % 2 == committee_index}
        if not places:
            return None
        return SlotAttestation(
            preset=MINIMAL.name,
            aggregation_bits=Bits.of(place in places for place in range(COMMITTEE_LENGTH)),
            data=next(iter(seen.values())),
            signature=bytes(96),
            committee_bits=Bits.single(committee_index, MINIMAL.max_committees_per_slot),
        )

    async def proposer_duties(self, epoch: int) -> ProposerDuties:
        await self._answer()
        count = self._bench.slots_per_epoch
        duties = tuple(
            ProposerDuty(
                pubkey=self._bench.pubkeys[position],
                slot=slot,
                validator_index=FIRST_INDEX + position,
            )
            for slot in range(epoch * count, (epoch + 1) * count)
            if (position := self._bench.proposer(slot)) is not None
        )
        return ProposerDuties(epoch=epoch, dependent_root=bytes(32), duties=duties)


class CostedBeaconNode:
    """Charges the node for its requests; the beacon node's own work is another machine's."""

    def __init__(self, inner: SimBeaconNode, costs: Costs) -> None:
        self._inner = inner
        self._costs = costs

    @property
    def name(self) -> str:
        return self._inner.name

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        async def call(*arguments: Any, **named: Any) -> Any:
            loop, costs = metered_loop(), self._costs
            items = sum(len(each) for each in arguments if isinstance(each, tuple))
            loop.charge(costs.request + costs.item * items)
            answer = await outside(method(*arguments, **named))
            found = getattr(answer, "duties", answer)
            loop.charge(costs.item * (len(found) if isinstance(found, tuple) else 0))
            return answer

        return call


class CostedCrypto:
    """The model's signatures at the real ones' cost."""

    def __init__(self, inner: GroupCrypto, costs: Costs) -> None:
        self._inner = inner
        self._costs = costs

    def _at(self, cost_s: float, work: Callable[[], R]) -> R:
        loop = metered_loop()
        with loop.free():
            result = work()
        loop.charge(cost_s)
        return result

    def warm(self, pubkeys: Sequence[PubKey]) -> None:
        del pubkeys  # once in a life

    def arrived(self, partials: Sequence[PartialSignature]) -> None:
        metered_loop().charge(self._costs.decompress.of(len(partials)))

    def combine(
        self, items: Sequence[PartialsFor], *, avoid: Collection[ShareIndex]
    ) -> GroupSignatures:
        cost_s = self._costs.combine.of(len(items))
        return self._at(cost_s, lambda: self._inner.combine(items, avoid=avoid))

    def false_partials(self, claims: Sequence[PartialClaim]) -> tuple[int, ...]:
        cost_s = self._costs.verify_partials.of(len(claims))
        return self._at(cost_s, lambda: self._inner.false_partials(claims))

    def verifies(self, pubkey: PubKey, root: bytes, signature: bytes) -> bool:
        cost_s = self._costs.verify_group
        return self._at(cost_s, lambda: self._inner.verifies(pubkey, root, signature))


class CostedIdentity:
    """The model's identity signatures at the real ones' cost."""

    def __init__(self, inner: ModelIdentity, costs: Costs) -> None:
        self._inner = inner
        self._costs = costs

    def sign(self, digest: bytes) -> bytes:
        metered_loop().charge(self._costs.identity_sign)
        return self._inner.sign(digest)

    def verify(self, source: int, digest: bytes, signature: bytes) -> bool:
        metered_loop().charge(self._costs.identity_verify)
        return self._inner.verify(source, digest, signature)


class CostedCompute:
    """As ``compute.ThreadCompute``: light work at once, heavy work on one other thread."""

    async def run(self, function: Callable[[], R], /, *, cost_ms: float = COST_MS_UNKNOWN) -> R:
        loop = metered_loop()
        before_s = loop.elapsed_s()
        result = function()
        processor = PROCESSOR.get()
        if cost_ms > INLINE_MS_MAX and processor is not None:
            cost_s = loop.elapsed_s() - before_s
            loop.charge(-cost_s)
            await processor.elsewhere("compute", cost_s)
        return result


class CostedSigning:
    """The enclave's process: its rules and history are real, its time is what was measured."""

    def __init__(self, enclave: InlineEnclave, costs: Costs) -> None:
        self._signing = EnclaveSigning(enclave)
        self._costs = costs

    async def sign(
        self, requests: tuple[tuple[PubKey, Payload], ...]
    ) -> tuple[Approved | str, ...]:
        answers = await outside(self._signing.sign(requests))
        processor = PROCESSOR.get()
        if processor is not None:
            await processor.elsewhere("enclave", self._costs.enclave.of(len(requests)))
        return answers


class MeteredNetwork:
    """Carries messages with one delay, in order, and charges both ends."""

    def __init__(self, node_count: int, *, delay_s: float, costs: Costs) -> None:
        self.buses: dict[int, MeteredBus] = {}
        self.node_count = node_count
        self.delay_s = delay_s
        self.costs = costs
        self.latest_s: dict[tuple[int, int], float] = {}

    def bus(self, node: int) -> "MeteredBus":
        self.buses[node] = MeteredBus(self, node)
        return self.buses[node]

    def carry(self, source: int, target: int, topic: Topic, payload: bytes) -> None:
        loop, processor = metered_loop(), PROCESSOR.get()
        loop.charge(self.costs.send)
        if processor is not None:
            processor.sent_bytes += len(payload) + FRAME_OVERHEAD
            processor.sent_messages += 1
        arrival_s = max(loop.time() + self.delay_s, self.latest_s.get((source, target), 0.0) + 2e-6)
        self.latest_s[source, target] = arrival_s
        bus = self.buses[target]
        loop.call_at(arrival_s, bus.arrive, source, topic, payload, context=NOBODY)


class MeteredBus:
    """One node's end. ``run`` serves its handlers, one message at a time each."""

    def __init__(self, network: MeteredNetwork, own_index: int) -> None:
        self.own_index = own_index
        self.peers = tuple(each for each in range(network.node_count) if each != own_index)
        self._network = network
        self._handlers: dict[Topic, MessageHandler] = {}
        self._inboxes: dict[Topic, asyncio.Queue[tuple[int, bytes]]] = {}

    def send(self, peer: int, topic: Topic, payload: bytes) -> bool:
        self._network.carry(self.own_index, peer, topic, payload)
        return True

    def broadcast(self, topic: Topic, payload: bytes) -> None:
        for peer in self.peers:
            self.send(peer, topic, payload)

    def subscribe(self, topic: Topic, handler: MessageHandler) -> None:
        self._handlers[topic] = handler
        self._inboxes[topic] = asyncio.Queue()

    def arrive(self, source: int, topic: Topic, payload: bytes) -> None:
        if topic in self._inboxes:
            self._inboxes[topic].put_nowait((source, payload))

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for topic in sorted(self._handlers):
                tasks.create_task(self._serve(topic))

    async def _serve(self, topic: Topic) -> None:
        while True:
            source, payload = await self._inboxes[topic].get()
            metered_loop().charge(self._network.costs.receive)
            await self._handlers[topic](source, payload)


class SilentLog:
    """Counts lines by event; a warning in a good world deserves a look."""

    def __init__(self, counts: dict[str, int]) -> None:
        self._counts = counts

    def bind(self, **_fields: Any) -> "SilentLog":
        return self

    def debug(self, event: str, **fields: Any) -> None:
        del event, fields

    info = debug

    def warning(self, event: str, **fields: Any) -> None:
        del fields
        self._counts[event] = self._counts.get(event, 0) + 1

    error = critical = warning


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """One world."""

    node_count: int
    threshold: int
    validators: int
    delay_s: float
    slots_per_epoch: int = 32


class MeteredWorld:
    """Build and ``start`` it inside ``run_metered``."""

    def __init__(self, size: Size, costs: Costs, *, seed: int = 1) -> None:
        self.size = size
        self.warnings: dict[str, int] = {}
        self.delays_s: dict[DutyType, dict[Duty, list[float]]] = {}
        self.processors = [Processor(f"node{index}") for index in range(size.node_count)]
        self.nodes: list[Node] = []
        self._costs = costs
        self._keys: DealtKeys = deal(
            seed,
            node_count=size.node_count,
            threshold=size.threshold,
            validator_count=size.validators,
            real=False,
        )
        self.chain = BenchChain(
            seed=seed, pubkeys=self._keys.pubkeys, slots_per_epoch=size.slots_per_epoch
        )
        self._network = MeteredNetwork(size.node_count, delay_s=size.delay_s, costs=costs)
        self._spec = self.chain.spec
        self._seed = seed

    async def live(self, index: int) -> None:
        """Run node ``index`` until cancelled; its context says whose processor works."""
        PROCESSOR.set(self.processors[index])
        clock = SimClock(asyncio.get_running_loop())
        bus, log = self._network.bus(index), SilentLog(self.warnings)
        enclave = InlineEnclave(
            storage=InlineDatabase.open((ENCLAVE_SCHEMA,)),
            keys=self._keys.rings[index],
            clock=clock,
        )
        await enclave.configure(self._spec)
        beacon_node = BenchBeaconNode(
            self.chain, node=index, label=str(index), clock=clock, rng=Random(index)
        )
        beacon: Any = CostedBeaconNode(beacon_node, self._costs)
        async with Supervisor(log) as tasks:
            ports = NodePorts(
                beacon_node=beacon,
                bus=bus,
                storage=InlineDatabase.open(SCHEMAS, commit_delay_s=COMMIT_S),
                identity=CostedIdentity(
                    ModelIdentity(seed=self._seed, own_index=index), self._costs
                ),
                clock=clock,
                compute=CostedCompute(),
                crypto=CostedCrypto(self._keys.crypto[index], self._costs),
                entropy=Random(f"entropy/{index}").randbytes,
                spawner=tasks,
                observer=_Unwatched(),
                log=log,
            )
            shape = NodeShape(
                chain=self._spec, keys=self._keys.public[index], cluster_id=CLUSTER_ID
            )
            node = Node(shape, ports, signing=CostedSigning(enclave, self._costs))
            node.components.broadcaster.submitted.subscribe(self._note)
            node.components.sigagg.aggregated.subscribe(self._note_made)
            await node.load()
            tasks.spawn(bus.run(), name="bus")
            node.start()
            self.nodes.append(node)
            await asyncio.Event().wait()

    async def _note(self, signed_set: SignedDataSet) -> None:
        duty = signed_set.duty
        now_s = SimClock(asyncio.get_running_loop()).wall_s()
        times = self.delays_s.setdefault(duty.type, {}).setdefault(duty, [])
        times.append(now_s - start_s(duty, self._spec))

    async def _note_made(self, signed_set: SignedDataSet) -> None:
        if signed_set.duty.type in MEASURED:
            await self._note(signed_set)


class _Unwatched:
    """Satisfies the consensus observer's port."""

    def __getattr__(self, name: str) -> Any:
        del name
        return lambda *_, **__: None
