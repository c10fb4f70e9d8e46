"""A lease lasts from when it was asked for, and only a quorum gives it."""

from msgspec.structs import replace
from tests.election.support import Keys, configuration, signed, view_of

from tetrarch.election.leasing import RENEWALS, Leasing
from tetrarch.election.statements import Grant, Leader

C = configuration(lease_ms=1000)
LEADER = Leader(view_of(C), 1)


def leading(asked_ms: int = 500) -> Leasing:
    leasing = Leasing(C, 1, Keys())
    leasing.lead(LEADER)
    assert leasing.ask(asked_ms) == asked_ms
    return leasing


def grant(leasing: Leasing, *sources: int, asked_ms: int = 500) -> None:
    for source in sources:
        leasing.take(signed(Grant(LEADER.hash, source, asked_ms)))


def test_quorum_grants_from_when_it_was_asked_for() -> None:
    leasing = leading()
    grant(leasing, 0, 1)
    assert not leasing.holds(501)
    grant(leasing, 3)
    assert leasing.holds(1499)
    assert not leasing.holds(1500)


def test_grants_twice_late_false_and_for_others_do_not_count() -> None:
    leasing = leading()
    grant(leasing, 0, 1, 1, 0)
    grant(leasing, 2, asked_ms=499)
    leasing.take(replace(signed(Grant(LEADER.hash, 2, 500)), signature=bytes(64)))
    leasing.take(signed(Grant(b"x" * 32, 2, 500)))
    leasing.take(signed(Grant(LEADER.hash, 7, 500)))
    assert not leasing.holds(501)


def test_it_is_renewed_in_time_and_asked_for_once_until_then() -> None:
    leasing = leading()
    grant(leasing, 0, 1, 2)
    soon = 500 + 1000 // RENEWALS
    assert leasing.ask(soon - 1) == 500
    assert leasing.ask(soon) == soon
    assert leasing.holds(soon)
    grant(leasing, 0, 1, 2, asked_ms=soon)
    assert leasing.holds(soon + 999)


def test_who_does_not_lead_asks_for_nothing_and_holds_nothing() -> None:
    leasing = leading()
    grant(leasing, 0, 1, 2)
    leasing.lead(None)
    assert leasing.ask(600) is None
    assert not leasing.holds(600)


def test_leader_that_stays_in_a_new_term_keeps_its_lease() -> None:
    leasing = leading()
    grant(leasing, 0, 1, 2)
    leasing.lead(Leader(view_of(C, term=2, previous=LEADER.hash), 1))
    assert leasing.holds(1499)


def test_without_leases_none_is_asked_for() -> None:
    leasing = Leasing(configuration(), 1, Keys())
    leasing.lead(LEADER)
    assert leasing.ask(500) is None
