"""The composition root: builds a node's workflow from its ports. The only place that names all.

No I/O and no globals: ``launch`` gives real ports, the simulator simulated ones, and any
number of nodes lives in one process.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from tetrarch.consensus.codec import Codec
from tetrarch.consensus.driver import Consensus
from tetrarch.consensus.ports import ConsensusPorts, DutyTimes
from tetrarch.consensus.recall import Recall
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
from tetrarch.duties.agreement import DECIDED_TYPES
from tetrarch.duties.doppelganger import voting_validators
from tetrarch.duties.features import Agreed
from tetrarch.duties.held import HeldSigning, SilentVotes
from tetrarch.duties.info_sync import InfoSync
from tetrarch.duties.ports import OwnHistory
from tetrarch.duties.preparation import Preparation
from tetrarch.duties.report import Step
from tetrarch.duties.resume import Resumption
from tetrarch.duties.retention import kept_epochs
from tetrarch.duties.retry import Retryer
from tetrarch.duties.safe_start import SafeStart, Surroundings
from tetrarch.duties.signer import SigningService
from tetrarch.duties.slashing import GroupHistory
from tetrarch.duties.timing import deadline_s, may_speak_of, rounds_start_s
from tetrarch.duties.tracking import STEPS, Tracking, TrackingPorts
from tetrarch.duties.types import Duty, DutyType, SignedDataSet
from tetrarch.duties.votelog import DurableVoteLog
from tetrarch.duties.wire import HasDuty, Submitter, V, wire
from tetrarch.duties.witnesses import OwnState, Witnesses
from tetrarch.enclave import restored
from tetrarch.errors import Transient
from tetrarch.ethereum.beacon_nodes.ports import ChainNews
from tetrarch.network.flood import FloodWatch
from tetrarch.network.requests import Requests
from tetrarch.node_parts import build_components, build_info_sync, build_peer_infos
from tetrarch.node_ports import NodePorts, NodeShape, SubmitterPorts
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
    restored.SCHEMA,
)

WARMED_AT_ONCE = 16
FLOOD_MEND = "ask that node's operator what his node does; it costs our duties nothing"

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
        ports = replace(ports, bus=FloodWatch(ports.bus, on_flood=self._on_flood))
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
        self.peer_infos = build_peer_infos(shape, ports, self.requests)
        features = build_info_sync(shape, ports, self.requests, self.peer_infos)
        self.history = GroupHistory(storage=ports.storage, chain=chain)
        self.safe_start = self._build_safe_start(own_history)
        if signing is not None:
            signing = HeldSigning(signing, self.safe_start)
        self.components = build_components(
            shape, ports, (features, self.history), signing, build_submitter
        )
        self._preparation = Preparation(
            beacon_node=ports.beacon_node,
            fee_recipients=self.components.registrations.fee_recipients,
            chain=chain,
            log=ports.log,
        )
        self.votes = DurableVoteLog(storage=ports.storage)
        consensus_ports = self._consensus_ports()
        self.consensus = Consensus(consensus_ports)
        self.components.agreement.use(self.consensus)
        self.recall = Recall(
            requests=self.requests,
            codec=consensus_ports.codec,
            votes=self.votes,
            own_index=ports.bus.own_index,
            clock=clock,
            ends_s=consensus_ports.times.ends_s,
            heard_from=self.consensus.heard_from,
        )
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
                recall=self._recall,
                trusts_own_history=shape.trusts_own_history,
                accepts_rollback_risk=shape.accepts_rollback_risk,
                vote_watch=partial(voting_validators, ports.beacon_node, shape.keys)
                if shape.doppelganger_detection
                else None,
            )
        )

    async def _recall(self, peer: int) -> tuple[Duty, ...]:
        return await self.recall.forgotten(peer)  # built after safe start, asked once all runs

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

    def _on_flood(self, peer: int) -> None:
        self._log.warning("peer_floods", peer=peer, mend=FLOOD_MEND)
        self.tracker.fault(peer, "flood: messages")

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


def _duty_of(value: HasDuty) -> Duty:
    return value.duty
