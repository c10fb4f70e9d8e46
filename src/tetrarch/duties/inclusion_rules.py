"""What of a duty a block took up, and when the chain's answer is final. Pure.

Positive answers wait until ``SETTLED_SLOTS`` lie above the block, negative ones until
``MISSED_SLOTS`` have passed since the duty: a reorg takes blocks away and brings others back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tetrarch.duties.report import InclusionReport, Verdict
from tetrarch.duties.types import Duty, DutyType, PubKey
from tetrarch.ethereum.beacon_node.content import BlockContent, BlockVotes
from tetrarch.ethereum.spec.values import AttestationData

SETTLED_SLOTS = 3
MISSED_SLOTS = 32
UNKNOWN_SLOTS = 40  # then nobody waits any longer for the beacon node to say
MISSING_NAMED_MAX = 8
CHECKED_TYPES = frozenset({DutyType.ATTESTER, DutyType.PROPOSER, DutyType.SYNC_MESSAGE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """A validator's vote, and where its bit is in an aggregate of its committee."""

    data: AttestationData
    committee_index: int
    committee_length: int
    place: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncVote:
    """A validator's sync message, and its places in the sync committee."""

    head: bytes
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class OwnBlock:
    """The block that the cluster proposed."""

    root: bytes


Expected = Vote | SyncVote | OwnBlock


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A block of the canonical chain."""

    root: bytes
    content: BlockContent


@dataclass(frozen=True, slots=True, kw_only=True)
class Canonical:
    """The chain from its head downwards, as far as it was asked for. Newest first.

    ``reaches_down_to``: from that slot on nothing is lacking.
    """

    links: tuple[Link, ...]
    reaches_down_to: int

    def at(self, slot: int) -> Link | None:
        """The block in ``slot`` itself."""
        return next((link for link in self.links if link.content.slot == slot), None)

    def between(self, first: int, last: int) -> Sequence[Link]:
        """The blocks in those slots, oldest first."""
        found = [link for link in self.links if first <= link.content.slot <= last]
        return found[::-1]


@dataclass(slots=True, kw_only=True)
class Watched:
    """A duty whose messages are looked for on chain, by validator."""

    duty: Duty
    expected: dict[PubKey, Expected] = field(default_factory=dict)
    # By block: which validators it took up; None: it needs the committees' lengths to say.
    seen: dict[bytes, frozenset[PubKey] | None] = field(default_factory=dict)

    def look(self, canonical: Canonical, lengths: Sequence[int] | None) -> dict[PubKey, int]:
        """The slot in which each validator's message was included first, on that chain."""
        found: dict[PubKey, int] = {}
        duty, last = self.duty, self.duty.slot + MISSED_SLOTS
        first = duty.slot if duty.type is DutyType.PROPOSER else duty.slot + 1
        last = {DutyType.PROPOSER: first, DutyType.SYNC_MESSAGE: first}.get(duty.type, last)
        for link in canonical.between(first, last):
            taken = self.seen.get(link.root)
            if taken is None:
                taken = self.seen[link.root] = self._taken(link, lengths)
            for pubkey in taken or ():
                found.setdefault(pubkey, link.content.slot)
        return found

    @property
    def needs_lengths(self) -> bool:
        """Whether a block cannot be read without the lengths of the slot's committees."""
        return None in self.seen.values()

    def _taken(self, link: Link, lengths: Sequence[int] | None) -> frozenset[PubKey] | None:
        taken = set()
        for pubkey, expected in self.expected.items():
            included = _includes(link, expected, lengths)
            if included is None:
                return None
            if included:
                taken.add(pubkey)
        return frozenset(taken)


def _includes(link: Link, expected: Expected, lengths: Sequence[int] | None) -> bool | None:
    match expected:
        case OwnBlock():
            return link.root == expected.root
        case SyncVote():
            return _has_sync_vote(link.content, expected)
        case Vote():
            return has_vote(link.content.votes, expected, lengths)


def _has_sync_vote(content: BlockContent, vote: SyncVote) -> bool:
    # The block's aggregate is over its parent's root: a member that saw another head is not in.
    voters = content.sync_voters
    return (
        voters is not None
        and content.parent_root == vote.head
        and all(map(voters.is_set, vote.places))
    )


def has_vote(
    aggregates: Sequence[BlockVotes], vote: Vote, lengths: Sequence[int] | None
) -> bool | None:
    """Whether one of a block's aggregates holds ``vote``; None: without ``lengths`` one cannot say.

    From Electra on an aggregate is over several committees, whose bits follow one another.
    """
    unclear = False
    for each in aggregates:
        if each.data != vote.data:
            continue
        offset = _offset(each, vote, lengths)
        if offset is None:
            unclear = True
        elif offset >= 0 and each.voters.is_set(offset + vote.place):
            return True
    return None if unclear else False


def _offset(each: BlockVotes, vote: Vote, lengths: Sequence[int] | None) -> int | None:
    """Where the bits of the vote's committee begin; -1: it is not among them, None: not known."""
    if each.committees is None:
        return 0 if each.voters.length == vote.committee_length else -1
    if vote.committee_index not in each.committees:
        return -1
    if each.committees[0] == vote.committee_index:
        return 0
    return None if lengths is None else _offset_by_lengths(each, vote, each.committees, lengths)


def _offset_by_lengths(
    each: BlockVotes, vote: Vote, committees: tuple[int, ...], lengths: Sequence[int]
) -> int:
    if committees[-1] >= len(lengths):
        return -1
    if sum(lengths[committee] for committee in committees) != each.voters.length:
        return -1
    return sum(lengths[committee] for committee in committees if committee < vote.committee_index)


def judge(
    watched: Watched, canonical: Canonical, *, slot: int, lengths: Sequence[int] | None
) -> InclusionReport | None:
    """The final answer for a duty at ``slot``; None while it may change."""
    duty, due = watched.duty, len(watched.expected)
    found = watched.look(canonical, lengths)
    if len(found) == due and max(found.values()) + SETTLED_SLOTS <= slot:
        return report(duty, watched.expected, found, Verdict.INCLUDED)
    if slot <= duty.slot + MISSED_SLOTS:
        return None
    unclear = watched.needs_lengths or canonical.reaches_down_to > duty.slot
    if len(found) < due and unclear:
        if slot <= duty.slot + UNKNOWN_SLOTS:
            return None
        return report(duty, watched.expected, found, Verdict.UNKNOWN)
    if len(found) == due:
        verdict = Verdict.INCLUDED
    elif duty.type is DutyType.SYNC_MESSAGE and canonical.at(duty.slot + 1) is None:
        verdict = Verdict.NO_BLOCK
    else:
        verdict = Verdict.NOT_INCLUDED
    return report(duty, watched.expected, found, verdict)


def report(
    duty: Duty,
    expected: Mapping[PubKey, Expected],
    found: Mapping[PubKey, int],
    verdict: Verdict,
) -> InclusionReport:
    """The answer as a value."""
    missing = sorted(pubkey for pubkey in expected if pubkey not in found)
    return InclusionReport(
        slot=duty.slot,
        type=duty.type.name.lower(),
        verdict=verdict,
        due=len(expected),
        included=len(found),
        distance=max(found.values()) - duty.slot if found else None,
        missing=tuple("0x" + pubkey.hex()[:16] for pubkey in missing[:MISSING_NAMED_MAX]),
    )
