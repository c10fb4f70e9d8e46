"""Votes as they come in, and the certificates that they come to. Pure.

Only votes that could still matter are kept: for targets not far ahead, one of each voter for a target's slot. Whoever votes
twice for one slot, or around a vote of his own, is named, with both votes: no honest enclave signs such.
"""

from dataclasses import dataclass, field
from typing import Final

from tetrarch.ledger.finality import Certificate, Link, Vote, VoteRefused, Voters

SLOTS_AHEAD_MAX: Final = 64
SLOTS_KEPT: Final = (
    256  # in which who contradicts himself is noticed; who waits for votes votes anew by then
)


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two votes of one voter, of which an honest one signs one at most."""

    first: Vote
    second: Vote


@dataclass(slots=True)
class _Tally:
    signatures: dict[bytes, bytes] = field(default_factory=dict)
    is_certified: bool = False


class Ballots:
    """``voters`` may change; votes that are there stay."""

    def __init__(self, voters: tuple[Voters, ...]) -> None:
        """More than one where the members change: a quorum of each is needed."""
        self.voters = voters
        self._tallies: dict[Link, _Tally] = {}
        self._votes: dict[bytes, dict[int, Vote]] = {}  # by voter, and by the target's slot

    def add(self, vote: Vote, *, slot_now: int) -> Certificate | Contradiction | None:
        """A vote whose signature is right. A certificate is given once.

        Raises:
            VoteRefused: its voter may not vote, or it is for a slot too far ahead.
        """
        if not any(vote.voter in each.weights for each in self.voters):
            raise VoteRefused("take vote", voter=vote.voter.hex(), reason="it may not vote")
        slot = vote.link.target.slot
        if slot <= vote.link.source.slot:
            raise VoteRefused("take vote", reason="its source is not before its target")
        if slot > slot_now + SLOTS_AHEAD_MAX:
            raise VoteRefused("take vote", target=slot, now=slot_now)
        contradicted = self._contradicted(vote)
        if contradicted is not None:
            return Contradiction(contradicted, vote)
        self._votes.setdefault(vote.voter, {})[slot] = vote
        tally = self._tallies.setdefault(vote.link, _Tally())
        tally.signatures[vote.voter] = vote.signature
        enough = all(each.weight(tally.signatures) >= each.needed for each in self.voters)
        if tally.is_certified or not enough:
            return None
        tally.is_certified = True
        return Certificate(vote.link, dict(tally.signatures))

    def forget(self, slot_now: int) -> None:
        """Votes for targets long ago."""
        before = slot_now - SLOTS_KEPT
        self._tallies = {
            link: tally for link, tally in self._tallies.items() if link.target.slot >= before
        }
        for voter, votes in list(self._votes.items()):
            self._votes[voter] = {slot: vote for slot, vote in votes.items() if slot >= before}

    def _contradicted(self, vote: Vote) -> Vote | None:
        for other in self._votes.get(vote.voter, {}).values():
            if other.link != vote.link and _contradict(other.link, vote.link):
                return other
        return None


def _contradict(a: Link, b: Link) -> bool:
    inner, outer = sorted((a, b), key=lambda link: link.target.slot)
    if inner.target.slot == outer.target.slot:
        return True
    return outer.source.slot < inner.source.slot
