"""Votes as they come in, and the certificates that they come to. Pure.

Only votes that could still matter are kept: for targets not far ahead, one of each voter for a height. Whoever votes
twice for one height, or around a vote of his own, is named, with both votes: no honest enclave signs such.
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

HEIGHTS_AHEAD_MAX: Final = 64
HEIGHTS_KEPT: Final = 64  # in which who contradicts himself is noticed; members vote anew meanwhile


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two votes of one voter, of which an honest one signs one at most."""

    first: Vote
    second: Vote


@dataclass(slots=True)
class _Height:
    """All that is for one height."""

    votes: dict[bytes, Vote] = field(default_factory=dict)  # by voter
    items: list[FragmentId] = field(default_factory=list)
    tallies: dict[Link, dict[bytes, bytes]] = field(default_factory=dict)
    certified: set[Link] = field(default_factory=set)


class Ballots:
    """Votes by their target's height."""

    def __init__(self) -> None:
        self._heights: dict[int, _Height] = {}
        self._items: dict[FragmentId, Vote] = {}
        self._newest = 0

    def __contains__(self, item: object) -> bool:
        return item in self._items

    def get(self, item: FragmentId) -> Vote | None:
        """One that is kept, by the id that it travels under."""
        return self._items.get(item)

    def add(
        self, vote: Vote, *, height_now: int, voters: tuple[Voters, ...]
    ) -> Certificate | Contradiction | None:
        """A vote whose signature is right. A certificate is given once. Cost: 0.05 ms.

        ``voters``: more than one where the members change: a quorum of each is needed.

        Raises:
            VoteRefused: its voter may not vote, or its target is too far above, or below, ``height_now``.
        """
        height = vote.link.target.height
        self._forget(height_now)
        if not any(vote.voter in each.weights for each in voters):
            raise VoteRefused("take vote", voter=vote.voter.hex(), reason="it may not vote")
        if height <= vote.link.source.height:
            raise VoteRefused("take vote", reason="its source is not below its target")
        if not height_now - HEIGHTS_KEPT <= height <= height_now + HEIGHTS_AHEAD_MAX:
            raise VoteRefused("take vote", target=height, now=height_now)
        contradicted = self._contradicted(vote)
        if contradicted is not None:
            return Contradiction(contradicted, vote)
        at_height = self._heights.setdefault(height, _Height())
        at_height.votes[vote.voter] = vote
        item = fragment_id(Fragment(encode_vote(vote)))
        at_height.items.append(item)
        self._items[item] = vote
        tally = at_height.tallies.setdefault(vote.link, {})
        tally[vote.voter] = vote.signature
        enough = all(each.weight(tally) >= each.needed for each in voters)
        if vote.link in at_height.certified or not enough:
            return None
        at_height.certified.add(vote.link)
        return Certificate(vote.link, dict(tally))

    def is_split(self, height: int, voters: tuple[Voters, ...]) -> bool:
        """Whether no link to a block of this height can have a quorum any more, if nobody votes twice."""
        at_height = self._heights.get(height)
        if at_height is None:
            return False
        return any(
            max(map(each.weight, at_height.tallies.values()), default=0)
            + sum(each.weights.values())
            - each.weight(at_height.votes)
            < each.needed
            for each in voters
        )

    def _forget(self, height_now: int) -> None:
        """Votes for targets far below."""
        if height_now > self._newest:
            self._newest = height_now
            for height in [
                height for height in self._heights if height < height_now - HEIGHTS_KEPT
            ]:
                for item in self._heights.pop(height).items:
                    self._items.pop(item, None)

    def _contradicted(self, vote: Vote) -> Vote | None:
        for at_height in self._heights.values():
            other = at_height.votes.get(vote.voter)
            if other is not None and other.link != vote.link and _contradict(other.link, vote.link):
                return other
        return None


def _contradict(a: Link, b: Link) -> bool:
    inner, outer = (a, b) if a.target.height <= b.target.height else (b, a)
    if inner.target.height == outer.target.height:
        return True
    return outer.source.height < inner.source.height
