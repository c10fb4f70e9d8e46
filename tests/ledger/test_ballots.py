"""Votes come to certificates; who contradicts himself is named, and what is of no use is not kept."""

import pytest
from tests.ledger.makers import BLOCK0
from tests.ledger.test_finality import FOUR, check, link, vote

from tetrarch.ledger.ballots import HEIGHTS_AHEAD_MAX, HEIGHTS_KEPT, Ballots, Contradiction
from tetrarch.ledger.blocks import Fragment, fragment_id
from tetrarch.ledger.finality import Certificate, Link, Vote, VoteRefused, encode_vote


def add(ballots: Ballots, each: Vote, *, height_now: int) -> Certificate | Contradiction | None:
    return ballots.add(each, height_now=height_now, voters=(FOUR,))


def test_a_quorum_of_votes_is_a_certificate_once() -> None:
    ballots = Ballots()
    results = [add(ballots, vote(number, link(1, 2)), height_now=2) for number in (0, 1, 1, 2, 3)]
    assert results[:3] == [None, None, None]
    assert isinstance(results[3], Certificate)
    check(results[3], BLOCK0, FOUR)
    assert results[4] is None


def test_votes_for_different_links_do_not_come_together() -> None:
    ballots = Ballots()
    for number, branch in ((0, 0), (1, 0), (2, 1), (3, 1)):
        assert add(ballots, vote(number, link(1, 2, branch)), height_now=2) is None


@pytest.mark.parametrize(
    "second", [link(1, 2, branch=1), link(0, 2), link(0, 3)], ids=["height", "source", "around"]
)
def test_who_contradicts_himself_is_named_and_not_counted(second: Link) -> None:
    ballots = Ballots()
    first = vote(0, link(1, 2))
    add(ballots, first, height_now=2)
    found = add(ballots, vote(0, second), height_now=2)
    assert found == Contradiction(first, vote(0, second))
    for number in (1, 2):
        assert add(ballots, vote(number, second), height_now=2) is None


def test_who_may_not_vote_and_what_is_too_far_ahead_is_refused() -> None:
    ballots = Ballots()
    with pytest.raises(VoteRefused, match="may not"):
        add(ballots, vote(9, link(1, 2)), height_now=2)
    with pytest.raises(VoteRefused, match="now=2"):
        add(ballots, vote(0, link(1, 3 + HEIGHTS_AHEAD_MAX)), height_now=2)
    with pytest.raises(VoteRefused, match="source"):
        add(ballots, vote(0, link(2, 2)), height_now=2)


@pytest.mark.parametrize(
    ("branches", "is_split"),
    [([], False), ([0, 1], False), ([0, 0, 1], False), ([0, 0, 1, 1], True), ([0, 1, 2], True)],
)
def test_votes_are_split_once_no_quorum_can_come_of_them(
    branches: list[int], *, is_split: bool
) -> None:
    ballots = Ballots()
    for number, branch in enumerate(branches):
        add(ballots, vote(number, link(1, 2, branch)), height_now=2)
    assert ballots.is_split(2, (FOUR,)) == is_split
    assert not ballots.is_split(3, (FOUR,))


def test_votes_are_kept_for_others_until_they_are_of_long_ago() -> None:
    ballots = Ballots()
    sent = []
    for height in range(2, 2 * HEIGHTS_KEPT):
        each = vote(0, link(height - 1, height))
        sent.append((height, each, fragment_id(Fragment(encode_vote(each)))))
        add(ballots, each, height_now=height)
    last = 2 * HEIGHTS_KEPT - 1
    for height, each, item in sent:
        is_kept = height >= last - HEIGHTS_KEPT
        assert (item in ballots) == is_kept
        assert ballots.get(item) == (each if is_kept else None)
    with pytest.raises(VoteRefused, match=f"now={last}"):
        add(ballots, vote(1, link(1, 2)), height_now=last)
