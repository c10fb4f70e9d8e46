"""What an enclave signs, case by case: each reason for a no, and every yes."""

import pytest
from msgspec.structs import replace
from tests.election.support import configuration, leading, signed, view_of

from tetrarch.election import promises as rules
from tetrarch.election.configuration import Configuration
from tetrarch.election.promises import Denied, Promises, Reason
from tetrarch.election.quorums import Mode
from tetrarch.election.statements import (
    TERM_MAX,
    Grant,
    Handover,
    Leader,
    Receipt,
    Resignation,
    View,
)

C = configuration()
BOOT = b"\1" * 32
NEXT_BOOT = b"\2" * 32
LEASE = configuration(lease_ms=1000)


def ready(term: int = 10, source: int = 0) -> Promises:
    """An enclave that has reserved terms up to ``term``."""
    return replace(rules.born(source, BOOT), asked_to=term, reserved_to=term)


def receipts_for(promises: Promises, *sources: int, recovered: bool = True) -> tuple[Receipt, ...]:
    own = rules.reservation(promises, C)
    return tuple(Receipt(source, own, recovered=recovered) for source in sources)


def denied(promises: Promises, view: View, now_ms: int = 0) -> Reason | None:
    judged = rules.judge_vote(promises, view, C, now_ms)
    return judged.reason if isinstance(judged, Denied) else None


def voted(promises: Promises, view: View) -> Promises:
    judged = rules.judge_vote(promises, view, C, 0)
    assert isinstance(judged, Promises)
    return judged


def test_one_vote_in_a_term_and_it_may_be_repeated() -> None:
    after = voted(ready(), view_of(C))
    assert rules.vote(after).view == view_of(C)
    assert denied(after, view_of(C)) is None
    assert denied(after, view_of(C, (0, 1, 2))) is Reason.ANOTHER_VIEW
    assert denied(after, view_of(C, (0, 1, 2), term=2)) is None


def test_terms_do_not_go_back() -> None:
    after = voted(ready(), view_of(C, term=5))
    assert denied(after, view_of(C, term=4)) is Reason.TERM_IS_OVER


@pytest.mark.parametrize(
    ("view", "reason"),
    [
        (view_of(configuration(5), range(5)), Reason.ANOTHER_CONFIGURATION),
        (view_of(C, (1, 2, 3)), Reason.NOT_A_MEMBER),
        (view_of(C, (0, 1, 2, 9)), Reason.NOT_A_MEMBER),
        (view_of(C, (0, 1)), Reason.BELOW_A_QUORUM),
        (view_of(C, term=11), Reason.TERM_NOT_RESERVED),
        (view_of(C, previous=b"x" * 32), Reason.ANOTHER_LEADER_BEFORE),
    ],
)
def test_views_that_are_not_voted_for(view: View, reason: Reason) -> None:
    assert denied(ready(), view) is reason


def test_known_leader_must_be_the_one_before() -> None:
    leader = Leader(view_of(C), 0)
    after = rules.learn_leader(ready(), leading(leader, (0, 1, 2)))
    assert denied(after, view_of(C, term=2)) is Reason.ANOTHER_LEADER_BEFORE
    assert denied(after, view_of(C, term=2, previous=leader.hash)) is None
    assert denied(after, view_of(C, term=1)) is Reason.TERM_IS_OVER


def test_older_leader_is_not_learned() -> None:
    newer = leading(Leader(view_of(C, term=3), 1), (0, 1, 2))
    older = leading(Leader(view_of(C, term=2), 0), (0, 1, 2))
    after = rules.learn_leader(rules.learn_leader(ready(), newer), older)
    assert after.newest == newer.leader


# Reservations and recovery


def test_terms_are_reserved_by_a_quorum_less_oneself() -> None:
    asked = rules.reserve(rules.born(0, BOOT), 4)
    assert isinstance(asked, Promises)
    assert rules.take_receipts(asked, receipts_for(asked, 1), C).reserved_to == 0
    assert rules.take_receipts(asked, receipts_for(asked, 1, 2), C).reserved_to == 4


def test_receipts_of_oneself_twice_of_others_and_of_the_unrecovered_do_not_count() -> None:
    asked = rules.reserve(rules.born(0, BOOT), 4)
    assert isinstance(asked, Promises)
    for receipts in (
        receipts_for(asked, 0, 1),
        receipts_for(asked, 1, 1),
        receipts_for(replace(asked, source=3), 1, 2),
        receipts_for(replace(asked, boot=NEXT_BOOT), 1, 2),
        receipts_for(asked, 1, 2, recovered=False),
    ):
        assert rules.take_receipts(asked, receipts, C).reserved_to == 0


def test_reservation_is_bounded() -> None:
    judged = rules.reserve(ready(10), 10 + rules.TERMS_AHEAD_MAX + 1)
    assert judged == Denied(Reason.TOO_FAR_AHEAD)
    assert isinstance(rules.reserve(ready(10), 10 + rules.TERMS_AHEAD_MAX), Promises)


def test_new_life_does_nothing_before_it_has_recovered_and_begins_above_the_former() -> None:
    before = voted(ready(10), view_of(C, term=7))
    life = rules.begin(before, NEXT_BOOT, C, 0)
    assert life.incarnation == before.incarnation + 1
    assert denied(life, view_of(C, term=8)) is Reason.NOT_RECOVERED
    assert rules.reserve(life, 11) == Denied(Reason.NOT_RECOVERED)
    assert not rules.take_receipts(life, receipts_for(life, 1, 2), C).recovered
    life = rules.take_receipts(life, receipts_for(life, 1, 2, 3), C)
    assert life.recovered
    assert denied(life, view_of(C, term=10)) is Reason.TERM_OF_A_FORMER_LIFE
    assert denied(life, view_of(C, term=11)) is Reason.TERM_NOT_RESERVED
    asked = rules.reserve(life, 12)
    assert isinstance(asked, Promises)
    life = rules.take_receipts(asked, receipts_for(asked, 1, 2), C)
    assert denied(life, view_of(C, term=11)) is None


def test_life_from_the_newest_state_begins_above_all_that_was_reserved() -> None:
    before = replace(ready(term=10), asked_to=12)
    life = rules.resume(rules.begin(before, NEXT_BOOT, C, 0))
    assert (life.recovered, life.floor, life.reserved_to) == (True, 12, 0)
    assert denied(life, view_of(C, term=12)) is Reason.TERM_OF_A_FORMER_LIFE
    assert denied(life, view_of(C, term=13)) is Reason.TERM_NOT_RESERVED


def test_life_from_an_old_state_is_outbid_by_what_a_later_one_reserved() -> None:
    old = rules.born(0, BOOT)
    later = replace(ready(9), incarnation=4)
    life = rules.begin(old, NEXT_BOOT, C, 0)
    life = rules.outbid(life, rules.reservation(later, C))
    assert (life.incarnation, life.asked_to) == (5, 9)
    life = rules.take_receipts(life, receipts_for(life, 1, 2, 3), C)
    assert denied(life, view_of(C, term=9)) is Reason.TERM_OF_A_FORMER_LIFE


def test_recovered_life_is_not_outbid_a_newer_copy_goes_on() -> None:
    newer = rules.reservation(replace(ready(9), incarnation=4, boot=NEXT_BOOT), C)
    assert rules.outbid(ready(3), newer) == ready(3)


def test_cold_start_takes_the_word_of_all_others_and_only_where_it_is_accepted() -> None:
    life = rules.begin(ready(), NEXT_BOOT, C, 0)
    all_others = receipts_for(life, 1, 2, 3, recovered=False)
    assert not rules.take_receipts(life, all_others, C).recovered
    accepted = rules.take_receipts(life, all_others, C, accepts_cold_start=True)
    assert accepted.recovered
    fewer = rules.take_receipts(life, all_others[:2], C, accepts_cold_start=True)
    assert not fewer.recovered


def test_floor_of_a_life_that_has_not_recovered_is_out_of_reach() -> None:
    assert rules.begin(ready(), NEXT_BOOT, C, 0).floor == TERM_MAX


# Leases


def with_leader(leader: int = 1) -> tuple[Promises, Leader]:
    chosen = Leader(view_of(LEASE), leader)
    return rules.learn_leader(ready(), leading(chosen, (0, 1, 2))), chosen


def late_vote(
    promises: Promises,
    previous: Leader,
    now_ms: int,
    *,
    members: tuple[int, ...] = (0, 2, 3),
    vacated: bool = False,
) -> Reason | None:
    view = view_of(LEASE, members, term=2, previous=previous.hash, vacated=vacated)
    judged = rules.judge_vote(promises, view, LEASE, now_ms)
    return judged.reason if isinstance(judged, Denied) else None


def test_who_granted_does_not_vote_until_the_lease_is_over_by_the_slowest_clock() -> None:
    promises, leader = with_leader()
    judged = rules.judge_grant(promises, Grant(leader.hash, 0, 5), LEASE, now_ms=100)
    assert isinstance(judged, Promises)
    assert late_vote(judged, leader, 1119) is Reason.LEASE_LASTS
    assert late_vote(judged, leader, 1120) is None


def test_list_in_which_the_leader_stays_does_not_wait_for_its_lease() -> None:
    promises, leader = with_leader()
    judged = rules.judge_grant(promises, Grant(leader.hash, 0, 5), LEASE, now_ms=100)
    assert isinstance(judged, Promises)
    assert late_vote(judged, leader, 101, members=(0, 1, 2)) is None
    assert late_vote(judged, leader, 101, members=(0, 2, 3)) is Reason.LEASE_LASTS


def test_who_voted_for_a_later_term_grants_nothing() -> None:
    promises, leader = with_leader()
    after = rules.judge_vote(promises, view_of(LEASE, term=2, previous=leader.hash), LEASE, 0)
    assert isinstance(after, Promises)
    judged = rules.judge_grant(after, Grant(leader.hash, 0, 0), LEASE, 0)
    assert judged == Denied(Reason.TERM_IS_OVER)


def test_later_life_grants_no_leader_whom_a_former_one_may_have_voted_out() -> None:
    """Its vote is still out there, for a host to complete while the lease lasts."""
    promises, leader = with_leader()
    grant = Grant(leader.hash, 0, 0)
    for floor in (1, TERM_MAX):  # the latter where a former life handed over
        judged = rules.judge_grant(replace(promises, floor=floor), grant, LEASE, 0)
        assert judged == Denied(Reason.TERM_OF_A_FORMER_LIFE)
    assert isinstance(rules.judge_grant(replace(promises, floor=0), grant, LEASE, 0), Promises)


def test_only_the_newest_leader_is_granted_a_lease() -> None:
    promises, _ = with_leader()
    judged = rules.judge_grant(promises, Grant(b"x" * 32, 0, 0), LEASE, 0)
    assert judged == Denied(Reason.NOT_THE_NEWEST_LEADER)


def test_leader_that_resigns_frees_those_who_granted_and_nobody_else_does() -> None:
    promises, leader = with_leader()
    judged = rules.judge_grant(promises, Grant(leader.hash, 0, 0), LEASE, 0)
    assert isinstance(judged, Promises)
    by_another = rules.take_resignation(judged, signed(Resignation(leader.hash, 2)))
    assert late_vote(by_another, leader, 1) is Reason.LEASE_LASTS
    by_itself = rules.take_resignation(judged, signed(Resignation(leader.hash, 1)))
    assert late_vote(by_itself, leader, 1) is Reason.RESIGNATION_DIFFERS
    assert late_vote(by_itself, leader, 1, vacated=True) is None
    assert late_vote(judged, leader, 2000, vacated=True) is Reason.RESIGNATION_DIFFERS
    again = rules.judge_grant(by_itself, Grant(leader.hash, 0, 2), LEASE, 2)
    assert again == Denied(Reason.NOT_THE_NEWEST_LEADER)


def test_next_leader_has_not_resigned() -> None:
    promises, leader = with_leader()
    resigned = rules.take_resignation(promises, signed(Resignation(leader.hash, 1)))
    later = Leader(view_of(LEASE, term=2, previous=leader.hash, vacated=True), 0)
    assert not rules.learn_leader(resigned, leading(later, (0, 1, 2))).vacated


def test_new_life_is_silent_for_a_lease_and_no_resignation_ends_that() -> None:
    promises, leader = with_leader()
    life = rules.begin(promises, NEXT_BOOT, LEASE, now_ms=50)
    own = rules.reservation(life, LEASE)
    life = rules.take_receipts(
        life, tuple(Receipt(each, own, recovered=True) for each in (1, 2, 3)), LEASE
    )
    life = replace(life, reserved_to=20)
    life = rules.take_resignation(life, signed(Resignation(leader.hash, 1)))
    view = view_of(LEASE, (0, 1, 2), term=15, previous=leader.hash, vacated=True)
    judged = rules.judge_vote(life, view, LEASE, 1069)
    assert judged == Denied(Reason.LEASE_LASTS)
    assert isinstance(rules.judge_vote(life, view, LEASE, 1070), Promises)


def test_crash_mode_counts_its_own_way() -> None:
    three = configuration(3, Mode.CRASH)
    life = rules.begin(rules.born(0, BOOT), NEXT_BOOT, three, 0)
    own = rules.reservation(life, three)
    one = rules.take_receipts(life, (Receipt(1, own, recovered=True),), three)
    assert not one.recovered
    both = (Receipt(1, own, recovered=True), Receipt(2, own, recovered=True))
    assert rules.take_receipts(life, both, three).recovered


NEXT, OTHER = b"n" * 32, b"o" * 32


def stopped(promises: Promises, *sources: int) -> Promises:
    """An enclave that hands over to NEXT, and of which these keep that it does."""
    judged = rules.hand_over(promises, NEXT)
    assert isinstance(judged, Promises)
    return rules.take_receipts(judged, receipts_for(judged, *sources), C)


def handover(promises: Promises, c: Configuration = C, now_ms: int = 0) -> Handover | Denied:
    return rules.judge_handover(promises, c, now_ms)


def test_who_hands_over_says_what_it_may_have_voted_for_last() -> None:
    after = stopped(voted(ready(), view_of(C, term=7)), 1, 2)
    assert handover(after) == Handover(C.hash, NEXT, 0, 7)
    later_life = replace(ready(term=30), floor=20)
    assert handover(stopped(later_life, 1, 2)) == Handover(C.hash, NEXT, 0, 20)
    assert handover(stopped(voted(later_life, view_of(C, term=25)), 1, 2)) == Handover(
        C.hash, NEXT, 0, 25
    )


def test_nothing_is_handed_over_before_the_others_keep_it() -> None:
    assert handover(ready()) == Denied(Reason.TERM_NOT_RESERVED)
    assert handover(stopped(ready(), 1)) == Denied(Reason.TERM_NOT_RESERVED)
    all_reserved = replace(ready(), reserved_to=TERM_MAX)
    assert handover(all_reserved) == Denied(Reason.TERM_NOT_RESERVED), "to nobody"


def test_who_hands_over_votes_and_grants_no_more() -> None:
    before = voted(ready(), view_of(C))
    after = stopped(before, 1, 2)
    assert denied(after, view_of(C, term=2)) is Reason.HANDED_OVER
    assert denied(after, view_of(C)) is None, "the vote that it had cast may be repeated"
    led = rules.learn_leader(after, leading(Leader(view_of(LEASE), 0), (0, 1, 2)))
    assert led.newest is not None
    grant = Grant(led.newest.hash, 0, 0)
    assert rules.judge_grant(led, grant, LEASE, 0) == Denied(Reason.HANDED_OVER)


def test_to_one_configuration_only() -> None:
    after = stopped(ready(), 1, 2)
    assert rules.hand_over(after, OTHER) == Denied(Reason.HANDED_OVER)
    assert rules.hand_over(after, NEXT) == after
    assert rules.hand_over(replace(ready(), recovered=False), NEXT) == Denied(Reason.NOT_RECOVERED)


@pytest.mark.parametrize("reached", [(), (1, 2)])
def test_later_life_neither_votes_nor_hands_over(reached: tuple[int, ...]) -> None:
    """Not even to the same: what was forgotten may have been handed over to another."""
    sealed = stopped(ready(), *reached)
    life = rules.begin(sealed, NEXT_BOOT, C, 0)
    life = rules.take_receipts(life, receipts_for(life, 1, 2, 3), C)
    assert life.recovered
    assert life.floor == TERM_MAX
    reserved = rules.reserve(life, TERM_MAX)
    assert isinstance(reserved, Promises)
    reserved = rules.take_receipts(reserved, receipts_for(reserved, 1, 2, 3), C)
    assert handover(reserved) == Denied(Reason.HANDED_OVER)
    assert rules.hand_over(life, NEXT) == Denied(Reason.HANDED_OVER)
    assert denied(life, view_of(C, term=50)) is not None


def test_lease_is_kept_over_a_handover() -> None:
    leader = leading(Leader(view_of(LEASE), 0), (0, 1, 2))
    led = rules.learn_leader(ready(), leader)
    granted = rules.judge_grant(led, Grant(leader.leader.hash, 0, 0), LEASE, 100)
    assert isinstance(granted, Promises)
    after = stopped(granted, 1, 2)
    assert handover(after, LEASE, 1119) == Denied(Reason.LEASE_LASTS)
    assert isinstance(handover(after, LEASE, 1120), Handover)
    silent = stopped(replace(ready(), silent_to_ms=500), 1, 2)
    assert handover(silent, now_ms=499) == Denied(Reason.LEASE_LASTS)


def test_successor_begins_above_what_was_handed_over() -> None:
    born = replace(rules.born(0, BOOT, floor=9), asked_to=20, reserved_to=20)
    assert denied(born, view_of(C, term=9)) is Reason.TERM_OF_A_FORMER_LIFE
    assert denied(born, view_of(C, term=10)) is None


def test_later_life_of_a_successor_stays_above_what_was_handed_over() -> None:
    """Be its state ever so old, and had it reserved nothing yet."""
    life = rules.begin(rules.born(0, BOOT, floor=9), NEXT_BOOT, C, 0)
    life = rules.take_receipts(life, receipts_for(life, 1, 2, 3), C)
    assert (life.recovered, life.floor) == (True, 9)
    counted = rules.resume(rules.begin(rules.born(0, BOOT, floor=9), NEXT_BOOT, C, 0))
    assert counted.floor == 9
