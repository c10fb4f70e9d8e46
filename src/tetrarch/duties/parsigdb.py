"""ParSigDB: partial signatures of all shares, durable, and the two workers that move them on.

Life of a partial (the seed's states)::

    our own:    INTERNAL --broadcaster worker--> BROADCASTED --aggregator worker--> AGGREGATED
    a peer's:                                    BROADCASTED --aggregator worker--> AGGREGATED
    any state but AGGREGATED at the duty's deadline, or found to be false: EXPIRED

The workers run on events and periodically, take all that is due as one batch, and end each
step with one transaction; what the disk has no room for waits in memory and is tried again. Open duties are mirrored in memory (`Group`), so that the way from
the last partial to the group signature does not wait for the disk: a peer's partial that is
lost in a crash is sent again by the peer (see ``parsigex``).

Partials are not verified one by one: SigAgg combines first and verifies the group signature;
only when that fails are partials checked, and the false ones come back here by ``reject``.
A partial that comes after the threshold was reached is stored, verified once the group
signature is made, counted as participation, and never aggregated again.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from tetrarch.clock import Clock
from tetrarch.duties import parsig_rows as rows
from tetrarch.duties.parsig_group import Group, GroupKey, Outcome, surplus
from tetrarch.duties.parsig_writer import PartialWriter
from tetrarch.duties.ports import Storage
from tetrarch.duties.timing import LASTING_TYPES
from tetrarch.duties.types import (
    Duty,
    DutyType,
    MatchedPartials,
    MatchedSet,
    PartialSet,
    PartialSignature,
    PubKey,
    ShareIndex,
    SignedDataSet,
    refuse_deprecated,
)
from tetrarch.duties.worker import work
from tetrarch.errors import OperatorError, PeerFault, TetrarchError, Transient
from tetrarch.observability.logs import Log
from tetrarch.output import Output

# Peers' partials wait that long for each other: one transaction, after the group's signature.
STORE_PAUSE_S = 0.1
TOO_LATE_MEND = "look at the beacon node, or at what signs: its signatures come after the deadline"
EQUIVOCATION_MEND = "ask that node's operator whether two programs sign with its shares"
LASTING_MAX = 10  # of a share, for each validator and kind of duty that has no deadline
SCHEMA = rows.SCHEMA
Status = rows.Status


class Equivocation(PeerFault):
    """A share signed two different things for one duty and validator."""

    code = "equivocation"


@dataclass(frozen=True, slots=True)
class LatePartials:
    """Peers' partials that came after the threshold was reached: to be verified, then counted."""

    duty: Duty
    partials: tuple[PartialSignature, ...]


class ParSigDB:
    """Inputs: ``store_internal``, ``store_external``, ``reject``, ``expire``.

    Outputs: ``internal_stored`` (to the peers), ``threshold_reached`` (to SigAgg),
    ``needed`` (SigAgg will combine them soon), ``late`` (verify and count), ``accepted`` (our
    own partials, and peers' that were not late, for the tracker), ``conflicting`` (a share's
    second word).
    """

    def __init__(
        self,
        *,
        storage: Storage,
        threshold: int,
        clock: Clock,
        is_open: Callable[[Duty], bool],
        log: Log,
    ) -> None:
        self.internal_stored = Output[PartialSet]("internal_stored")
        self.threshold_reached = Output[MatchedSet]("threshold_reached")
        self.needed = Output[PartialSet]("needed")
        self.late = Output[LatePartials]("late")
        self.accepted = Output[PartialSet]("accepted")
        self.conflicting = Output[PartialSet]("conflicting")
        self._storage = storage
        self._threshold = threshold
        self._clock = clock
        self._is_open = is_open
        self._log = log
        self._open: dict[Duty, dict[GroupKey, Group]] = {}
        self._to_broadcast: list[PartialSet] = []
        self._disk = PartialWriter(storage=storage, clock=clock, status=self._status, log=log)
        self._to_verify: list[LatePartials] = []
        self._to_aggregate: set[Duty] = set()
        self._broadcast_due = asyncio.Event()
        self._store_due = asyncio.Event()
        self._aggregate_due = asyncio.Event()

    # --- inputs ------------------------------------------------------------------------------

    async def store_internal(self, partial_set: PartialSet) -> None:
        """Store our own verified partials; the broadcaster worker sends them on.

        Raises:
            Equivocation: our share already signed something else: nothing is stored or sent.
        """
        refuse_deprecated(partial_set.duty)
        if not self._is_open(partial_set.duty):
            self._log.warning(
                "own_partials_too_late", duty=str(partial_set.duty), mend=TOO_LATE_MEND
            )
            return
        self._refuse_equivocation(partial_set)
        if self._holds(partial_set):
            return
        now_s = self._clock.wall_s()
        await self._storage.write(
            lambda connection: rows.insert(connection, partial_set, Status.INTERNAL, now_s=now_s)
        )
        # Only now in memory: from there a partial may leave at any moment, and leaves durable.
        self._refuse_equivocation(partial_set)  # another may have been quicker
        self._bound_lasting(partial_set)
        complete = self._complete(partial_set.duty)
        fresh = self._add(partial_set)[0] if self._is_open(partial_set.duty) else None
        if fresh is None:
            return
        self._to_broadcast.append(fresh)
        self._broadcast_due.set()
        needed = tuple(p for p in fresh.partials if (p.pubkey, p.sub_index) not in complete)
        if needed:
            await self.needed.emit(PartialSet(duty=fresh.duty, partials=needed))
        await self.accepted.emit(fresh)
        self._due_for_aggregation(fresh.duty)

    async def store_external(self, partial_set: PartialSet) -> None:
        """Take a peer's partials. Whose share they are is proven by its certificate.

        A share that signs two different things for one duty and validator is logged as the
        fault it is; its first partial stays.
        """
        duty = partial_set.duty
        refuse_deprecated(duty)
        if not self._is_open(duty):
            return
        self._bound_lasting(partial_set)
        complete = self._complete(duty)
        fresh, conflicts = self._add(partial_set)
        if conflicts:
            await self.conflicting.emit(PartialSet(duty=duty, partials=conflicts))
        if fresh is None:
            return
        self._disk.store(fresh)
        self._store_due.set()
        late = tuple(p for p in fresh.partials if (p.pubkey, p.sub_index) in complete)
        early = tuple(p for p in fresh.partials if (p.pubkey, p.sub_index) not in complete)
        if late:
            self._to_verify.append(LatePartials(duty, late))
        if early:
            accepted = PartialSet(duty=duty, partials=early)
            await self.needed.emit(accepted)
            await self.accepted.emit(accepted)
            self._due_for_aggregation(duty)

    async def reject(self, false_set: PartialSet) -> None:
        """Take back partials that do not verify: they are never combined again."""
        duty = false_set.duty
        for partial in false_set.partials:
            group = self._open.get(duty, {}).get((partial.pubkey, partial.sub_index))
            if group is not None:
                group.false.add(partial.share_index)
                group.aggregating = group.aggregated
        self._disk.mark(false_set, Status.EXPIRED)
        await self._disk.flush_if_room()
        self._due_for_aggregation(duty)

    async def expire(self, duty: Duty) -> None:
        """Forget an ended duty; what never reached the threshold is Expired on disk."""
        await self._disk.flush_if_room()
        self._open.pop(duty, None)
        self._to_aggregate.discard(duty)
        now_s = self._clock.wall_s()
        try:
            await self._storage.write(lambda connection: rows.expire(connection, duty, now_s=now_s))
        except Transient as error:  # the next start does it
            self._log.warning(
                "duty_not_expired", duty=str(duty), reason=str(error), code=error.code
            )

    # --- queries -----------------------------------------------------------------------------

    def own_partials(self, duty: Duty, share_index: ShareIndex) -> PartialSet | None:
        """Our own stored partials of an open duty, to send to a peer that lacks them."""
        groups = self._open.get(duty, {})
        mine = [g.partials[share_index] for g in groups.values() if share_index in g.partials]
        if not mine:
            return None
        return PartialSet(duty=duty, partials=tuple(sorted(mine, key=_order)))

    def open_duties(self, *, aggregated: bool | None = None) -> tuple[Duty, ...]:
        """Open duties with any partial; with ``aggregated`` only the complete or incomplete."""
        return tuple(
            duty
            for duty, groups in sorted(self._open.items())
            if aggregated is None
            or all(group.aggregated for group in groups.values()) is aggregated
        )

    def has_signed(self, duty: Duty, key: GroupKey, share_index: ShareIndex) -> bool:
        """Whether a partial of that share is stored for an open duty."""
        group = self._open.get(duty, {}).get(key)
        return group is not None and share_index in group.partials

    # --- workers -----------------------------------------------------------------------------

    async def load(self) -> None:
        """After a restart: mirror open duties from disk; the workers take up what is due."""
        for stored in await self._storage.read(rows.unfinished):
            duty = stored.partial_set.duty
            if not self._is_open(duty):
                await self.expire(duty)
                continue
            self._add(stored.partial_set)
            for partial in stored.partial_set.partials:
                group = self._open[duty][partial.pubkey, partial.sub_index]
                if stored.status is Status.AGGREGATED:
                    group.aggregated = group.durable = True
            if stored.status is Status.INTERNAL:
                self._to_broadcast.append(stored.partial_set)
                self._broadcast_due.set()
            self._due_for_aggregation(duty)

    async def run_broadcaster(self) -> None:
        """Worker: hand Internal partials to the peers, then mark them Broadcasted."""
        await work(self._broadcast_due, self.broadcast_once, log=self._log)

    async def run_aggregator(self) -> None:
        """Worker: hand validators that reached the threshold to SigAgg, then mark them."""
        await work(self._aggregate_due, self.aggregate_once, log=self._log)

    async def run_storer(self) -> None:
        """Worker: write peers' partials, all that came meanwhile in one transaction."""
        await work(self._store_due, self.store_once, pause_s=STORE_PAUSE_S, log=self._log)

    async def broadcast_once(self) -> None:
        """One step of the broadcaster."""
        while self._to_broadcast:
            await self.internal_stored.emit(self._to_broadcast[0])
            self._disk.mark(self._to_broadcast.pop(0), Status.BROADCASTED)
        await self._disk.flush()

    async def store_once(self) -> None:
        """One step of the storer: write what waits, then have late partials verified."""
        await self._disk.flush()
        ready = [late for late in self._to_verify if not self._is_busy(late)]
        self._to_verify = [late for late in self._to_verify if self._is_busy(late)]
        for late in ready:
            await self.late.emit(late)

    async def aggregate_once(self) -> None:
        """One step of the aggregator. A duty that fails holds up no other."""
        due, self._to_aggregate = sorted(self._to_aggregate), set()
        for duty in due:
            matched = self._matched(duty)
            if matched is None:
                continue
            try:
                await self.threshold_reached.emit(matched)
            except Transient as error:
                self._release(matched)
                self._log.warning(
                    "aggregation_postponed", duty=str(duty), reason=str(error), code=error.code
                )
            except OperatorError:
                raise
            except TetrarchError as error:  # it would fail again: left as it is
                self._log.error(
                    "aggregation_failed", duty=str(duty), reason=str(error), code=error.code
                )

    async def note_aggregated(self, signed_set: SignedDataSet) -> None:
        """Input from SigAgg: the group signatures of these validators are made."""
        groups = self._open.get(signed_set.duty, {})
        for item in signed_set.items:
            group = groups.get((item.pubkey, item.sub_index))
            if group is not None:
                group.aggregated = True
        self._store_due.set()  # late partials may have waited for this

    async def mark_aggregated(self, signed_set: SignedDataSet) -> None:
        """Input from AggSigDB: they are durable, and with them what became of their partials.

        Not before: after a crash they would be lost, and never made again.
        """
        duty = signed_set.duty
        groups = self._open.get(duty, {})
        used: list[PartialSignature] = []
        for item in signed_set.items:
            group = groups.get((item.pubkey, item.sub_index))
            if group is not None:
                group.aggregated = group.durable = True
                used += (p for s, p in sorted(group.partials.items()) if s not in group.false)
        if used:
            self._disk.mark(PartialSet(duty=duty, partials=tuple(used)), Status.AGGREGATED)
            await self._disk.flush_if_room()

    async def delete_before(self, duty_type: DutyType, slot: int) -> int:
        """Delete rows of ``duty_type`` older than ``slot``; see ``retention``. Returns the count."""
        return await self._storage.write(
            lambda connection: rows.delete_before(connection, duty_type, slot)
        )

    # --- inside ------------------------------------------------------------------------------

    def _add(
        self, partial_set: PartialSet
    ) -> tuple[PartialSet | None, tuple[PartialSignature, ...]]:
        """Mirror in memory what is new (None: nothing is); also what contradicts a first word."""
        duty = partial_set.duty
        fresh, conflicts = [], []
        for partial in partial_set.partials:
            groups = self._open.setdefault(duty, {})
            group = groups.setdefault((partial.pubkey, partial.sub_index), Group())
            outcome = group.add(partial)
            if outcome is Outcome.NEW:
                fresh.append(partial)
            elif outcome is Outcome.EQUIVOCATION:
                conflicts.append(partial)
        if conflicts:
            self._log.warning(
                "partial_equivocation",
                duty=str(duty),
                share_index=conflicts[0].share_index,
                count=len(conflicts),
                mend=EQUIVOCATION_MEND,
            )
        new = PartialSet(duty=duty, partials=tuple(fresh)) if fresh else None
        return new, tuple(conflicts)

    def _bound_lasting(self, partial_set: PartialSet) -> None:
        """Exits and their like never end: a share keeps its newest few for each validator."""
        duty = partial_set.duty
        if duty.type not in LASTING_TYPES:
            return
        for partial in partial_set.partials:
            for oldest in surplus(self._open, duty, partial, kept_max=LASTING_MAX - 1):
                group = self._open[oldest][partial.pubkey, partial.sub_index]
                dropped = group.partials.pop(partial.share_index)
                self._disk.mark(PartialSet(duty=oldest, partials=(dropped,)), Status.EXPIRED)

    def _complete(self, duty: Duty) -> set[GroupKey]:
        """Validators whose partials suffice already."""
        groups = self._open.get(duty, {})
        return {key for key, group in groups.items() if group.is_complete(self._threshold)}

    def _status(self, duty: Duty, partial: PartialSignature) -> Status | None:
        """The state that a peer's partial has by now; None when its duty has ended."""
        groups = self._open.get(duty)
        if groups is None:
            return None
        return groups[partial.pubkey, partial.sub_index].status_of(partial.share_index)

    def _known(self, duty: Duty, partial: PartialSignature) -> PartialSignature | None:
        """What the partial's share has signed in its place."""
        group = self._open.get(duty, {}).get((partial.pubkey, partial.sub_index))
        return None if group is None else group.partials.get(partial.share_index)

    def _holds(self, partial_set: PartialSet) -> bool:
        return all(self._known(partial_set.duty, p) == p for p in partial_set.partials)

    def _refuse_equivocation(self, partial_set: PartialSet) -> None:
        duty = partial_set.duty
        for partial in partial_set.partials:
            known = self._known(duty, partial)
            if known is not None and known != partial:
                raise Equivocation("store partial", duty=duty, share=partial.share_index)

    def _release(self, matched: MatchedSet) -> None:
        """Aggregation did not come to its end: let it be tried again."""
        groups = self._open.get(matched.duty, {})
        for match in matched.matches:
            group = groups.get((match.pubkey, match.sub_index))
            if group is not None:
                group.aggregating = group.aggregated
        self._to_aggregate.add(matched.duty)

    def _due_for_aggregation(self, duty: Duty) -> None:
        self._to_aggregate.add(duty)
        self._aggregate_due.set()

    def _matched(self, duty: Duty) -> MatchedSet | None:
        matches = []
        for (pubkey, _), group in sorted(self._open.get(duty, {}).items()):
            if group.aggregated or group.aggregating:
                continue
            found = group.match(self._threshold)
            if found is None:
                continue
            group.aggregating = True  # no await since the check: one aggregation at a time
            payload, signatures = found
            matches.append(MatchedPartials(pubkey=pubkey, payload=payload, signatures=signatures))
        return MatchedSet(duty=duty, matches=tuple(matches)) if matches else None

    def _is_busy(self, late: LatePartials) -> bool:
        groups = self._open.get(late.duty, {})
        found = [groups.get((p.pubkey, p.sub_index)) for p in late.partials]
        return any(group is not None and group.busy for group in found)


def _order(partial: PartialSignature) -> tuple[PubKey, int]:
    return partial.pubkey, partial.sub_index
