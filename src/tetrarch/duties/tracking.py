"""Tracking: connects the tracker, its records, the look at the chain and the stories to a node.

All of it only listens. Nothing here delays a duty: what costs time runs in the background.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tetrarch.clock import Clock
from tetrarch.consensus.ports import Decided, Observer, Undecided
from tetrarch.duties.former_duties import FormerDuties
from tetrarch.duties.inclusion import Inclusion
from tetrarch.duties.ports import Spawner, Storage
from tetrarch.duties.report import DutyReport, InclusionReport, Outcome, Step
from tetrarch.duties.report_store import ReportStore
from tetrarch.duties.stories import DutyStories
from tetrarch.duties.timing import LASTING_TYPES
from tetrarch.duties.tracker import Cluster, Tracker
from tetrarch.duties.tracking_observer import TrackingObserver
from tetrarch.duties.types import Duty, DutyType, PartialSet
from tetrarch.duties.wire import Components, HasDuty, V
from tetrarch.errors import PeerFault, TetrarchError, Transient
from tetrarch.ethereum.beacon_node.ports import BeaconNode
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.network.requests import Requests
from tetrarch.observability.logs import Log
from tetrarch.output import Handler, Output

# Which station of a duty each edge marks.
STEPS = {
    "scheduler>consensus.participate": Step.SCHEDULED,
    "requested>signer.sign_scheduled": Step.SCHEDULED,
    "fetcher>consensus.propose": Step.FETCHED,
    "fetcher>signer.sign_head": Step.FETCHED,
    "info_sync>consensus.propose_ballot": Step.FETCHED,
    "consensus>dutydb.store": Step.DECIDED,
    "consensus>info_sync.store": Step.DECIDED,
    "signer>parsigdb.store_internal": Step.SIGNED,
    "validator_api>parsigdb.store_internal": Step.SIGNED,
    "parsigex>parsigdb.store_external": Step.EXCHANGED,
    "parsigdb>sigagg.aggregate": Step.THRESHOLD,
    "sigagg>aggsigdb.store": Step.AGGREGATED,
}
# By these a share's partials come in, our own or a peer's.
_ARRIVALS = frozenset({Step.SIGNED, Step.EXCHANGED})


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingPorts:
    """What tracking needs of its node, and whom it tells.

    ``beacon_node`` None: nobody looks on chain.
    """

    chain: ChainSpec
    clock: Clock
    storage: Storage
    spawner: Spawner
    requests: Requests
    beacon_node: BeaconNode | None
    by_client: bool  # a validator client signs
    own_index: int
    peers: tuple[int, ...]
    name_of: Callable[[int], str]
    on_report: Callable[[DutyReport], None]
    on_fault: Callable[[int, str], None]
    log: Log


class Tracking:
    """Build it, put ``around`` the edges, ``observer`` before consensus', then ``connect``."""

    def __init__(self, ports: TrackingPorts) -> None:
        self._ports = ports
        self._peer_count = len(ports.peers) + 1
        self.tracker = Tracker(
            chain=ports.chain,
            clock=ports.clock,
            cluster=Cluster(self._peer_count, ports.name_of),
            by_client=ports.by_client,
            log=ports.log.bind(topic="tracker"),
            on_last_step=self._on_last_step,
            on_fault=ports.on_fault,
        )
        self.reports = ReportStore(
            storage=ports.storage, report_of=self.tracker.report_of, log=ports.log
        )
        self.stories = DutyStories(
            tracker=self.tracker,
            store=self.reports,
            requests=ports.requests,
            own_index=ports.own_index,
            peers=ports.peers,
            name_of=ports.name_of,
        )
        self.inclusion: Inclusion | None = None
        self._former: FormerDuties | None = None

    def observer(self, then: Observer) -> Observer:
        """Consensus' observer: the tracker, and whoever else observes."""
        return TrackingObserver(self.tracker, node_count=self._peer_count, then=then)

    def around(self, edge: str, handler: Handler[V], /) -> Handler[V]:
        """Mark the step of ``edge``, if it is one; see ``wire.Decorate``."""
        step = STEPS.get(edge)
        if step is None:
            return handler

        async def tracked(value: V) -> None:
            if step in _ARRIVALS and isinstance(value, PartialSet):
                self.tracker.arrived(value)
            self.tracker.passed(value.duty, step, validators=_size(value))
            try:
                await handler(value)
            except TetrarchError as error:
                self.tracker.failed(edge, value.duty, str(error))
                raise

        return tracked

    def connect(self, c: Components, *, undecided: Output[Undecided]) -> None:
        """Listen to what is told beside the edges."""
        undecided.subscribe(self._on_undecided)
        c.agreement.decision.subscribe(self._on_decision)
        c.dutydb.stored.subscribe(self._tracks(Step.STORED))
        c.broadcaster.submitted.subscribe(self._tracks(Step.SUBMITTED))
        c.parsigdb.accepted.subscribe(self._on_accepted)
        c.sigagg.verified.subscribe(self._on_accepted)  # late ones, once they are verified
        c.sigagg.rejected.subscribe(self._on_rejected)
        c.parsigdb.conflicting.subscribe(self._on_conflicting)
        c.parsigex.faults.subscribe(self._on_fault)
        c.fetcher.idle.subscribe(self._on_idle)
        c.deadlines.expired.subscribe(self._on_expired)
        if self._ports.beacon_node is not None:
            self._connect_inclusion(c, self._ports.beacon_node)

    def inclusion_settled(self, handler: Handler[InclusionReport]) -> None:
        """Call ``handler`` with each of the chain's answers. Before the start."""
        if self.inclusion is not None:
            self.inclusion.settled.subscribe(handler)

    def start(self) -> None:
        """Start the workers under the spawner."""
        self._ports.spawner.spawn(self.reports.run(), name="duty-reports")
        if self._former is not None and self.inclusion is not None:
            resumed = self._resume(self._former, self.inclusion)
            self._ports.spawner.spawn(resumed, name="inclusion-resumed")

    async def known(
        self, *, since_slot: int, failed: bool, types: tuple[DutyType, ...] = ()
    ) -> tuple[DutyReport, ...]:
        """Reports from memory and disk, by slot and type: memory knows the latest of a duty."""
        stored = await self.reports.list(since_slot=since_slot, failed=failed, types=types)
        names = {each.name.lower() for each in types}
        found = {report.name: report for report in stored}
        for report in self.tracker.reports(since_slot=since_slot):
            stored_says_more = not report.is_whole and report.name in found
            wanted = report.outcome is Outcome.FAILED if failed else bool(report.at_ms)
            if wanted and not stored_says_more and (not names or report.type in names):
                found[report.name] = report
        return tuple(sorted(found.values(), key=lambda report: (report.slot, report.type)))

    async def close(self) -> None:
        """Keep what is known of the duties that are still open. The workers have ended."""
        for report in self.tracker.open_reports():
            self.reports.add(report)
        try:
            await self.reports.flush()
        except Transient as error:
            self._ports.log.warning("duty_reports_lost", reason=str(error), code=error.code)

    # --- inside ------------------------------------------------------------------------------

    def _connect_inclusion(self, c: Components, beacon_node: BeaconNode) -> None:
        ports = self._ports
        inclusion = self.inclusion = Inclusion(
            beacon_node=beacon_node,
            definitions=c.scheduler,
            chain=ports.chain,
            clock=ports.clock,
            log=ports.log,
        )
        former = self._former = FormerDuties(reports=self.reports, aggregated=c.aggsigdb)
        c.broadcaster.submitted.subscribe(inclusion.watch)

        async def look(slot: int) -> None:
            ports.spawner.spawn(inclusion.check(slot), name=f"inclusion-{slot}")

        async def settled(answer: InclusionReport) -> None:
            report = former.answered(answer)
            if report is not None:
                self.tracker.tell(report)
                self._keep(report)
                return
            self.tracker.included(answer)
            duty = Duty(answer.slot, DutyType[answer.type.upper()])
            if c.deadlines.has_ended(duty):
                self._finish(duty)

        c.scheduler.slots.subscribe(look)
        inclusion.settled.subscribe(settled)

    def _on_last_step(self, duty: Duty) -> None:
        self.reports.note(duty)
        if duty.type in LASTING_TYPES:  # no deadline will end it
            self._finish(duty)

    async def _resume(self, former: FormerDuties, inclusion: Inclusion) -> None:
        now_slot = self._ports.chain.slot_at(self._ports.clock.wall_s())
        await former.resume(inclusion, now_slot=now_slot)

    def _finish(self, duty: Duty) -> None:
        if self._former is None or not self._former.knows(duty):
            self._keep(self.tracker.finish(duty))

    def _keep(self, report: DutyReport) -> None:
        self.reports.add(report)
        self._ports.on_report(report)

    def _tracks(self, step: Step) -> Handler[HasDuty]:
        async def note(value: HasDuty) -> None:
            self.tracker.passed(value.duty, step)

        return note

    async def _on_expired(self, duty: Duty) -> None:
        if self.inclusion is None or not self.inclusion.is_open(duty):
            self._finish(duty)  # else when the chain has answered

    async def _on_decision(self, decided: Decided) -> None:
        self.tracker.decision(decided.duty, round_number=decided.round, leader=decided.leader)

    async def _on_undecided(self, undecided: Undecided) -> None:
        self.tracker.failed("consensus", undecided.duty, undecided.reason)

    async def _on_idle(self, duty: Duty) -> None:
        self.tracker.nothing_due(duty)

    async def _on_accepted(self, partial_set: PartialSet) -> None:
        self.tracker.participated(partial_set)

    async def _on_rejected(self, false_set: PartialSet) -> None:
        self.tracker.rejected(false_set)

    async def _on_conflicting(self, conflicting: PartialSet) -> None:
        self.tracker.rejected(conflicting, "partial_equivocation")

    async def _on_fault(self, blamed: tuple[int, PeerFault]) -> None:
        peer, fault = blamed
        duty = fault.fields.get("duty")
        kind = str(fault.fields.get("kind", fault.code))
        self.tracker.fault(peer, kind, duty if isinstance(duty, Duty) else None)


def _size(value: object) -> int:
    """How many validators a set is about."""
    for name in ("definitions", "items", "partials", "matches"):
        members = getattr(value, name, None)
        if members is not None:
            return len(members)
    return 0
