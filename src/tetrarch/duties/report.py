"""What is known of one duty once it is over: the record that is kept, shown and told to peers.

Every bound stands here, since a record also comes from other nodes, which may lie: ``decode``
takes what fits them and nothing else. A peer's record is its claim.
"""

import math
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, TypeAlias

import msgspec

from tetrarch.decoding import UNDECODABLE
from tetrarch.errors import InputInvalid

PEERS_MAX = 64
ROUNDS_MAX = 32  # round changes kept of one duty
FAULTS_MAX = 32
DETAIL_LENGTH_MAX = 400
RECORD_SIZE_BYTES_MAX = 32_768

Slot: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Index: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=255)]
Word: TypeAlias = Annotated[str, msgspec.Meta(max_length=64)]
Detail: TypeAlias = Annotated[str, msgspec.Meta(max_length=DETAIL_LENGTH_MAX)]


class Step(StrEnum):
    """Stations of a duty, in order."""

    SCHEDULED = "scheduled"
    FETCHED = "fetched"
    DECIDED = "decided"
    STORED = "stored"
    SIGNED = "signed"
    EXCHANGED = "exchanged"
    THRESHOLD = "threshold"
    AGGREGATED = "aggregated"
    SUBMITTED = "submitted"


class Outcome(StrEnum):
    """How a duty stands or ended."""

    OPEN = "open"
    DONE = "done"
    FAILED = "failed"
    NOT_OURS = "not_ours"  # never scheduled here: we only heard of it
    IDLE = "idle"  # nobody was drawn to aggregate


class Standing(StrEnum):
    """What a node's share had to do with a duty, as another node saw it."""

    ON_TIME = "on_time"
    LATE = "late"  # a twelfth of a slot or more after the group's signature was made
    MISSING = "missing"
    BAD = "bad"  # it signed something else, or not at all


class Verdict(StrEnum):
    """What the chain says of a duty's messages."""

    INCLUDED = "included"
    NOT_INCLUDED = "not_included"
    OTHER_HEAD = "other_head"  # nor that: what was not included was for another head than its own
    NO_BLOCK = "no_block"  # no block came that could have taken it
    UNKNOWN = "unknown"  # the beacon node did not tell


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a record."""


class PeerPart(_Part, frozen=True):
    """One node's part in a duty. ``first_ms``: when its partials came, after the duty's start."""

    peer: Index
    standing: Standing
    partials: Count
    bad: Count = 0
    first_ms: float | None = None


class RoundChange(_Part, frozen=True):
    """Consensus went on to ``round``; ``lacked`` says what the round before it lacked."""

    round: Count
    lacked: Word
    at_ms: float
    leader: Index  # of the round before


class PeerFaults(_Part, frozen=True):
    """A peer broke the protocol. ``of_duty``: in this duty; else while its slot lasted."""

    peer: Index
    kind: Word
    count: Count
    of_duty: bool


class Cohort(_Part, frozen=True):
    """Nodes that signed the same. More than one cohort is a disagreement."""

    said: Word  # the start of the root that they signed
    peers: Annotated[tuple[Index, ...], msgspec.Meta(max_length=PEERS_MAX)]


class InclusionReport(_Part, frozen=True):
    """What the chain took up of a duty, counted in validators. ``distance``: the slots it took."""

    slot: Slot
    type: Word
    verdict: Verdict
    due: Count
    included: Count
    distance: Count | None = None  # of the last one that was included
    missing: Annotated[tuple[Word, ...], msgspec.Meta(max_length=8)] = ()  # their public keys

    @property
    def share(self) -> float:
        """How much of what was due is on chain."""
        return self.included / self.due if self.due else 0.0


class DutyReport(_Part, frozen=True):
    """All that one node knows of one duty; times in milliseconds after the duty's start."""

    slot: Slot
    type: Word
    outcome: Outcome
    reason: Word = ""  # why it failed; see ``failure_reasons``
    detail: Detail = ""  # in the words of what failed
    ended: bool = False
    started_s: float = 0.0  # Unix time of the duty's start
    validators: Count = 0
    round: Count | None = None
    leader: Index | None = None  # of that round
    at_ms: Annotated[dict[Step, float], msgspec.Meta(max_length=len(Step))] = {}
    parts: Annotated[tuple[PeerPart, ...], msgspec.Meta(max_length=PEERS_MAX)] = ()
    round_changes: Annotated[tuple[RoundChange, ...], msgspec.Meta(max_length=ROUNDS_MAX)] = ()
    faults: Annotated[tuple[PeerFaults, ...], msgspec.Meta(max_length=FAULTS_MAX)] = ()
    cohorts: Annotated[tuple[Cohort, ...], msgspec.Meta(max_length=PEERS_MAX)] = ()
    inclusion: InclusionReport | None = None

    @property
    def name(self) -> str:
        """As an operator writes it: ``9/attester``."""
        return f"{self.slot}/{self.type}"

    @property
    def is_whole(self) -> bool:
        """Whether the node was there when the duty was done, not only after a restart."""
        return Step.SCHEDULED in self.at_ms or Step.SIGNED in self.at_ms

    @property
    def partials_by_share(self) -> dict[int, int]:
        """Accepted partials by share index (first is 1)."""
        return {part.peer + 1: part.partials for part in self.parts if part.partials}

    def peers_that_are(self, standing: Standing) -> tuple[int, ...]:
        """The nodes of that standing, by index."""
        return tuple(part.peer for part in self.parts if part.standing is standing)


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(DutyReport)


def encode_report(report: DutyReport) -> bytes:
    """Msgpack. Cost: some 5 us."""
    return _ENCODER.encode(report)


def decode_report(data: bytes) -> DutyReport:
    """A record from this node's database, or from a peer.

    Raises:
        InputInvalid: larger than any record, another shape, numbers that are none, or text that
            a terminal must not be given.
    """
    if len(data) > RECORD_SIZE_BYTES_MAX:
        raise InputInvalid("decode duty record", field="size", got=len(data))
    try:
        report = _DECODER.decode(data)
    except UNDECODABLE as error:
        raise InputInvalid("decode duty record", reason=str(error)[:100]) from None
    if not all(math.isfinite(number) for number in _numbers(report)):
        raise InputInvalid("decode duty record", field="time", reason="not a number")
    if not all(text.isprintable() for text in _texts(report)):
        raise InputInvalid("decode duty record", field="text", reason="not printable")
    return report


def printable(text: str, *, length_max: int = DETAIL_LENGTH_MAX) -> str:
    """``text`` as a record may hold it: on one line, and cut."""
    cut = text if len(text) <= length_max else text[: length_max - 3] + "..."
    return cut if cut.isprintable() else "".join(c if c.isprintable() else " " for c in cut)


def _numbers(report: DutyReport) -> Iterator[float]:
    yield report.started_s
    yield from report.at_ms.values()
    yield from (part.first_ms for part in report.parts if part.first_ms is not None)
    yield from (change.at_ms for change in report.round_changes)


def _texts(report: DutyReport) -> Iterator[str]:
    yield from (report.type, report.reason, report.detail)
    yield from (change.lacked for change in report.round_changes)
    yield from (fault.kind for fault in report.faults)
    yield from (cohort.said for cohort in report.cohorts)
    if report.inclusion is not None:
        yield report.inclusion.type
        yield from report.inclusion.missing
