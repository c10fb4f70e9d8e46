"""A quorum decides, each voter counts once with what it chose last, and nobody fills the state with votes."""

import pytest
from tests.ledger.makers import bft_public, draft_of

from tetrarch.ledger.fragments.kind import FragmentRefused
from tetrarch.ledger.membership import MEMBERSHIP, Membership, alike, begin_membership
from tetrarch.ledger.tables import Draft
from tetrarch.ledger.tallies import OPEN_MAX, OPEN_VOTES, TALLIES, choice_of, counted, vote

A, B = choice_of(b"a"), choice_of(b"b")
ABOUT = b"\x05about"


def four() -> Draft:
    """Of whom three decide."""
    draft = draft_of()
    begin_membership(draft, alike(map(bft_public, range(4))))
    return draft


def voted(draft: Draft, number: int, choice: bytes = A, about: bytes = ABOUT) -> bool:
    return vote(draft, about=about, choice=choice, voter=bft_public(number), height=9)


def test_a_quorum_decides_and_leaves_nothing() -> None:
    draft = four()
    assert [voted(draft, number) for number in (0, 1, 2)] == [False, False, True]
    assert TALLIES.get(draft, ABOUT) is None
    assert not any(OPEN_VOTES.items(draft))


def test_who_chooses_otherwise_counts_there_alone() -> None:
    draft = four()
    assert [voted(draft, 0, A), voted(draft, 1, B), voted(draft, 0, B)] == [False] * 3
    assert dict(counted(draft, ABOUT)) == {bft_public(0): B, bft_public(1): B}
    assert not voted(draft, 2, A)
    assert voted(draft, 3, B)


def test_nobody_counts_twice_and_no_stranger_at_all() -> None:
    draft = four()
    voted(draft, 0)
    with pytest.raises(FragmentRefused, match="already"):
        voted(draft, 0)
    with pytest.raises(FragmentRefused, match="no member"):
        voted(draft, 4)


def test_other_things_are_other_tallies() -> None:
    draft = four()
    voted(draft, 0)
    voted(draft, 1)
    assert not voted(draft, 2, about=b"\x05other")


def test_while_members_change_both_are_asked() -> None:
    draft = four()
    MEMBERSHIP.put(
        draft,
        b"",
        Membership(
            members=alike(map(bft_public, (3, 4, 5, 6))),
            previous=alike(map(bft_public, range(4))),
            since=5,
        ),
    )
    assert [voted(draft, number) for number in (0, 1, 3, 4)] == [False] * 4
    assert voted(draft, 5)


def test_the_oldest_of_too_many_open_votes_is_withdrawn() -> None:
    draft = four()
    voted(draft, 1, about=b"0")
    for number in range(OPEN_MAX + 2):
        voted(draft, 0, about=b"%d" % number)
    assert bft_public(0) not in counted(draft, b"0")
    assert bft_public(1) in counted(draft, b"0"), "another's stays"
    assert TALLIES.get(draft, b"1") is None
    assert bft_public(0) in counted(draft, b"2")
    mine = OPEN_VOTES.get(draft, bft_public(0))
    assert mine is not None
    assert len(mine.about) == OPEN_MAX
