"""The workflow under the reference's metric names: listens to a node's outputs and edges.

What is told when a duty has ended stands in ``duty_metrics``; this is what is told at once.
"""

import asyncio
from collections.abc import Iterable

from tetrarch.api.duty_traces import DutyTraces
from tetrarch.clock import Clock
from tetrarch.consensus.ports import Decided
from tetrarch.duties.errors import FeeRecipientWrong
from tetrarch.duties.timing import start_s
from tetrarch.duties.types import (
    DefinitionSet,
    Duty,
    DutyType,
    PartialSet,
    UnsignedDataSet,
    UnsignedProposal,
)
from tetrarch.duties.wire import HasDuty, V
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.node import Node
from tetrarch.observability.metrics import Metrics
from tetrarch.output import Handler

PROTOCOL = "/tetrarch/consensus/qbft/1"
TIMER = "eager_dlinear"
# Edges whose handlers are timed, and where.
_TIMED = {
    "parsigdb>sigagg.arrived": "core_parsigex_set_verification_seconds",
    "parsigdb>sigagg.aggregate": "core_sigagg_slot_aggregation_seconds",
}


class WorkflowWatch:
    """Give ``around`` to the node as ``on_edge``, then ``listen`` to it before it starts."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        chain: ChainSpec,
        clock: Clock,
        traces: DutyTraces | None = None,
    ) -> None:
        self._traces = traces
        self._metrics = metrics
        self._chain = chain
        self._clock = clock
        self._slot: int | None = None
        # Not known before the first epoch is resolved; 0 would be an alarm.
        metrics.gauge("core_scheduler_validators_active").set(float("nan"))

    def around(self, edge: str, handler: Handler[V], /) -> Handler[V]:
        """Time ``handler`` where somebody wants to know, and trace it; see ``wire.Decorate``."""
        if self._traces is not None:
            handler = self._traces.around(edge, handler)
        if edge == "scheduler>fetcher.fetch":
            return self._fetching(handler)
        if edge not in _TIMED:
            return handler
        seconds = self._metrics.histogram(_TIMED[edge])

        async def timed(value: V) -> None:
            loop = asyncio.get_running_loop()
            started_s = loop.time()
            await handler(value)
            seconds.labels(type_name(value.duty)).observe(loop.time() - started_s)

        return timed

    def listen(self, node: Node) -> None:
        """Subscribe to the outputs that are counted."""
        c = node.components
        c.scheduler.slots.subscribe(self.slot_began)
        c.scheduler.duties.subscribe(self.duty_started)
        c.fetcher.fetched.subscribe(self.fetched)
        c.agreement.decision.subscribe(self.decided)
        if self._traces is not None:
            c.agreement.decision.subscribe(self._traces.decided)
        c.parsigdb.accepted.subscribe(self.partials_accepted)
        c.broadcaster.submitted.subscribe(self.submitted)

        async def resolved(_epoch: int) -> None:
            active = len(c.scheduler.validators)
            self._metrics.gauge("core_scheduler_validators_active").set(active)

        c.scheduler.resolved.subscribe(resolved)

    async def slot_began(self, slot: int) -> None:
        """A slot began, not always the one after the last."""
        self._metrics.gauge("core_scheduler_current_slot").set(slot)
        epoch = self._chain.epoch_of(slot)
        self._metrics.gauge("core_scheduler_current_epoch").set(epoch)
        if self._slot is not None and slot > self._slot + 1:
            skipped = self._metrics.counter("core_scheduler_skipped_slots_total")
            skipped.inc(slot - self._slot - 1)
        self._slot = slot

    async def duty_started(self, definition_set: DefinitionSet) -> None:
        """A duty of ours began."""
        name = type_name(definition_set.duty)
        self._metrics.counter("core_scheduler_duty_total").labels(name).inc()

    async def fetched(self, data_set: UnsignedDataSet) -> None:
        """What is to be signed was fetched."""
        if data_set.duty.type is not DutyType.PROPOSER:
            return
        self._metrics.gauge("core_fetcher_proposal_local_mismatch_fee_recipient").set(0)
        for blinded in _blinded(data_set.items):
            self._metrics.gauge("core_fetcher_proposal_blinded").set(blinded)

    async def decided(self, decided: Decided) -> None:
        """Consensus has a value."""
        name = type_name(decided.duty)
        duration_s = max(decided.decided_s - decided.started_s, 0.0)
        seconds = self._metrics.histogram("core_consensus_duration_seconds")
        seconds.labels(PROTOCOL, name, TIMER).observe(duration_s)
        rounds = self._metrics.gauge("core_consensus_decided_rounds")
        rounds.labels(PROTOCOL, name, TIMER).set(decided.round)
        leader = self._metrics.gauge("core_consensus_decided_leader_index")
        leader.labels(PROTOCOL, name).set(decided.leader)

    async def partials_accepted(self, partial_set: PartialSet) -> None:
        """Partials of one share came, or our own were stored."""
        delays = self._metrics.histogram("core_parsigdb_store")
        for share in sorted({int(partial.share_index) for partial in partial_set.partials}):
            name = type_name(partial_set.duty)
            delays.labels(name, str(share)).observe(self._since_start_s(partial_set.duty))

    async def submitted(self, submitted: HasDuty) -> None:
        """A beacon node took a duty's signed data."""
        name = type_name(submitted.duty)
        self._metrics.counter("core_bcast_broadcast_total").labels(name).inc()
        delays = self._metrics.histogram("core_bcast_broadcast_delay_seconds")
        delays.labels(name).observe(self._since_start_s(submitted.duty))

    def _since_start_s(self, duty: Duty) -> float:
        return max(self._clock.wall_s() - start_s(duty, self._chain), 0.0)

    def _fetching(self, handler: Handler[V]) -> Handler[V]:
        mismatch = self._metrics.gauge("core_fetcher_proposal_local_mismatch_fee_recipient")

        async def fetch(value: V) -> None:
            try:
                await handler(value)
            except FeeRecipientWrong:
                mismatch.set(1)
                raise

        return fetch


def type_name(duty: Duty) -> str:
    """The duty's type as labels have it."""
    return duty.type.name.lower()


def _blinded(items: Iterable[object]) -> list[bool]:
    return [item.proposal.blinded for item in items if isinstance(item, UnsignedProposal)]
