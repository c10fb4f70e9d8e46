"""Votes come to certificates; who contradicts himself is named, and what is of no use is not kept."""

import pytest
from tests.ledger.makers import BLOCK0, bft_public
from tests.ledger.test_finality import FOUR, link, vote

from tetrarch.ledger.ballots import SLOTS_AHEAD_MAX, SLOTS_KEPT, Ballots, Contradiction
from tetrarch.ledger.finality import Certificate, Link, VoteRefused


def test_a_quorum_of_votes_is_a_certificate_once() -> None:
    ballots = Ballots((FOUR,))
    results = [ballots.add(vote(number, link(1, 2)), slot_now=2) for number in (0, 1, 1, 2, 3)]
    assert results[:3] == [None, None, None]
    assert isinstance(results[3], Certificate)
    results[3].check(BLOCK0, FOUR)
    assert results[4] is None


def test_votes_for_different_links_do_not_come_together() -> None:
    ballots = Ballots((FOUR,))
    for number, branch in ((0, 0), (1, 0), (2, 1), (3, 1)):
        assert ballots.add(vote(number, link(1, 2, branch)), slot_now=2) is None


@pytest.mark.parametrize(
    "second", [link(1, 2, branch=1), link(0, 2), link(0, 3)], ids=["slot", "source", "around"]
)
def test_who_contradicts_himself_is_named_and_not_counted(second: Link) -> None:
    ballots = Ballots((FOUR,))
    first = vote(0, link(1, 2))
    ballots.add(first, slot_now=2)
    found = ballots.add(vote(0, second), slot_now=2)
    assert found == Contradiction(first, vote(0, second))
    for number in (1, 2):
        assert ballots.add(vote(number, second), slot_now=2) is None


def test_who_may_not_vote_and_what_is_too_far_ahead_is_refused() -> None:
    ballots = Ballots((FOUR,))
    with pytest.raises(VoteRefused, match="may not"):
        ballots.add(vote(9, link(1, 2)), slot_now=2)
    with pytest.raises(VoteRefused, match="now=2"):
        ballots.add(vote(0, link(1, 3 + SLOTS_AHEAD_MAX)), slot_now=2)
    with pytest.raises(VoteRefused, match="source"):
        ballots.add(vote(0, link(2, 2)), slot_now=2)


def test_votes_of_long_ago_are_forgotten() -> None:
    ballots = Ballots((FOUR,))
    for slot in range(2, 2 * SLOTS_KEPT):
        ballots.add(vote(0, link(slot - 1, slot)), slot_now=slot)
        ballots.forget(slot)
    assert len(ballots._tallies) == SLOTS_KEPT + 1
    assert len(ballots._votes[bft_public(0)]) == SLOTS_KEPT + 1
