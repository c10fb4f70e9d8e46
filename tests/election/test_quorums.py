"""Any two quorums share enough, for every size: counted, not calculated."""

import pytest

from tetrarch.election.quorums import (
    MEMBERS_MAX,
    MEMBERS_MIN,
    Mode,
    faulty_max,
    liars_max,
    quorum,
    recovery_quorum,
)

SIZES = range(MEMBERS_MIN, MEMBERS_MAX + 1)
modes = pytest.mark.parametrize("mode", Mode)


@pytest.mark.parametrize(
    ("count", "mode", "f", "q", "r"),
    [
        (4, Mode.BFT, 1, 3, 3),
        (7, Mode.BFT, 2, 5, 5),
        (10, Mode.BFT, 3, 7, 7),
        (5, Mode.BFT, 1, 4, 3),
        (2, Mode.CRASH, 0, 2, 1),
        (3, Mode.CRASH, 1, 2, 2),
        (5, Mode.CRASH, 2, 3, 3),
        (7, Mode.CRASH, 3, 4, 4),
    ],
)
def test_known_sizes(count: int, mode: Mode, f: int, q: int, r: int) -> None:
    assert faulty_max(count, mode) == f
    assert quorum(count, mode) == q
    assert recovery_quorum(count, mode) == r


@modes
def test_two_quorums_share_more_than_may_lie_and_a_smaller_number_does_not(mode: Mode) -> None:
    for count in SIZES:
        lying = liars_max(count, mode)
        assert 2 * quorum(count, mode) - count > lying
        assert 2 * (quorum(count, mode) - 1) - count <= lying


@modes
def test_who_recovers_hears_one_honest_keeper_of_every_reservation(mode: Mode) -> None:
    """Of n - 1 others q - 1 keep it. One answer fewer could miss them."""
    for count in SIZES:
        lying = liars_max(count, mode)
        shared = recovery_quorum(count, mode) + quorum(count, mode) - 1 - (count - 1)
        assert shared == lying + 1


@modes
def test_two_lives_of_one_number_cannot_both_recover(mode: Mode) -> None:
    for count in SIZES:
        shared = 2 * recovery_quorum(count, mode) - (count - 1)
        assert shared > liars_max(count, mode)


@modes
def test_members_that_fail_do_not_stop_an_election(mode: Mode) -> None:
    for count in SIZES:
        assert quorum(count, mode) <= count - faulty_max(count, mode)
