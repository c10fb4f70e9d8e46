"""Votes of members on a chain, each about one thing, until a quorum chose the same. Pure.

A voter may choose otherwise as long as nothing is decided: its latest choice counts. Of one voter so many votes are open at
most; a newer one takes the place of its oldest, so that who votes without end fills nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from tetrarch.ledger.fragments.kind import FragmentRefused
from tetrarch.ledger.membership import is_voter, voters_at
from tetrarch.ledger.tables import Draft, Table, View

OPEN_MAX: Final = 64  # of one voter


@dataclass(frozen=True, slots=True)
class Tally:
    """What each who voted chose: 32 bytes, by voter."""

    choices: Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class OpenVotes:
    """What one voter voted about that is not decided, the oldest first."""

    about: tuple[bytes, ...] = ()


TALLIES: Final = Table("tallies", Tally)  # by what they are about
OPEN_VOTES: Final = Table("open_votes", OpenVotes)  # by voter


def choice_of(content: bytes) -> bytes:
    """As it is counted: 32 bytes."""
    return blake2b(content, digest_size=32).digest()


def vote(draft: Draft, *, about: bytes, choice: bytes, voter: bytes, height: int) -> bool:
    """Count a vote in a block of ``height``. Whether ``choice`` has a quorum by it, which ends the tally.

    ``about``: a kind of fragment, and whatever of it one decision is about.

    Raises:
        FragmentRefused: it may not vote, or voted so.
    """
    if not is_voter(draft, voter):
        raise FragmentRefused("vote", voter=voter.hex(), reason="it is no member")
    tally = TALLIES.get(draft, about)
    choices = {} if tally is None else dict(tally.choices)
    if choices.get(voter) == choice:
        raise FragmentRefused("vote", voter=voter.hex(), reason="it voted so already")
    choices[voter] = choice
    agreed = [each for each, chosen in choices.items() if chosen == choice]
    if all(each.weight(agreed) >= each.needed for each in voters_at(draft, height)):
        _end(draft, about, choices)
        return True
    TALLIES.put(draft, about, Tally(choices))
    _open(draft, voter, about)
    return False


def counted(view: View, about: bytes) -> Mapping[bytes, bytes]:
    """What was chosen so far, by voter."""
    tally = TALLIES.get(view, about)
    return {} if tally is None else tally.choices


def _open(draft: Draft, voter: bytes, about: bytes) -> None:
    found = OPEN_VOTES.get(draft, voter) or OpenVotes()
    if about in found.about:
        return
    kept = (*found.about, about)
    if len(kept) > OPEN_MAX:
        _withdraw(draft, voter, kept[0])
        kept = kept[1:]
    OPEN_VOTES.put(draft, voter, OpenVotes(kept))


def _withdraw(draft: Draft, voter: bytes, about: bytes) -> None:
    tally = TALLIES.get(draft, about)
    if tally is None:
        return
    left = {each: choice for each, choice in tally.choices.items() if each != voter}
    if left:
        TALLIES.put(draft, about, Tally(left))
    else:
        TALLIES.remove(draft, about)


def _end(draft: Draft, about: bytes, choices: Mapping[bytes, bytes]) -> None:
    TALLIES.remove(draft, about)
    for voter in choices:
        found = OPEN_VOTES.get(draft, voter)
        if found is not None and about in found.about:
            left = tuple(each for each in found.about if each != about)
            if left:
                OPEN_VOTES.put(draft, voter, OpenVotes(left))
            else:
                OPEN_VOTES.remove(draft, voter)
