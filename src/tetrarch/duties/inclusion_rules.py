"""What of a duty a block took up, and when the chain's answer is final. Pure.

Positive answers wait until ``SETTLED_SLOTS`` lie above the block, negative ones until
``MISSED_SLOTS`` have passed since the duty: a reorg takes blocks away and brings others back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from tetrarch.duties.report import InclusionReport, Verdict
from tetrarch.duties.types import Duty, DutyType, PubKey
from tetrarch.ethereum.beacon_node.content import BitField, BlockContent, BlockVotes
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

    def newest(self, slot: int) -> Link | None:
        """The chain's head in ``slot``, as it is known by now."""
        return next((link for link in self.links if link.content.slot <= slot), None)

    def between(self, first: int, last: int) -> Sequence[Link]:
        """The blocks in those slots, oldest first."""
        found = [link for link in self.links if first <= link.content.slot <= last]
        return found[::-1]


@dataclass(frozen=True, slots=True)
class _Places:
    """Where in an aggregate the bits of each committee begin.

    From Electra on an aggregate is over several committees, whose bits follow one another: of all
    but the first one must know how long those before it are. ``unclear`` are those that remain.
    """

    voters: BitField
    begins: Mapping[int, int]
    unclear: frozenset[int]
    length: int | None  # of its one committee, before Electra


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
        places: dict[AttestationData, list[_Places]] = {}  # votes of a slot are mostly for one
        for pubkey, expected in self.expected.items():
            if isinstance(expected, Vote) and expected.data not in places:
                places[expected.data] = _places(link.content.votes, expected.data, lengths)
            included = _includes(link, expected, places)
            if included is None:
                return None
            if included:
                taken.add(pubkey)
        return frozenset(taken)


def _includes(
    link: Link, expected: Expected, places: Mapping[AttestationData, Sequence[_Places]]
) -> bool | None:
    match expected:
        case OwnBlock(root):
            return link.root == root
        case SyncVote():
            return _has_sync_vote(link.content, expected)
        case Vote(data=data):
            return _holds(places[data], expected)


def _has_sync_vote(content: BlockContent, vote: SyncVote) -> bool:
    # The block's aggregate is over its parent's root: a member that saw another head is not in.
    voters = content.sync_voters
    return (
        voters is not None
        and content.parent_root == vote.head
        and all(map(voters.is_set, vote.places))
    )


def _is_for_another_head(expected: Expected, canonical: Canonical, slot: int) -> bool:
    match expected:
        case SyncVote(head=head):
            block = canonical.at(slot + 1)  # its aggregate is for its parent
            return block is not None and block.content.parent_root != head
        case Vote(data=data):
            newest = canonical.newest(slot)
            return newest is not None and newest.root != data.beacon_block_root
        case OwnBlock():
            return False


def has_vote(
    aggregates: Sequence[BlockVotes], vote: Vote, lengths: Sequence[int] | None
) -> bool | None:
    """Whether one of a block's aggregates holds ``vote``; None: without ``lengths`` one cannot say."""
    return _holds(_places(aggregates, vote.data, lengths), vote)


def _places(
    aggregates: Sequence[BlockVotes], data: AttestationData, lengths: Sequence[int] | None
) -> list[_Places]:
    """Of the aggregates of votes for ``data``. Once for a block, whatever the votes."""
    return [_place(each, lengths) for each in aggregates if each.data == data]


def _place(each: BlockVotes, lengths: Sequence[int] | None) -> _Places:
    if each.committees is None:
        return _Places(each.voters, {}, frozenset(), each.voters.length)
    begins = dict.fromkeys(each.committees[:1], 0)
    if lengths is None:
        return _Places(each.voters, begins, frozenset(each.committees[1:]), None)
    if each.committees and each.committees[-1] < len(lengths):
        ends = list(accumulate(lengths[committee] for committee in each.committees))
        if ends[-1] == each.voters.length:
            begins = dict(zip(each.committees, (0, *ends), strict=False))
    return _Places(each.voters, begins, frozenset(), None)


def _holds(aggregates: Sequence[_Places], vote: Vote) -> bool | None:
    unclear = False
    for each in aggregates:
        # Before Electra the data itself says whose votes these are.
        begin = each.begins.get(vote.committee_index) if each.length is None else 0
        if begin is None:
            unclear = unclear or vote.committee_index in each.unclear
        elif each.length in (None, vote.committee_length) and each.voters.is_set(
            begin + vote.place
        ):
            return True
    return None if unclear else False


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
    elif all(
        _is_for_another_head(each, canonical, duty.slot)
        for pubkey, each in watched.expected.items()
        if pubkey not in found
    ):
        verdict = Verdict.OTHER_HEAD
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
