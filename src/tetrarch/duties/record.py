"""What the tracker notes of one duty while it is open. Cheap: constant work for each event. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tetrarch.duties.failure_reasons import ENDS_AT_AGGREGATED, Progress
from tetrarch.duties.report import (
    FAULTS_MAX,
    ROUNDS_MAX,
    Cohort,
    DutyReport,
    InclusionReport,
    Outcome,
    PeerFaults,
    PeerPart,
    RoundChange,
    Standing,
    Step,
    printable,
)
from tetrarch.duties.types import (
    Duty,
    DutyType,
    PartialSet,
    Payload,
    PubKey,
    SyncMessagePayload,
)

Said = tuple[PubKey, int]  # root key, sub-index: what the first partial of a set is about


@dataclass(slots=True)
class Record:
    """One open duty. Peers are 0-based indices."""

    duty: Duty
    at_ms: dict[Step, float] = field(default_factory=dict)
    validators: int = 0
    round: int | None = None
    leader: int | None = None
    round_changes: list[RoundChange] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)  # by edge
    arrived_ms: dict[int, float] = field(default_factory=dict)  # by peer: its first message
    accepted: dict[int, int] = field(default_factory=dict)  # partials by peer
    bad: dict[int, int] = field(default_factory=dict)
    said: dict[Said, dict[int, Payload]] = field(default_factory=dict)
    faults: dict[tuple[int, str], int] = field(default_factory=dict)
    outcome: Outcome = Outcome.OPEN
    reason: str = ""
    ended: bool = False
    from_former_life: bool = False
    inclusion: InclusionReport | None = None

    @property
    def last_step(self) -> Step:
        """With which the duty is done."""
        if self.duty.type is DutyType.INFO_SYNC:
            return Step.STORED  # the cluster's own agreement: nothing is signed or submitted
        return Step.AGGREGATED if self.duty.type in ENDS_AT_AGGREGATED else Step.SUBMITTED

    @property
    def is_ours(self) -> bool:
        """Whether this node had to do it, or did."""
        return Step.SCHEDULED in self.at_ms or Step.SIGNED in self.at_ms or self.from_former_life

    @property
    def progress(self) -> Progress:
        """For ``failure_reason``."""
        return Progress(
            steps=frozenset(self.at_ms),
            failed_edges=frozenset(self.errors),
            roots_differ=bool(self.cohorts()),
            is_done=self.outcome is Outcome.DONE,
        )

    def arrived(self, peer: int, partial_set: PartialSet, at_ms: float) -> None:
        """A set of a share's partials is there, not yet verified. The first counts."""
        if peer in self.arrived_ms or not partial_set.partials:
            return
        self.arrived_ms[peer] = at_ms
        first = partial_set.partials[0]  # sets are ordered alike on all nodes
        self.said.setdefault((first.pubkey, first.sub_index), {})[peer] = first.payload

    def change_round(self, change: RoundChange) -> None:
        """Consensus went on to another round."""
        if len(self.round_changes) < ROUNDS_MAX:
            self.round_changes.append(change)

    def fault(self, peer: int, kind: str, count: int = 1) -> None:
        """A peer broke the protocol in this duty."""
        key = (peer, kind)
        if key in self.faults or len(self.faults) < FAULTS_MAX:
            self.faults[key] = self.faults.get(key, 0) + count

    def parts(self, peer_count: int, *, late_ms: float) -> tuple[PeerPart, ...]:
        """Every node's part. ``late_ms``: so much after the group's signature is late.

        Nobody is missed where nothing is known of the duty, or nothing was to be signed.
        """
        nobody_expected = (
            self.outcome is Outcome.IDLE or not self.is_ours or not self._was_signed_by_anybody
        )
        threshold_ms = self.at_ms.get(Step.THRESHOLD)
        parts = []
        for peer in range(peer_count):
            first_ms, bad = self.arrived_ms.get(peer), self.bad.get(peer, 0)
            if first_ms is None and not bad and nobody_expected:
                continue
            late = (
                first_ms is not None
                and threshold_ms is not None
                and first_ms >= threshold_ms + late_ms
            )
            parts.append(
                PeerPart(
                    peer=peer,
                    standing=_standing(bad=bad, is_there=first_ms is not None, is_late=late),
                    partials=self.accepted.get(peer, 0),
                    bad=bad,
                    first_ms=first_ms,
                )
            )
        return tuple(parts)

    @property
    def _was_signed_by_anybody(self) -> bool:
        return bool(self.arrived_ms) and not self.from_former_life

    def cohorts(self) -> tuple[Cohort, ...]:
        """Who signed the same, the largest group first; none where nobody differs."""
        for by_peer in self.said.values():
            groups: dict[Payload, list[int]] = {}
            for peer, payload in sorted(by_peer.items()):
                groups.setdefault(payload, []).append(peer)
            if len(groups) > 1:
                ordered = sorted(groups.items(), key=lambda group: (-len(group[1]), group[1]))
                return tuple(
                    Cohort(said=_name(payload, place), peers=tuple(peers))
                    for place, (payload, peers) in enumerate(ordered)
                )
        return ()

    def report(
        self,
        *,
        peer_count: int,
        late_ms: float,
        started_s: float,
        slot_faults: Mapping[tuple[int, str], int],
    ) -> DutyReport:
        """All of it as a value."""
        faults = [
            PeerFaults(peer=peer, kind=kind, count=count, of_duty=of_duty)
            for of_duty, found in ((True, self.faults), (False, slot_faults))
            for (peer, kind), count in sorted(found.items())
        ]
        detail = "; ".join(f"{edge}: {why}" for edge, why in self.errors.items())
        return DutyReport(
            slot=self.duty.slot,
            type=self.duty.type.name.lower(),
            outcome=self.outcome,
            reason=self.reason,
            detail=printable(detail),
            ended=self.ended,
            started_s=started_s,
            validators=self.validators,
            round=self.round,
            leader=self.leader,
            at_ms=dict(self.at_ms),
            parts=self.parts(peer_count, late_ms=late_ms),
            round_changes=tuple(self.round_changes),
            faults=tuple(faults[:FAULTS_MAX]),
            cohorts=self.cohorts(),
            inclusion=self.inclusion,
        )


def _standing(*, bad: int, is_there: bool, is_late: bool) -> Standing:
    if bad:
        return Standing.BAD
    if not is_there:
        return Standing.MISSING
    return Standing.LATE if is_late else Standing.ON_TIME


def _name(payload: Payload, place: int) -> str:
    """The head that was signed; of other payloads only which group it is."""
    if isinstance(payload, SyncMessagePayload):
        return "0x" + payload.beacon_block_root.hex()[:16]
    return f"group {place + 1}"
