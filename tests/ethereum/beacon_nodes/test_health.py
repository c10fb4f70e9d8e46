"""Health changes with hysteresis; an open circuit lets single probes pass, ever more rarely."""

from hypothesis import given
from hypothesis import strategies as st

from tetrarch.ethereum.beacon_nodes.health import (
    Circuit,
    Condition,
    Event,
    Failed,
    Health,
    HealthRules,
    ProbeAbandoned,
    ProbeStarted,
    Reported,
    Succeeded,
)

RULES = HealthRules()
GOOD, BEHIND = Reported(sync_distance=0), Reported(sync_distance=40, is_syncing=True)


def after(*events: Event, health: Health | None = None, at_s: float = 0.0) -> Health:
    health = health or Health()
    for event in events:
        health = health.step(event, at_s, RULES)
    return health


def test_takes_several_failures_in_a_row_to_be_down() -> None:
    assert after(Failed(), Failed()).condition is Condition.HEALTHY
    assert after(Failed(), Failed(), Succeeded(), Failed(), Failed()).condition is Condition.HEALTHY
    assert after(Failed(), Failed(), Failed()).condition is Condition.DOWN


def test_takes_several_successes_in_a_row_to_be_up_again() -> None:
    down = after(Failed(), Failed(), Failed(), at_s=10)
    once = after(ProbeStarted(), Succeeded(), health=down, at_s=11)
    assert once.condition is Condition.DOWN
    assert once.circuit is Circuit.HALF_OPEN
    assert after(Succeeded(), health=once, at_s=11).condition is Condition.HEALTHY
    assert after(Failed(), health=once, at_s=11).circuit is Circuit.OPEN


def test_open_circuit_lets_one_probe_pass_when_its_time_has_come() -> None:
    down = after(Failed(), Failed(), Failed(), at_s=10)
    assert not down.may_probe(10.9)
    assert down.may_probe(11)
    probing = after(ProbeStarted(), health=down, at_s=11)
    assert not probing.may_probe(99)
    assert after(ProbeAbandoned(), health=probing).may_probe(11)
    assert not Health().may_probe(99), "nothing to probe"


def test_backoff_doubles_to_its_maximum_and_starts_anew_once_up() -> None:
    health = after(Failed(), Failed(), Failed())
    waits = []
    for _ in range(9):
        waits.append(health.retry_at_s)
        health = after(ProbeStarted(), Failed(), health=health)
    assert waits == [1, 2, 4, 8, 10, 10, 10, 10, 10]
    up = after(ProbeStarted(), Succeeded(), Succeeded(), health=health)
    assert after(Failed(), Failed(), Failed(), health=up).retry_at_s == 1


def test_lagging_node_is_degraded_until_it_reported_well_twice() -> None:
    for lagging in (
        BEHIND,
        Reported(sync_distance=3),
        Reported(sync_distance=0, is_optimistic=True),
        Reported(sync_distance=0, el_offline=True),
    ):
        degraded = after(lagging)
        assert degraded.condition is Condition.DEGRADED
        assert after(GOOD, health=degraded).condition is Condition.DEGRADED
        assert after(GOOD, BEHIND, GOOD, health=degraded).condition is Condition.DEGRADED
        assert after(GOOD, GOOD, health=degraded).condition is Condition.HEALTHY
    assert after(Reported(sync_distance=2)).condition is Condition.HEALTHY


def test_node_that_lagged_when_it_went_down_is_still_degraded_when_up() -> None:
    down = after(BEHIND, Failed(), Failed(), Failed())
    assert down.condition is Condition.DOWN
    up = after(ProbeStarted(), Succeeded(), Succeeded(), health=down)
    assert up.condition is Condition.DEGRADED


def test_late_answer_to_an_old_request_does_not_move_an_open_circuit() -> None:
    down = after(Failed(), Failed(), Failed())
    assert after(Failed(), health=down, at_s=50) == down


events = st.sampled_from([Succeeded(), Failed(), ProbeStarted(), ProbeAbandoned(), GOOD, BEHIND])


@given(st.lists(st.tuples(events, st.floats(0, 100)), max_size=60))
def test_always_in_a_known_state_from_which_it_recovers(steps: list[tuple[Event, float]]) -> None:
    health, now_s = Health(), 0.0
    for event, passed_s in steps:
        now_s += passed_s
        health = health.step(event, now_s, RULES)
        assert health.retry_at_s <= now_s + RULES.backoff_max_s
        assert health.probing <= (health.circuit is Circuit.HALF_OPEN)
    now_s = max(now_s, health.retry_at_s)
    health = after(ProbeAbandoned(), health=health)
    for _ in range(3):
        if health.may_probe(now_s):
            health = after(ProbeStarted(), health=health, at_s=now_s)
        health = after(Succeeded(), GOOD, health=health, at_s=now_s)
    assert health.condition is Condition.HEALTHY
