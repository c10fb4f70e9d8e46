"""The table of dispositions, row by row, and what stands around it."""

from dataclasses import replace
from random import Random

import pytest
from tests.network.overlay.support import NOW_S, known_of, node_id, profile

from tetrarch.errors import InputInvalid
from tetrarch.network.conduct import UNREACHABLE, Fault
from tetrarch.network.overlay.known import Known, KnownLimits
from tetrarch.network.overlay.nodes import BANS_MAX, Disposition, Heard, Nodes
from tetrarch.network.overlay.policy import PolicyRules
from tetrarch.network.overlay.profile import NodeId, Profile

RULES = PolicyRules()
OWN, X, Y = node_id(1000), node_id(1), node_id(2)
AVAILABLE, QUARANTINED, FORGOTTEN = Disposition


def nodes_of(
    *profiles: Profile, rules: PolicyRules = RULES, limits: KnownLimits | None = None
) -> Nodes:
    made: list[Nodes] = []

    def dropped(node: NodeId) -> None:
        made[0].dropped(node)

    known = Known(
        limits or KnownLimits(),
        Random(1),
        held=lambda _: False,
        took=lambda _: None,
        lost=dropped,
    )
    nodes = Nodes(OWN, known, rules)
    made.append(nodes)
    for each in profiles:
        assert nodes.hear(each, each.node, now_s=NOW_S) is Heard.NEW
    return nodes


def quarantined(fault: Fault = Fault.INVALID_BLOCK) -> Nodes:
    nodes = nodes_of(profile(1))
    assert nodes.report_fault(X, fault, now_s=NOW_S) is QUARANTINED
    return nodes


def over_s(nodes: Nodes) -> float:
    return nodes.quarantined[X].until_s


# -- the table ----------------------------------------------------------------------------------


def test_new_in_gossip_is_available() -> None:
    nodes = nodes_of()
    assert nodes.disposition(X) is FORGOTTEN
    assert nodes.hear(profile(1), Y, now_s=NOW_S) is Heard.NEW
    assert nodes.disposition(X) is AVAILABLE
    assert X in nodes.known


def test_available_with_a_verdict_is_quarantined_in_no_view_and_no_gossip() -> None:
    nodes = nodes_of(profile(1))
    assert nodes.report_fault(X, Fault.INVALID_BLOCK, now_s=NOW_S) is QUARANTINED
    assert X not in nodes.known
    assert nodes.quarantined[X].reason == "score"
    assert over_s(nodes) == NOW_S + RULES.quarantine_s


def test_quarantined_stays_so_until_the_time_is_over() -> None:
    nodes = quarantined()
    heard = nodes.hear(profile(1, time_s=NOW_S + 599), Y, now_s=NOW_S + 599)
    assert heard is Heard.QUARANTINED
    assert nodes.disposition(X) is QUARANTINED


def test_quarantine_over_and_still_bad_is_kept_for_longer() -> None:
    nodes = nodes_of(profile(1))
    for _ in range(8):
        nodes._conducts[X].broke(Fault.INVALID_BLOCK, NOW_S)
    nodes.judge(X, now_s=NOW_S)
    now_s = over_s(nodes)
    assert nodes.hear(profile(1, time_s=int(now_s)), Y, now_s=now_s) is Heard.QUARANTINED
    assert nodes.quarantined[X].reason == "still_bad"
    assert over_s(nodes) == now_s + 2 * RULES.quarantine_s


def test_quarantine_over_and_still_gossiped_about_is_available() -> None:
    nodes = quarantined(Fault.INVALID_BLOCK)
    nodes._conducts[X].faults.clear()
    now_s = over_s(nodes)
    assert nodes.hear(profile(1, time_s=int(now_s) - 5), Y, now_s=now_s) is Heard.NEW
    assert nodes.disposition(X) is AVAILABLE
    assert X not in nodes.quarantined


def test_quarantine_over_and_silent_is_forgotten() -> None:
    nodes = quarantined()
    nodes._conducts[X].faults.clear()
    assert nodes.judge(X, now_s=over_s(nodes)) is FORGOTTEN
    assert list(nodes) == []
    assert nodes.conduct(X) is None


def test_what_others_repeat_of_a_dead_node_does_not_bring_it_back() -> None:
    nodes = quarantined()
    nodes._conducts[X].faults.clear()
    now_s = over_s(nodes)
    assert nodes.hear(profile(1, time_s=NOW_S), Y, now_s=now_s) is Heard.STALE
    nodes.judge(X, now_s=now_s)
    assert nodes.hear(profile(1, time_s=NOW_S), Y, now_s=now_s + 1) is Heard.STALE
    assert nodes.disposition(X) is FORGOTTEN


def test_forgotten_is_gone_from_the_database_and_comes_back_from_the_start() -> None:
    nodes = quarantined()
    nodes.forget(X)
    assert (nodes.disposition(X), nodes.conduct(X), list(nodes)) == (FORGOTTEN, None, [])
    later_s = NOW_S + 2000
    assert nodes.hear(profile(1, time_s=later_s), Y, now_s=later_s) is Heard.NEW
    conduct = nodes.conduct(X)
    assert conduct is not None
    assert (conduct.since_s, list(conduct.faults)) == (later_s, [])
    nodes.report_fault(X, Fault.INVALID_BLOCK, now_s=later_s)
    assert over_s(nodes) == later_s + RULES.quarantine_s, "the first one again"


# -- lazily ---------------------------------------------------------------------------------------


def test_who_is_of_no_interest_is_left_alone_until_a_sweep() -> None:
    nodes = quarantined()
    nodes.hear(profile(1, time_s=NOW_S + 550), Y, now_s=NOW_S + 550)
    nodes._conducts[X].faults.clear()
    much_later_s = NOW_S + 1000
    nodes.hear(profile(2, time_s=much_later_s), Y, now_s=much_later_s)
    assert nodes.disposition(X) is QUARANTINED
    nodes.sweep(now_s=much_later_s)
    assert nodes.disposition(X) is AVAILABLE


def test_a_sweep_drops_the_silent() -> None:
    nodes = nodes_of(profile(1), profile(2))
    nodes.hear(profile(2, time_s=NOW_S + 600), Y, now_s=NOW_S + 600)
    nodes.sweep(now_s=NOW_S + 601)
    assert set(nodes) == {Y}
    assert nodes.conduct(X) is None


# -- failures -------------------------------------------------------------------------------------


def reached(*profiles: Profile) -> Nodes:
    """Somebody answered a moment ago: failures are the others'."""
    nodes = nodes_of(*profiles)
    nodes.met(Y, now_s=NOW_S)
    return nodes


def test_failures_in_a_row_put_aside() -> None:
    nodes = reached(profile(1), profile(2))
    assert nodes.report_failure(X, now_s=NOW_S) is AVAILABLE
    nodes.met(X, now_s=NOW_S + 1)
    assert nodes.report_failure(X, now_s=NOW_S + 2) is AVAILABLE
    assert nodes.report_failure(X, now_s=NOW_S + 3) is QUARANTINED
    assert nodes.quarantined[X].reason == UNREACHABLE


def test_while_we_reach_nobody_failures_are_our_own() -> None:
    nodes = nodes_of(profile(1))
    for second in range(10):
        assert nodes.report_failure(X, now_s=NOW_S + second) is AVAILABLE
    nodes.met(X, now_s=NOW_S + 10)
    for second in range(10):
        assert nodes.report_failure(X, now_s=NOW_S + 71 + second) is AVAILABLE


def test_who_could_not_be_reached_and_shows_itself_is_available_at_once() -> None:
    nodes = reached(profile(1), profile(2))
    for _ in range(2):
        nodes.report_failure(X, now_s=NOW_S)
    assert nodes.hear(profile(1, time_s=NOW_S + 5), X, now_s=NOW_S + 5) is Heard.QUARANTINED
    nodes.met(X, now_s=NOW_S + 5)
    assert nodes.disposition(X) is AVAILABLE


def test_who_did_wrong_and_shows_itself_stays_where_it_is() -> None:
    nodes = quarantined()
    nodes._conducts[X].faults.clear()
    nodes.hear(profile(1, time_s=NOW_S + 5), X, now_s=NOW_S + 5)
    nodes.met(X, now_s=NOW_S + 5)
    assert nodes.disposition(X) is QUARANTINED


def test_each_quarantine_takes_twice_as_long_up_to_a_day() -> None:
    """The reference took the longest for the first one."""
    nodes = nodes_of(profile(1))
    now_s, lasted_s = float(NOW_S), []
    for _ in range(10):
        nodes.report_fault(X, Fault.INVALID_BLOCK, now_s=now_s)
        lasted_s.append(over_s(nodes) - now_s)
        now_s = over_s(nodes) + 1
        nodes._conducts[X].faults.clear()
        nodes.hear(profile(1, time_s=int(now_s)), Y, now_s=now_s)
        assert nodes.disposition(X) is AVAILABLE
    expected = [min(600.0 * 2**times, 86_400.0) for times in range(10)]
    assert lasted_s == expected


# -- who is heard at all ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        (profile(1, time_s=NOW_S + 61), Heard.FUTURE),
        (profile(1, time_s=NOW_S + 60), Heard.NEW),
        (profile(1, time_s=NOW_S - 600), Heard.STALE),
        (profile(1, time_s=NOW_S - 599), Heard.NEW),
        (profile(1, ip="127.0.0.1"), Heard.ADDRESS_USELESS),
        (profile(1, ip="10.0.0.1"), Heard.ADDRESS_USELESS),
        (profile(1000), Heard.OWN),
    ],
)
def test_a_profile_of_no_use_is_refused(said: Profile, heard: Heard) -> None:
    nodes = nodes_of()
    assert nodes.hear(said, Y, now_s=NOW_S) is heard
    assert (X in nodes.known) is (heard is Heard.NEW)


def test_private_addresses_are_taken_where_that_is_set() -> None:
    nodes = nodes_of(rules=replace(RULES, private_addresses=True))
    assert nodes.hear(profile(1, ip="127.0.0.1"), Y, now_s=NOW_S) is Heard.NEW


def test_a_known_node_that_moves_to_a_useless_address_is_not_followed() -> None:
    nodes = nodes_of(profile(1))
    moved = profile(1, time_s=NOW_S + 1, ip="10.0.0.1")
    assert nodes.hear(moved, X, now_s=NOW_S + 1) is Heard.ADDRESS_USELESS
    assert nodes.known.profiles[X].time_s == NOW_S
    assert nodes.hear(profile(1, time_s=NOW_S + 2), X, now_s=NOW_S + 2) is Heard.RENEWED


def test_a_ban_stands_until_it_is_taken_back() -> None:
    nodes = nodes_of(profile(1))
    nodes.ban(X, "it is us who know why", now_s=NOW_S)
    assert list(nodes) == []
    assert nodes.hear(profile(1, time_s=NOW_S + 1), Y, now_s=NOW_S + 1) is Heard.BANNED
    assert nodes.unban(X)
    assert not nodes.unban(X)
    assert nodes.hear(profile(1, time_s=NOW_S + 1), Y, now_s=NOW_S + 1) is Heard.NEW


def test_whom_the_operator_named_is_never_put_aside() -> None:
    known = known_of()
    nodes = Nodes(OWN, known, RULES, whitelist=lambda each: each.node == X)
    nodes.hear(profile(1), X, now_s=NOW_S)
    nodes.met(X, now_s=NOW_S)
    for _ in range(20):
        assert nodes.report_failure(X, now_s=NOW_S) is AVAILABLE
        assert nodes.report_fault(X, Fault.INVALID_BLOCK, now_s=NOW_S) is AVAILABLE
    nodes.sweep(now_s=NOW_S + 100_000)
    assert nodes.disposition(X) is AVAILABLE


def test_no_more_are_put_aside_than_there_is_room_for() -> None:
    nodes = nodes_of(*map(profile, range(5)), rules=replace(RULES, quarantined_max=2))
    for number in range(5):
        nodes.report_fault(node_id(number), Fault.INVALID_BLOCK, now_s=NOW_S + number)
    assert set(nodes.quarantined) == {node_id(3), node_id(4)}
    assert set(nodes) == {node_id(3), node_id(4)}


def test_a_crowd_makes_room_for_its_own() -> None:
    """However many of one network are put aside, others stay so."""
    crowd = [profile(number, ip=f"20.1.1.{number}") for number in range(10, 15)]
    rules = replace(RULES, quarantined_max=3)
    nodes = nodes_of(profile(1), *crowd, rules=rules)
    for late_s, each in enumerate([profile(1), *crowd]):
        nodes.report_fault(each.node, Fault.INVALID_BLOCK, now_s=NOW_S + late_s)
    assert set(nodes.quarantined) == {X, crowd[-2].node, crowd[-1].node}


def test_bans_are_bounded() -> None:
    nodes = nodes_of()
    for number in range(BANS_MAX):
        nodes.ban(node_id(number), "test", now_s=NOW_S)
    nodes.ban(node_id(0), "once more", now_s=NOW_S)
    with pytest.raises(InputInvalid, match="filter"):
        nodes.ban(node_id(BANS_MAX), "test", now_s=NOW_S)
    assert nodes.unban(node_id(5))
    nodes.ban(node_id(BANS_MAX), "test", now_s=NOW_S)


def test_reports_on_strangers_leave_nothing_behind() -> None:
    nodes = nodes_of()
    assert nodes.report_fault(X, Fault.FLOOD, now_s=NOW_S) is FORGOTTEN
    assert nodes.report_failure(X, now_s=NOW_S) is FORGOTTEN
    nodes.met(X, now_s=NOW_S)
    assert nodes.conduct(X) is None


def test_what_makes_room_is_forgotten_with_all_that_was_seen_of_it() -> None:
    nodes = nodes_of(profile(1), limits=KnownLimits(nodes_max=1))
    nodes.hear(profile(2, time_s=NOW_S + 61), Y, now_s=NOW_S + 61)
    assert set(nodes) == {Y}
    assert nodes.conduct(X) is None


def test_a_guest_is_judged_and_gone_with_its_link() -> None:
    nodes = nodes_of()
    guest = node_id(7)
    nodes.welcome(guest, now_s=NOW_S)
    assert guest in nodes.guests
    assert nodes.disposition(guest) is Disposition.AVAILABLE
    assert guest not in set(nodes)  # nobody is told of it
    nodes.left(guest)
    assert guest not in nodes.guests
    assert nodes.conduct(guest) is None
    nodes.welcome(guest, now_s=NOW_S)
    assert nodes.report_fault(guest, Fault.INVALID_BLOCK, now_s=NOW_S) is Disposition.QUARANTINED
    assert guest not in nodes.guests
    nodes.welcome(guest, now_s=NOW_S)
    assert guest not in nodes.guests
    nodes.left(guest)
    assert nodes.disposition(guest) is Disposition.QUARANTINED
    assert nodes.conduct(guest) is not None


def test_a_guest_whose_address_is_of_no_use_is_known_by_what_it_says() -> None:
    nodes = nodes_of()
    said = profile(7, ip="127.0.0.1")
    nodes.welcome(said.node, now_s=NOW_S)
    assert nodes.hear(said, said.node, now_s=NOW_S) is Heard.ADDRESS_USELESS
    assert nodes.guests[said.node] == said
    assert nodes.profile(said.node) == said
    older = profile(7, ip="127.0.0.1", time_s=NOW_S - 1, interests=())
    nodes.hear(older, said.node, now_s=NOW_S)
    assert nodes.guests[said.node] == said
    nodes.hear(profile(8, ip="127.0.0.1"), said.node, now_s=NOW_S)
    assert node_id(8) not in nodes.guests


def test_a_guest_that_says_where_it_is_is_one_no_more() -> None:
    nodes = nodes_of()
    nodes.welcome(node_id(7), now_s=NOW_S)
    assert nodes.hear(profile(7), node_id(7), now_s=NOW_S) is Heard.NEW
    assert node_id(7) not in nodes.guests
    assert node_id(7) in nodes.known
    nodes.welcome(node_id(7), now_s=NOW_S)
    assert node_id(7) not in nodes.guests


def test_a_linked_node_that_loses_its_place_stays_as_a_guest() -> None:
    nodes = nodes_of()
    nodes.hear(profile(7), node_id(7), now_s=NOW_S)
    nodes.report_fault(node_id(7), Fault.UNASKED, now_s=NOW_S)
    nodes.dropped(node_id(7), is_linked=True)
    assert node_id(7) in nodes.guests
    conduct = nodes.conduct(node_id(7))
    assert conduct is not None
    assert conduct.faults
    nodes.ban(node_id(7), "test", now_s=NOW_S)
    assert node_id(7) not in nodes.guests


def test_nodes_without_tls_are_of_no_use_where_they_are_not_wanted() -> None:
    nodes = nodes_of(rules=PolicyRules(plain_nodes=False))
    assert nodes.hear(profile(7), node_id(7), now_s=NOW_S) is Heard.ADDRESS_USELESS
    secured = replace(profile(7), certificate=b"c" * 32)
    assert nodes.hear(secured, node_id(7), now_s=NOW_S) is Heard.NEW
