"""The data flow of a node, one edge per line. Start reading here.

Outputs are pushed along these edges; queries are pulled through ports given to constructors:
fetcher < aggsigdb; validator API < dutydb, scheduler, aggsigdb; broadcaster < dutydb.
"""

from dataclasses import dataclass
from typing import Protocol, TypeVar

from tetrarch.duties.aggsigdb import AggSigDB
from tetrarch.duties.agreement import Agreement
from tetrarch.duties.broadcaster import Broadcaster
from tetrarch.duties.deadline import Deadlines
from tetrarch.duties.dutydb import DutyDB
from tetrarch.duties.exits import Exits
from tetrarch.duties.fetcher import Fetcher
from tetrarch.duties.info_sync import InfoSync
from tetrarch.duties.parsigdb import ParSigDB
from tetrarch.duties.parsigex import ParSigEx
from tetrarch.duties.registrations import Registrations
from tetrarch.duties.requested import Requested
from tetrarch.duties.scheduler import Scheduler
from tetrarch.duties.sigagg import SigAgg
from tetrarch.duties.signer import Signer
from tetrarch.duties.types import Duty, PartialSet
from tetrarch.output import Handler, Output


class HasDuty(Protocol):
    """Every value on an edge says which duty it belongs to."""

    @property
    def duty(self) -> Duty:
        """The duty."""
        ...


class Submitter(Protocol):
    """The validator API, seen from the workflow: yields verified partials of our share."""

    @property
    def submitted(self) -> Output[PartialSet]:
        """Partials, verified against our public shares."""
        ...


V = TypeVar("V", bound=HasDuty)


class Decorate(Protocol):
    """Cross-cutting behaviour of an edge: tracking, retry in the background."""

    def __call__(self, edge: str, handler: Handler[V], /) -> Handler[V]:
        """Return what takes the handler's place on ``edge``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """The workflow's parts. Exactly one of ``signer`` and ``validator_api`` signs."""

    scheduler: Scheduler
    fetcher: Fetcher
    agreement: Agreement
    dutydb: DutyDB
    info_sync: InfoSync
    signer: Signer | None
    validator_api: Submitter | None
    parsigdb: ParSigDB
    parsigex: ParSigEx
    sigagg: SigAgg
    aggsigdb: AggSigDB
    broadcaster: Broadcaster
    requested: Requested
    exits: Exits
    registrations: Registrations
    deadlines: Deadlines


def plain(edge: str, handler: Handler[V], /) -> Handler[V]:
    """No decoration."""
    del edge
    return handler


def wire(c: Components, *, on: Decorate = plain) -> None:
    """Connect all outputs. Order within one output is the order of effects."""
    c.scheduler.duties.subscribe(on("scheduler>consensus.participate", c.agreement.participate))
    c.scheduler.duties.subscribe(on("scheduler>fetcher.fetch", c.fetcher.fetch))
    c.fetcher.needed.subscribe(on("fetcher>consensus.join", c.agreement.join))
    c.fetcher.fetched.subscribe(on("fetcher>consensus.propose", c.agreement.propose))
    c.agreement.decided.subscribe(on("consensus>dutydb.store", c.dutydb.store))  # durable first
    c.scheduler.duties.subscribe(on("scheduler>info_sync.negotiate", c.info_sync.negotiate))
    c.info_sync.proposed.subscribe(
        on("info_sync>consensus.propose_ballot", c.agreement.propose_ballot)
    )
    c.agreement.agreed.subscribe(on("consensus>info_sync.store", c.info_sync.store))
    if c.signer is not None:
        c.scheduler.duties.subscribe(on("scheduler>signer.sign_scheduled", c.signer.sign_scheduled))
        c.requested.duties.subscribe(on("requested>signer.sign_scheduled", c.signer.sign_scheduled))
        c.fetcher.heads.subscribe(on("fetcher>signer.sign_head", c.signer.sign_head))
        c.agreement.decided.subscribe(on("consensus>signer.sign", c.signer.sign))
        c.signer.signed.subscribe(on("signer>parsigdb.store_internal", c.parsigdb.store_internal))
    if c.validator_api is not None:
        c.validator_api.submitted.subscribe(
            on("validator_api>parsigdb.store_internal", c.parsigdb.store_internal)
        )
    c.parsigdb.internal_stored.subscribe(on("parsigdb>parsigex.broadcast", c.parsigex.broadcast))
    c.parsigex.received.subscribe(on("parsigex>parsigdb.store_external", c.parsigdb.store_external))
    c.parsigdb.needed.subscribe(on("parsigdb>sigagg.arrived", c.sigagg.arrived))
    c.parsigdb.threshold_reached.subscribe(on("parsigdb>sigagg.aggregate", c.sigagg.aggregate))
    c.parsigdb.late.subscribe(on("parsigdb>sigagg.verify_late", c.sigagg.verify_late))
    c.sigagg.aggregated.subscribe(on("sigagg>parsigdb.note_aggregated", c.parsigdb.note_aggregated))
    c.sigagg.aggregated.subscribe(on("sigagg>broadcaster.broadcast", c.broadcaster.broadcast))
    c.sigagg.aggregated.subscribe(on("sigagg>aggsigdb.store", c.aggsigdb.store))
    c.aggsigdb.stored.subscribe(on("aggsigdb>parsigdb.mark_aggregated", c.parsigdb.mark_aggregated))
    c.aggsigdb.stored.subscribe(on("aggsigdb>exits.keep", c.exits.keep))
    c.aggsigdb.stored.subscribe(on("aggsigdb>registrations.adopt", c.registrations.adopt))
    c.broadcaster.submitted.subscribe(
        on("broadcaster>aggsigdb.note_submitted", c.aggsigdb.note_submitted)
    )
    c.exits.submitted.subscribe(on("exits>aggsigdb.note_submitted", c.aggsigdb.note_submitted))
    c.sigagg.rejected.subscribe(on("sigagg>parsigdb.reject", c.parsigdb.reject))
    c.deadlines.expired.subscribe(c.parsigdb.expire)
    c.scheduler.slots.subscribe(c.parsigex.resend)
    c.scheduler.slots.subscribe(c.exits.submit_due)
    if c.signer is not None:
        c.scheduler.slots.subscribe(c.requested.start_due)
