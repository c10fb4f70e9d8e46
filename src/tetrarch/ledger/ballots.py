"""Votes as they come in, and the certificates that they come to. Pure.

Only votes that could still matter are kept: for targets not far ahead, one of each voter for a target's slot. Whoever votes
twice for one slot, or around a vote of his own, is named, with both votes: no honest enclave signs such.
"""

from dataclasses import dataclass, field
from typing import Final

from tetrarch.ledger.blocks import Fragment, FragmentId, fragment_id
from tetrarch.ledger.finality import (
    Certificate,
    Link,
    Vote,
    VoteRefused,
    Voters,
    encode_vote,
)

SLOTS_AHEAD_MAX: Final = 64
SLOTS_KEPT: Final = 64  # in which who contradicts himself is noticed; members vote anew meanwhile


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two votes of one voter, of which an honest one signs one at most."""

    first: Vote
    second: Vote


@dataclass(slots=True)
class _Slot:
    """All that is for one target's slot."""

    votes: dict[bytes, Vote] = field(default_factory=dict)  # by voter
    items: dict[FragmentId, Vote] = field(default_factory=dict)
    tallies: dict[Link, dict[bytes, bytes]] = field(default_factory=dict)
    certified: set[Link] = field(default_factory=set)


class Ballots:
    """Votes by their target's slot."""

    def __init__(self) -> None:
        self._slots: dict[int, _Slot] = {}
        self._newest = 0

    def __contains__(self, item: object) -> bool:
        return any(item in each.items for each in self._slots.values())

    def get(self, item: FragmentId) -> Vote | None:
        """One that is kept, by the id that it travels under."""
        found = (each.items.get(item) for each in self._slots.values())
        return next((vote for vote in found if vote is not None), None)

    def add(
        self, vote: Vote, *, slot_now: int, voters: tuple[Voters, ...]
    ) -> Certificate | Contradiction | None:
        """A vote whose signature is right. A certificate is given once. Cost: 0.05 ms.

        ``voters``: more than one where the members change: a quorum of each is needed.

        Raises:
            VoteRefused: its voter may not vote, or its slot is too far ahead, or too long ago.
        """
        slot = vote.link.target.slot
        self._forget(slot_now)
        if not any(vote.voter in each.weights for each in voters):
            raise VoteRefused("take vote", voter=vote.voter.hex(), reason="it may not vote")
        if slot <= vote.link.source.slot:
            raise VoteRefused("take vote", reason="its source is not before its target")
        if not slot_now - SLOTS_KEPT <= slot <= slot_now + SLOTS_AHEAD_MAX:
            raise VoteRefused("take vote", target=slot, now=slot_now)
        contradicted = self._contradicted(vote)
        if contradicted is not None:
            return Contradiction(contradicted, vote)
        of_slot = self._slots.setdefault(slot, _Slot())
        of_slot.votes[vote.voter] = vote
        of_slot.items[fragment_id(Fragment(encode_vote(vote)))] = vote
        tally = of_slot.tallies.setdefault(vote.link, {})
        tally[vote.voter] = vote.signature
        enough = all(each.weight(tally) >= each.needed for each in voters)
        if vote.link in of_slot.certified or not enough:
            return None
        of_slot.certified.add(vote.link)
        return Certificate(vote.link, dict(tally))

    def _forget(self, slot_now: int) -> None:
        """Votes for targets long ago."""
        if slot_now > self._newest:
            self._newest = slot_now
            for slot in [slot for slot in self._slots if slot < slot_now - SLOTS_KEPT]:
                del self._slots[slot]

    def _contradicted(self, vote: Vote) -> Vote | None:
        for of_slot in self._slots.values():
            other = of_slot.votes.get(vote.voter)
            if other is not None and other.link != vote.link and _contradict(other.link, vote.link):
                return other
        return None


def _contradict(a: Link, b: Link) -> bool:
    inner, outer = sorted((a, b), key=lambda link: link.target.slot)
    if inner.target.slot == outer.target.slot:
        return True
    return outer.source.slot < inner.source.slot
