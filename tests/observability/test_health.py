"""Every health check fires when its trouble is there, and clears when it is gone."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from tests.duties.duty_world import RecordingLog

from tetrarch.observability.health import (
    CHECKS,
    LOOKED_AT,
    MEMORY,
    MEMORY_WARM_UP_S,
    SAMPLE_S,
    WINDOW_S,
    Labels,
)
from tetrarch.observability.health_watch import HealthWatch
from tetrarch.observability.metrics import Metrics

TIMER = ("protocol", "attester", "timer")


@dataclass
class World:
    metrics: Metrics = field(default_factory=Metrics)
    log: RecordingLog = field(default_factory=RecordingLog)
    now_s: float = 0.0
    memory: float = 0.0

    def __post_init__(self) -> None:
        self.watch = HealthWatch(self.metrics, validators=4, peers_needed=2, log=self.log)
        gauge = self.metrics.gauge
        gauge("app_monitoring_readyz").set(1)
        gauge("core_scheduler_validators_active").set(4)
        for peer in ("node1", "node2", "node3"):
            gauge("p2p_ping_success").labels(peer).set(1)
        self.evaluate()

    def evaluate(self, step_s: float = SAMPLE_S) -> None:
        sample = self.watch._sample(self.now_s)
        if self.memory:
            memory: dict[Labels, float] = {(): self.memory}
            sample = replace(sample, values={**sample.values, MEMORY: memory})
        self.watch.evaluate(sample)
        self.now_s += step_s

    def wait(
        self, duration_s: float = WINDOW_S + 2 * SAMPLE_S, step_s: float = 5 * SAMPLE_S
    ) -> None:
        """Let nothing happen until the window has forgotten."""
        end_s = self.now_s + duration_s
        while self.now_s < end_s:
            self.evaluate(step_s)

    def failing(self) -> set[str]:
        view = self.watch.view({})
        named = {check["name"] for check in view["checks"] if check["failing"]}
        for check in CHECKS:
            labels = {
                "severity": check.severity.value,
                "name": check.name,
                "description": check.description,
            }
            shown = self.metrics.registry.get_sample_value("app_health_checks", labels)
            assert shown == (check.name in named)
        assert view["failing"] == len(named)
        return named


def gauge(
    name: str, wrong: float, right: float, *labels: str
) -> tuple[Callable[[World], None], ...]:
    def show(value: float) -> Callable[[World], None]:
        def act(world: World) -> None:
            found = world.metrics.gauge(name)
            (found.labels(*labels) if labels else found).set(value)

        return act

    return show(wrong), show(right)


def grown(name: str, *labels: str) -> tuple[Callable[[World], None], ...]:
    def act(world: World) -> None:
        counter = world.metrics.counter(name)
        (counter.labels(*labels) if labels else counter).inc()

    return act, lambda _world: None


def observed(
    name: str, value: float, *labels: str, times: int = 3
) -> tuple[Callable[[World], None], ...]:
    def act(world: World) -> None:
        histogram = world.metrics.histogram(name)
        for _ in range(times):
            (histogram.labels(*labels) if labels else histogram).observe(value)

    return act, lambda _world: None


def lonely(world: World) -> None:
    for peer in ("node1", "node2"):
        world.metrics.gauge("p2p_ping_success").labels(peer).set(0)
    world.wait()


def met(world: World) -> None:
    world.metrics.gauge("p2p_ping_success").labels("node1").set(1)


def crowd(world: World) -> None:
    for number in range(401):
        world.metrics.counter("core_scheduler_duty_total").labels(str(number)).inc()


def disperse(world: World) -> None:
    world.metrics.counter("core_scheduler_duty_total").clear()


def leak(world: World) -> None:
    world.memory = 100e6
    world.wait(MEMORY_WARM_UP_S, 900)
    for _ in range(48):
        world.wait(1800, 900)
        world.memory *= 1.003


def release(world: World) -> None:
    world.memory = 100e6
    world.wait(6 * 3600, 900)


TROUBLES = {
    "beacon_node_syncing": gauge("app_monitoring_readyz", 3, 1),
    "insufficient_connected_peers": (lonely, met),
    "local_proposal_fee_recipient_mismatch": gauge(
        "core_fetcher_proposal_local_mismatch_fee_recipient", 1, 0
    ),
    "pending_validators": gauge("core_scheduler_validators_active", 3, 4),
    "local_block_proposal": grown("core_bcast_broadcast_total", "proposer"),
    "metrics_high_cardinality": (crowd, disperse),
    "high_beacon_node_latency": observed("app_eth2_latency_seconds", 1.5, "attestation_data"),
    "high_beacon_node_proposal_latency": observed("app_eth2_latency_seconds", 2.5, "produce_block"),
    "using_fallback_beacon_nodes": gauge("app_eth2_using_fallback", 1, 0),
    "high_peer_clock_offset": gauge("app_peerinfo_clock_offset_seconds", -0.25, 0.1, "node2"),
    "high_peer_ping_latency": observed("p2p_ping_latency_secs", 0.2, "node2"),
    "insufficient_round_changes": grown(
        "core_consensus_insufficient_round_changes_total", *TIMER, "round_changed"
    ),
    "high_consensus_rounds": gauge("core_consensus_decided_rounds", 2, 1, *TIMER),
    "high_parsigdb_store_latency": observed("core_parsigdb_store", 2.5, "attester", "3"),
    "high_parsigdb_store_latency_proposer": observed("core_parsigdb_store", 3.5, "proposer", "3"),
    "high_registration_failures_rate": grown("core_scheduler_submit_registration_errors_total"),
    "sync_message_head_disagreement": grown(
        "core_tracker_inconsistent_parsigs_total", "sync_message"
    ),
    "failed_duties": grown("core_tracker_failed_duties_total", "attester"),
    "event_loop_blocked": observed("event_loop_busy_seconds", 0.03, times=60),
    "memory_leak": (leak, release),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_check_fires_and_clears(name: str) -> None:
    trouble, mend = TROUBLES[name]
    world = World()
    assert world.failing() == set()
    trouble(world)
    world.evaluate()
    assert world.failing() == {name}
    (told,) = [line for line in world.log.find("health_check_failing") if line["check"] == name]
    assert told["mend"]
    mend(world)
    world.wait()
    assert world.failing() == set()
    assert world.log.find("health_check_passing") == [{"check": name}]


def test_every_check_has_a_trouble_here() -> None:
    assert set(TROUBLES) == {check.name for check in CHECKS}


def test_slow_blocks_are_no_slow_beacon_node() -> None:
    world = World()
    observed("app_eth2_latency_seconds", 1.9, "produce_block")[0](world)
    world.evaluate()
    assert world.failing() == set()


def test_clock_that_is_ahead_counts_like_one_that_is_behind() -> None:
    world = World()
    gauge("app_peerinfo_clock_offset_seconds", 0.25, 0, "node2")[0](world)
    world.evaluate()
    assert world.failing() == {"high_peer_clock_offset"}


def test_memory_that_rises_and_falls_is_no_leak() -> None:
    world = World()
    world.memory = 100e6
    world.wait(MEMORY_WARM_UP_S, 900)
    for step in range(48):
        world.wait(1800, 900)
        world.memory = 100e6 * (1.5 if step % 8 < 4 else 1.0)
    assert world.failing() == set()


def test_what_the_checks_look_at_is_declared() -> None:
    declared = Metrics()
    names = {family.name for family in declared.registry.collect()}
    for name in LOOKED_AT - {MEMORY}:
        bare = name.removesuffix("_count").removesuffix("_sum").removesuffix("_bucket")
        assert bare.removesuffix("_total") in names, name
