"""No term has two leaders, whatever hosts do; and what would happen without each guard.

The controls show that the adversary finds conflicts where there are some to be found.
"""

import os
from collections.abc import Iterable

import pytest

from tetrarch.election.counting import Counting
from tetrarch.election.quorums import Mode
from tetrarch.sim.election_adversary import play
from tetrarch.sim.election_knobs import Knobs, Outcome

FOUR = Knobs()
SEVEN = Knobs(count=7, liars=2)
THREE = Knobs(count=3, mode=Mode.CRASH, liars=0)
# One member run twice counts as one that lies; so does one that is set back in a cold start.
SAFE = {
    "4, one liar": FOUR,
    "4, one liar, any rollback": Knobs(rollbacks=True),
    "7, two liars, any rollback": Knobs(count=7, liars=2, rollbacks=True),
    "3 that crash, any rollback": Knobs(count=3, mode=Mode.CRASH, liars=0, rollbacks=True),
    "4, a copy of one, any rollback": Knobs(liars=0, copies=1, rollbacks=True),
    "7, one liar and a copy, any rollback": Knobs(count=7, liars=1, copies=1, rollbacks=True),
    "4, one liar, leases, any rollback": Knobs(leases=True, rollbacks=True),
    "7, two liars, leases": Knobs(count=7, liars=2, leases=True),
    "4, one liar, counters, any rollback": Knobs(counters=4, rollbacks=True),
    "4, one liar, counters, a change of members": Knobs(counters=4, rollbacks=True, changes=True),
    "4, one liar, some counters, leases": Knobs(counters=2, leases=True, rollbacks=True),
    "4, one liar, counters, copies of all": Knobs(counters=4, copies=3, rollbacks=True),
    "4, cold starts, one set back": Knobs(liars=0, cold_starts=True, stale_max=1),
    "4, one liar, a change of members, any rollback": Knobs(changes=True, rollbacks=True),
    "7, two liars, a change of members, any rollback": Knobs(
        count=7, liars=2, changes=True, rollbacks=True
    ),
    "4, one liar, leases, a change of members": Knobs(
        leases=True, changes=True, rollbacks=True, steps=360
    ),
    "4, a copy of one, a change of members": Knobs(liars=0, copies=1, changes=True, rollbacks=True),
}
UNSAFE = {
    "4, no guard": Knobs(rollbacks=True, guarded=False),
    "7, no guard": Knobs(count=7, liars=2, rollbacks=True, guarded=False),
    "4, one answer fewer": Knobs(rollbacks=True, answers_fewer=1),
    "7, one answer fewer": Knobs(count=7, liars=2, rollbacks=True, answers_fewer=1),
    "4, two liars": Knobs(liars=2),
    "3 that crash, one of them lies": Knobs(count=3, mode=Mode.CRASH, liars=1),
    "4, cold starts, any rollback": Knobs(cold_starts=True, rollbacks=True),
    "4, a change that nobody keeps": Knobs(changes=True, rollbacks=True, stops_durably=False),
    "4, two liars, a change": Knobs(liars=2, changes=True),
}
FAST = 1_000 // len(SAFE) + 1
CONTROL_MAX = 2_000


def check(knobs: Knobs, seeds: Iterable[int]) -> list[Outcome]:
    outcomes = []
    for seed in seeds:
        outcome = play(seed, knobs)
        assert outcome.conflicts == (), f"seed {seed}: two leaders in {outcome.conflicts}"
        assert outcome.leases_broken == 0, f"seed {seed}: a lease was broken"
        assert outcome.successions <= 1, f"seed {seed}: two successors"
        outcomes.append(outcome)
    return outcomes


@pytest.mark.parametrize("name", SAFE)
def test_no_term_has_two_leaders(name: str) -> None:
    outcomes = check(SAFE[name], range(FAST))
    # Else the adversary only stopped everything.
    fewest = len(outcomes) / (8 if SAFE[name].changes else 4)  # who hands over elects no more
    assert sum(each.terms_certified for each in outcomes) > fewest
    assert sum(each.recoveries for each in outcomes) > len(outcomes) / 8
    if SAFE[name].changes:
        assert sum(each.successions for each in outcomes) > len(outcomes) / 8
        assert sum(each.terms_after for each in outcomes) > len(outcomes) / 20
    if SAFE[name].leases:
        assert sum(each.leases_held for each in outcomes) > len(outcomes) / 10


@pytest.mark.parametrize(
    "seed",
    [
        # A later life of who had handed over granted the former leader a lease.
        10_351,
        # A successor's member restarted before it had voted, and began below the handover.
        2_005_408,
    ],
)
def test_schedules_that_once_broke_it(seed: int) -> None:
    check(Knobs(leases=True, changes=True, rollbacks=True, steps=240), [seed])


@pytest.mark.integration
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("name", SAFE)
def test_no_term_has_two_leaders_on_more_seeds(name: str) -> None:
    check(SAFE[name], range(10_000, 10_000 + 10_000 // len(SAFE) + 1))


@pytest.mark.soak
@pytest.mark.parametrize("name", SAFE)
def test_no_term_has_two_leaders_for_hours(name: str) -> None:
    count = int(os.environ.get("SIM_ELECTIONS", "200000")) // len(SAFE) + 1
    check(SAFE[name], range(1_000_000, 1_000_000 + count))


@pytest.mark.parametrize("name", UNSAFE)
def test_conflict_is_found_where_a_guard_is_missing(name: str) -> None:
    for seed in range(CONTROL_MAX):
        if play(seed, UNSAFE[name]).conflicts:
            return
    pytest.fail(f"no conflict in {CONTROL_MAX} schedules")


def test_conflict_is_found_where_every_state_passes_for_the_newest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = Counting.is_newest

    def believes(self: Counting) -> bool:
        return whole(self) or True

    monkeypatch.setattr(Counting, "is_newest", believes)
    knobs = SAFE["4, one liar, counters, any rollback"]
    assert any(play(seed, knobs).conflicts for seed in range(CONTROL_MAX))


def test_members_with_counters_ask_nobody_when_all_were_down() -> None:
    outcomes = [play(seed, Knobs(counters=4)) for seed in range(FAST)]
    assert sum(each.recoveries for each in outcomes) == 0
    assert sum(each.terms_certified for each in outcomes) > len(outcomes)


def test_one_seed_is_one_schedule() -> None:
    assert play(5, FOUR) == play(5, FOUR)
    assert [play(seed, SEVEN) for seed in range(3)] == [play(seed, SEVEN) for seed in range(3)]
