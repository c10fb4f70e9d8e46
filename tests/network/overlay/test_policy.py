"""When a profile is of use, when a node is put aside, and for how long."""

from dataclasses import replace

import pytest
from tests.network.overlay.support import NOW_S, profile

from tetrarch.network.conduct import UNREACHABLE, Conduct, Fault, Tip
from tetrarch.network.overlay.policy import PolicyRules
from tetrarch.network.overlay.profile import Topic

RULES = PolicyRules()


def test_profiles_are_believed_for_ten_minutes_and_a_minute_ahead() -> None:
    for late_s, is_stale in ((-600, True), (-599, False), (0, False), (61, False)):
        assert RULES.is_stale(profile(1, time_s=NOW_S + late_s), NOW_S) is is_stale
    assert RULES.is_ahead(profile(1, time_s=NOW_S + 61), NOW_S)
    assert not RULES.is_ahead(profile(1, time_s=NOW_S + 60), NOW_S)


def test_of_use_is_what_others_can_dial() -> None:
    public, private = profile(1), profile(1, ip="10.0.0.1")
    assert RULES.has_use(public)
    assert not RULES.has_use(private)
    assert replace(RULES, private_addresses=True).has_use(private)
    with_tls_only = replace(RULES, plain_nodes=False)
    assert not with_tls_only.has_use(public)
    assert with_tls_only.has_use(replace(public, certificate=b"c" * 32))


def test_failures_in_a_row_are_a_verdict() -> None:
    conduct = Conduct[Topic](NOW_S)
    verdicts = []
    for _ in range(2):
        conduct.failed(NOW_S)
        verdicts.append(RULES.verdict(conduct, now_s=NOW_S, own_height=None))
    assert verdicts == [None, UNREACHABLE]
    conduct.answered(NOW_S)
    assert RULES.verdict(conduct, now_s=NOW_S, own_height=None) is None


def test_too_few_points_are_a_verdict() -> None:
    conduct = Conduct[Topic](NOW_S)
    for _ in range(2):
        conduct.broke(Fault.FLOOD, NOW_S)
    assert not RULES.is_bad(conduct, now_s=NOW_S)
    conduct.broke(Fault.UNASKED, NOW_S)
    assert RULES.is_bad(conduct, now_s=NOW_S), "exactly so few"
    assert RULES.verdict(conduct, now_s=NOW_S, own_height=None) == "score"
    assert RULES.verdict(conduct, now_s=NOW_S + 60, own_height=None) is None, "it fades"
    conduct.tip = Tip(b"t" * 32, 0, NOW_S)
    assert RULES.verdict(conduct, now_s=NOW_S + 60, own_height=100) == "score", "it is behind"


@pytest.mark.parametrize(
    ("times", "for_s"), [(0, 600), (1, 1200), (7, 76_800), (8, 86_400), (10_000, 86_400)]
)
def test_each_quarantine_takes_twice_as_long_up_to_a_day(times: int, for_s: float) -> None:
    assert RULES.quarantine_for_s(times) == for_s
