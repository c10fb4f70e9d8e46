"""The composition root: builds a node's workflow from its ports. The only place that names all.

No I/O and no globals: ``launch`` gives real ports, the simulator simulated ones, and any
number of nodes lives in one process.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from tetrarch.clock import Clock
from tetrarch.consensus.codec import Codec, Identity
from tetrarch.consensus.driver import Consensus
from tetrarch.consensus.messages import faulty_max, quorum
from tetrarch.consensus.ports import ConsensusPorts, DutyTimes, Observer
from tetrarch.consensus.priority import PriorityCodec
from tetrarch.consensus.timers import RoundTimes
from tetrarch.duties import (
    aggsigdb,
    dutydb,
    highest_signed,
    info_sync,
    parsigdb,
    report_store,
    safe_start,
    slashing,
    votelog,
)
from tetrarch.duties.aggsigdb import AggSigDB
from tetrarch.duties.agreement import DECIDED_TYPES, Agreement
from tetrarch.duties.broadcaster import Broadcaster
from tetrarch.duties.deadline import Deadlines
from tetrarch.duties.doppelganger import voting_validators
from tetrarch.duties.dutydb import DutyDB
from tetrarch.duties.evidence import Sources
from tetrarch.duties.exits import Exits
from tetrarch.duties.features import Agreed
from tetrarch.duties.fetcher import BlockSettings, Fetcher
from tetrarch.duties.group_crypto import GroupCrypto
from tetrarch.duties.held import HeldSigning, SilentVotes
from tetrarch.duties.info_sync import Agenda, InfoSync, OwnAbilities
from tetrarch.duties.keys import ClusterKeys
from tetrarch.duties.parsigdb import ParSigDB
from tetrarch.duties.parsigex import ParSigEx
from tetrarch.duties.ports import Compute, OwnHistory, Spawner, Storage
from tetrarch.duties.preparation import Preparation
from tetrarch.duties.proof_fetcher import ProofFetcher
from tetrarch.duties.registrations import Registrations
from tetrarch.duties.report import DutyReport, Step
from tetrarch.duties.requested import Count, LastingPorts, NoOperator, OperatorPort, Requested
from tetrarch.duties.resume import Resumption
from tetrarch.duties.retention import kept_epochs
from tetrarch.duties.retry import Retryer
from tetrarch.duties.safe_start import SafeStart, Surroundings
from tetrarch.duties.scheduler import Scheduler
from tetrarch.duties.selections import ProofSource
from tetrarch.duties.sigagg import SigAgg
from tetrarch.duties.signer import Signer, SigningService
from tetrarch.duties.slashing import GroupHistory
from tetrarch.duties.timing import deadline_s, may_speak_of, rounds_start_s
from tetrarch.duties.tracking import STEPS, Tracking, TrackingPorts
from tetrarch.duties.types import Duty, DutyType, PubKey, SignedDataSet
from tetrarch.duties.votelog import DurableVoteLog
from tetrarch.duties.wire import Components, Decorate, HasDuty, Submitter, V, plain, wire
from tetrarch.duties.witnesses import OwnState, Witnesses
from tetrarch.entropy import Entropy
from tetrarch.errors import Transient
from tetrarch.ethereum.beacon_node.ports import BeaconNode
from tetrarch.ethereum.beacon_nodes.ports import ChainNews
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.messages import SignedValidatorRegistration
from tetrarch.network.peer_info import PeerInfo, PeerInfos
from tetrarch.network.ports import MessageBus
from tetrarch.network.requests import Requests
from tetrarch.network.versions import CURRENT, Versions
from tetrarch.observability.logs import Log
from tetrarch.output import Handler

SCHEMAS = (
    dutydb.SCHEMA,
    parsigdb.SCHEMA,
    aggsigdb.SCHEMA,
    votelog.SCHEMA,
    slashing.SCHEMA,
    info_sync.SCHEMA,
    report_store.SCHEMA,
    highest_signed.SCHEMA,
    safe_start.SCHEMA,
)

WARMED_AT_ONCE = 16

# Edges that go on in the background and are retried until the duty's deadline.
BACKGROUND_EDGES = frozenset(
    {
        "scheduler>fetcher.fetch",
        "scheduler>info_sync.negotiate",
        "scheduler>signer.sign_scheduled",
        "requested>signer.sign_scheduled",
        "fetcher>signer.sign_head",
        "consensus>signer.sign",
        "sigagg>broadcaster.broadcast",
        "sigagg>aggsigdb.store",
        "broadcaster>aggsigdb.note_submitted",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePorts:
    """The world, as one node sees it."""

    beacon_node: BeaconNode
    bus: MessageBus
    storage: Storage
    identity: Identity
    clock: Clock
    compute: Compute
    crypto: GroupCrypto
    entropy: Entropy
    spawner: Spawner
    observer: Observer
    log: Log
    looks_on_chain: bool = True  # for what became of its duties
    name_of: Callable[[int], str] = "node{}".format  # a node, for people
    on_report: Callable[[DutyReport], None] = lambda _report: None
    on_agreement: Callable[[Agreed], None] = lambda _agreed: None
    on_peer_info: Callable[[int, PeerInfo], None] = lambda _peer, _info: None
    on_fault: Callable[[int, str], None] = lambda _peer, _kind: None
    instance: bytes = bytes(8)  # of this process, as the bus introduces it to the peers
    # Whether an older process (or a newer: False) runs beside a peer's; None: it runs alone.
    older_twin_of: Callable[[int, bytes], bool | None] = lambda _peer, _instance: None
    on_edge: Decorate = plain  # around the work of each edge, each attempt anew: timing, tracing
    operator: OperatorPort = field(default_factory=NoOperator)
    count_lasting: Count = lambda _kind, _outcome, _count: None  # exits and registrations


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDescription:
    """What the node tells its peers of itself, for people to read."""

    version: str = ""
    git_commit: str = ""
    nickname: str = ""
    signing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeShape:
    """What distinguishes this node from any other."""

    chain: ChainSpec
    keys: ClusterKeys
    cluster_id: bytes  # the lock hash, 32 bytes
    fee_recipients: Mapping[PubKey, bytes] = field(default_factory=dict)  # zero: none is set
    builder_api: bool = False  # what this node wants; builders are asked if all do
    graffiti: bytes = bytes(32)
    attest_on_head: bool = False
    registrations: Mapping[PubKey, SignedValidatorRegistration] = field(default_factory=dict)
    versions: Versions = CURRENT
    description: NodeDescription = NodeDescription()
    trusts_own_history: bool = False  # signs without asking the peers: see ``safe_start``
    doppelganger_detection: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitterPorts:
    """What the validator API's builder needs of the workflow."""

    scheduler: Scheduler
    dutydb: DutyDB
    aggsigdb: AggSigDB
    proofs: ProofSource


class Node:
    """A built node. ``load`` once, then ``start`` its workers under the spawner."""

    def __init__(
        self,
        shape: NodeShape,
        ports: NodePorts,
        *,
        signing: SigningService | None,
        build_submitter: Callable[[SubmitterPorts], Submitter] | None = None,
        own_history: OwnHistory | None = None,
    ) -> None:
        """Build and wire. Exactly one of ``signing`` and ``build_submitter`` is given.

        ``own_history`` is the signer's own, beside the node's for the group keys, if it has one.
        """
        self.shape = shape
        self._ports = ports
        self._log = ports.log
        chain, clock = shape.chain, ports.clock
        self.requests = Requests(ports.bus, entropy=ports.entropy, log=ports.log)
        self.tracking = Tracking(
            TrackingPorts(
                chain=chain,
                clock=clock,
                storage=ports.storage,
                spawner=ports.spawner,
                requests=self.requests,
                beacon_node=ports.beacon_node if ports.looks_on_chain else None,
                by_client=signing is None,
                own_index=ports.bus.own_index,
                peers=ports.bus.peers,
                name_of=ports.name_of,
                on_report=ports.on_report,
                on_fault=ports.on_fault,
                log=ports.log,
            )
        )
        self.tracker = self.tracking.tracker
        self.peer_infos = _peer_infos(shape, ports, self.requests)
        features = _info_sync(shape, ports, self.requests, self.peer_infos)
        self.history = GroupHistory(storage=ports.storage, chain=chain)
        self.safe_start = self._build_safe_start(own_history)
        if signing is not None:
            signing = HeldSigning(signing, self.safe_start)
        self.components = _components(
            shape, ports, (features, self.history), signing, build_submitter
        )
        self._preparation = Preparation(
            beacon_node=ports.beacon_node,
            fee_recipients=shape.fee_recipients,
            chain=chain,
            log=ports.log,
        )
        self.votes = DurableVoteLog(storage=ports.storage)
        self.consensus = Consensus(self._consensus_ports())
        self.components.agreement.use(self.consensus)
        self._retryer = Retryer(
            spawner=ports.spawner,
            clock=clock,
            deadline_s=lambda duty: deadline_s(duty, chain),
            jitter=lambda: ports.entropy(1)[0] / 256,
            on_failure=self.tracker.failed,
            log=ports.log,
        )
        wire(self.components, on=self._decorate)
        self._connect()

    @property
    def features(self) -> InfoSync:
        """What the cluster has agreed on."""
        return self.components.info_sync

    async def load(self) -> None:
        """After a (re)start: take up what is on disk, before any worker runs."""
        c = self.components
        await self.safe_start.load()
        await c.parsigdb.load()
        await c.exits.load(c.aggsigdb)
        await c.registrations.load(c.aggsigdb)
        await self.features.load()
        self._ports.on_agreement(self.features.agreed)

    def start(self) -> None:
        """Start every worker; they run until the spawner's owner stops them."""
        c, spawn = self.components, self._ports.spawner.spawn
        spawn(self.safe_start.run(), name="safe-start")
        spawn(self.consensus.run(), name="consensus")
        spawn(c.parsigdb.run_broadcaster(), name="parsigdb-broadcaster")
        spawn(c.parsigdb.run_aggregator(), name="parsigdb-aggregator")
        spawn(c.parsigdb.run_storer(), name="parsigdb-storer")
        spawn(c.deadlines.run(), name="deadlines")
        self.tracking.start()
        spawn(self._warm(), name="warm")
        spawn(self._resumption().run(), name="resume")
        spawn(c.scheduler.run(), name="scheduler")
        if self.shape.registrations or self.shape.builder_api:
            spawn(c.registrations.run(), name="registrations")
        spawn(self.peer_infos.run(), name="peer-info")

    async def close(self) -> None:
        """Every worker has ended: keep what is known of open duties."""
        await self.tracking.close()

    def follow(self, news: ChainNews) -> None:
        """Hear of what the beacon nodes tell of the chain; before the start."""
        scheduler = self.components.scheduler
        news.heads.subscribe(scheduler.head_seen)
        news.reorgs.subscribe(scheduler.reorganized)
        news.doubts.subscribe(scheduler.doubted)

    def peer_connected(self, peer: int) -> None:
        """The bus says that ``peer`` is there (again): send it what it may have missed."""
        self.components.parsigex.greet(peer)
        self._ports.spawner.spawn(self.peer_infos.ask(peer), name=f"peer-info-{peer}")
        self.safe_start.peer_connected()

    # --- inside ------------------------------------------------------------------------------

    def _build_safe_start(self, own_history: OwnHistory | None) -> SafeStart:
        ports, shape = self._ports, self.shape
        epoch = shape.chain.epoch_of(max(shape.chain.slot_at(ports.clock.wall_s()), 0))
        own = OwnState(
            held=lambda: self.safe_start.held,
            first_epoch=epoch,
            instance=ports.instance,
            twin_of=ports.older_twin_of,
        )
        witnesses = Witnesses(
            requests=self.requests,
            storage=ports.storage,
            keys=shape.keys,
            chain=shape.chain,
            own=own,
        )
        histories = (self.history, own_history) if own_history else (self.history,)
        return SafeStart(
            Surroundings(
                witnesses=witnesses,
                histories=histories,
                storage=ports.storage,
                keys=shape.keys,
                chain=shape.chain,
                crypto=ports.crypto,
                compute=ports.compute,
                clock=ports.clock,
                log=ports.log,
                trusts_own_history=shape.trusts_own_history,
                vote_watch=partial(voting_validators, ports.beacon_node, shape.keys)
                if shape.doppelganger_detection
                else None,
            )
        )

    def _consensus_ports(self) -> ConsensusPorts:
        ports, shape = self._ports, self.shape
        chain, clock = shape.chain, ports.clock
        times = DutyTimes(
            starts_s=lambda duty: rounds_start_s(duty, chain),
            ends_s=lambda duty: deadline_s(duty, chain),
            may_speak_of=lambda duty: (
                (duty.type in DECIDED_TYPES and may_speak_of(duty, chain, now_s=clock.wall_s()))
                or self.components.info_sync.is_due(duty)
            ),
            rounds=RoundTimes.for_slot(chain.slot_duration_ms / 1000),
        )
        node_count = shape.keys.share_count
        return ConsensusPorts(
            bus=ports.bus,
            codec=Codec(
                identity=ports.identity, cluster_id=shape.cluster_id, node_count=node_count
            ),
            times=times,
            checker=self.components.agreement.check,
            votes=SilentVotes(self.votes, self.safe_start),
            clock=clock,
            node_count=node_count,
            observer=self.tracking.observer(ports.observer),
        )

    def _resumption(self) -> Resumption:
        return Resumption(
            self.components,
            chain=self.shape.chain,
            clock=self._ports.clock,
            own_share_index=self.shape.keys.own_share_index,
            retried=self._in_background,
            tracker=self.tracker,
            log=self._log,
        )

    def _in_background(self, edge: str, handler: Handler[V], /) -> Handler[V]:
        return self._retryer.asynchronous(edge, _duty_of, handler)

    def _decorate(self, edge: str, handler: Handler[V], /) -> Handler[V]:
        handler = self._ports.on_edge(edge, handler)
        if edge in BACKGROUND_EDGES:
            handler = self._in_background(edge, handler)
        if edge not in STEPS:
            return handler
        handler = self.tracking.around(edge, handler)

        async def watched(value: V) -> None:
            self.components.deadlines.watch(value.duty)
            await handler(value)

        return watched

    def _connect(self) -> None:
        """Edges that are not the data's way: consensus itself, tracking, deadlines, retention."""
        c = self.components
        self.consensus.decided.subscribe(
            self._retryer.asynchronous("consensus.decided", _duty_of, c.agreement.on_decided)
        )
        self.tracking.connect(c, undecided=self.consensus.undecided)
        c.info_sync.agreements.subscribe(self._on_agreement)
        c.scheduler.resolved.subscribe(self._on_epoch)
        c.scheduler.sync_resolved.subscribe(self._on_sync_resolved)
        c.sigagg.aggregated.subscribe(self._on_aggregated)

    async def _on_agreement(self, agreed: Agreed) -> None:
        self.tracker.passed(Duty(agreed.slot, DutyType.INFO_SYNC), Step.STORED)
        self._ports.on_agreement(self.features.agreed)

    async def _on_aggregated(self, signed_set: SignedDataSet) -> None:
        """Selection proofs are made: the beacon node must join the aggregators' subnets."""
        if signed_set.duty.type is DutyType.PREPARE_AGGREGATOR:
            joining = self._preparation.selected(signed_set, self.components.scheduler)
            self._ports.spawner.spawn(joining, name=f"subscribe-{signed_set.duty}")

    async def _on_sync_resolved(self, epoch: int) -> None:
        prepared = self._preparation.prepare_sync(epoch, self.components.scheduler)
        self._ports.spawner.spawn(prepared, name=f"prepare-sync-{epoch}")

    async def _warm(self) -> None:
        """Parse public keys ahead of the first duties, a few at a time beside other work."""
        pubkeys = self.shape.keys.pubkeys
        for start in range(0, len(pubkeys), WARMED_AT_ONCE):
            some = pubkeys[start : start + WARMED_AT_ONCE]
            await self._ports.compute.run(partial(self._ports.crypto.warm, some))

    async def _on_epoch(self, epoch: int) -> None:
        """An epoch is resolved: prepare it, and delete what nobody can need any more."""
        c = self.components
        prepared = self._preparation.prepare(epoch, c.scheduler)
        self._ports.spawner.spawn(prepared, name=f"prepare-{epoch}")
        stores = {
            "dutydb": c.dutydb.delete_before,
            "parsigdb": c.parsigdb.delete_before,
            "aggsigdb": c.aggsigdb.delete_before,
            "votes": self.votes.delete_before,
            "info_sync": c.info_sync.delete_before,
            "duty_reports": self.tracking.reports.delete_before,
        }
        try:
            for name, delete_before in stores.items():
                for duty_type in DutyType:
                    epochs = kept_epochs(name, duty_type)
                    if epochs is not None and epoch > epochs:
                        await delete_before(duty_type, self.shape.chain.first_slot(epoch - epochs))
            await self.history.prune()
        except Transient as error:
            self._log.warning("retention_postponed", reason=str(error), code=error.code)


def _peer_infos(shape: NodeShape, ports: NodePorts, requests: Requests) -> PeerInfos:
    described, versions = shape.description, shape.versions
    own = PeerInfo(
        version=described.version,
        git_commit=described.git_commit,
        started_s=max(int(ports.clock.wall_s()), 0),
        lock_hash=shape.cluster_id,
        builder_api=shape.builder_api,
        signing=described.signing,
        nickname=described.nickname,
        protocol_min=versions.protocol_min,
        protocol=versions.protocol,
        features=versions.features,
    )
    log = ports.log.bind(topic="peerinfo")
    return PeerInfos(own, requests, peers=ports.bus.peers, log=log, on_info=ports.on_peer_info)


def _info_sync(
    shape: NodeShape, ports: NodePorts, requests: Requests, peer_infos: PeerInfos
) -> InfoSync:
    node_count = shape.keys.share_count
    return InfoSync(
        own=OwnAbilities(
            versions=shape.versions,
            builder_api=shape.builder_api,
            own_index=ports.bus.own_index,
            node_count=node_count,
            needed=quorum(node_count),
            complete_rounds=faulty_max(node_count),
        ),
        codec=PriorityCodec(
            identity=ports.identity, cluster_id=shape.cluster_id, node_count=node_count
        ),
        requests=requests,
        storage=ports.storage,
        agenda=Agenda(chain=shape.chain, clock=ports.clock),
        log=ports.log.bind(topic="infosync"),
        lacks=peer_infos.lacking,
    )


def _components(
    shape: NodeShape,
    ports: NodePorts,
    shared: tuple[InfoSync, GroupHistory],
    signing: SigningService | None,
    build_submitter: Callable[[SubmitterPorts], Submitter] | None,
) -> Components:
    chain, keys, clock, log = shape.chain, shape.keys, ports.clock, ports.log
    features, history = shared
    deadlines = Deadlines(chain=chain, clock=clock)
    store = DutyDB(storage=ports.storage, preset=chain.preset, guard=history.guard)
    signed = AggSigDB(storage=ports.storage)
    scheduler = Scheduler(
        beacon_node=ports.beacon_node,
        chain=chain,
        clock=clock,
        pubkeys=keys.pubkeys,
        signs_by_itself=signing is not None,
        spawner=ports.spawner,
        log=log.bind(topic="sched"),
        attest_on_head=shape.attest_on_head,
    )
    partials = ParSigDB(
        storage=ports.storage,
        threshold=keys.threshold,
        clock=clock,
        is_open=deadlines.is_open,
        log=log.bind(topic="parsigdb"),
    )
    own = partials if signing is None else None
    proofs = ProofSource(own=own, share_index=keys.own_share_index, log=log.bind(topic="fetcher"))
    lasting = _lasting(shape, ports)
    registrations = Registrations(
        lasting,
        base=shape.registrations,
        fee_recipients=shape.fee_recipients,
        pubkeys=keys.pubkeys,
        builder_api=shape.builder_api,
    )
    payees = registrations.payees
    fetcher = Fetcher(
        beacon_node=ports.beacon_node,
        chain=chain,
        aggregated=signed,
        blocks=BlockSettings(features=features, graffiti=shape.graffiti, payees=payees),
        proofs=ProofFetcher(
            beacon_node=ports.beacon_node,
            chain=chain,
            decided=store,
            aggregated=signed,
            source=proofs,
            features=features,
            attests=scheduler.attests,
            log=log.bind(topic="fetcher").bind(topic="fetcher"),
        ),
        log=log,
    )
    agreement = Agreement(
        sources=Sources(
            definitions=scheduler,
            view=fetcher.view,
            decided=store,
            aggregated=signed,
            history=history,
            features=features,
            payees=payees,
            former_payee=registrations.former_payee,
        ),
        ballots=features,
        complete_rounds=faulty_max(shape.keys.share_count),
        chain=chain,
        compute=ports.compute,
        crypto=ports.crypto,
        log=log.bind(topic="qbft"),
    )
    return Components(
        scheduler=scheduler,
        fetcher=fetcher,
        agreement=agreement,
        dutydb=store,
        info_sync=features,
        signer=None
        if signing is None
        else Signer(service=signing, keys=keys, chain=chain, log=log.bind(topic="signer")),
        validator_api=None
        if build_submitter is None
        else build_submitter(
            SubmitterPorts(scheduler=scheduler, dutydb=store, aggsigdb=signed, proofs=proofs)
        ),
        parsigdb=partials,
        parsigex=ParSigEx(
            bus=ports.bus,
            keys=keys,
            chain=chain,
            clock=clock,
            own=partials,
            log=log.bind(topic="parsigex"),
        ),
        sigagg=SigAgg(
            crypto=ports.crypto, chain=chain, compute=ports.compute, log=log.bind(topic="sigagg")
        ),
        aggsigdb=signed,
        broadcaster=Broadcaster(
            beacon_node=ports.beacon_node,
            decided=store,
            definitions=scheduler,
            chain=chain,
            log=log.bind(topic="bcast"),
        ),
        requested=Requested(lasting, schedule=scheduler, pubkeys=keys.pubkeys),
        exits=Exits(lasting, signs_by_itself=signing is not None),
        registrations=registrations,
        deadlines=deadlines,
    )


def _lasting(shape: NodeShape, ports: NodePorts) -> LastingPorts:
    return LastingPorts(
        operator=ports.operator,
        beacon_node=ports.beacon_node,
        chain=shape.chain,
        clock=ports.clock,
        spawner=ports.spawner,
        compute=ports.compute,
        crypto=ports.crypto,
        count=ports.count_lasting,
        log=ports.log,
    )


def _duty_of(value: HasDuty) -> Duty:
    return value.duty
