"""What an operator sees of several beacon nodes, in numbers."""

import asyncio

from tests.ethereum.beacon_nodes.scripted_nodes import World, data, run

from tetrarch.ethereum.beacon_nodes.meters import BeaconNodesMeters
from tetrarch.observability.metrics import Metrics


def test_metrics_tell_conditions_votes_and_fallbacks() -> None:
    metrics = Metrics()

    async def scenario(world: World) -> None:
        world.watch()
        world["a"].answers["attestation_data"] = data("lie")
        world["a"].delay_s = 0.001
        await world.attestation()
        world["c"].down = True
        await asyncio.sleep(30)

    run(scenario, fallbacks="f", observer=BeaconNodesMeters(metrics))
    sample = metrics.registry.get_sample_value

    def value(name: str, **labels: str) -> float | None:
        return sample(f"tetrarch_beacon_node_{name}", labels)

    assert value("using_fallback") == 0
    assert value("condition", beacon_node="c", condition="down") == 1
    assert value("condition", beacon_node="c", condition="healthy") == 0
    assert value("condition", beacon_node="b", condition="healthy") == 1
    assert value("votes_total", basis="majority") == 1
    lost = {"beacon_node": "a", "request": "attestation_data", "reason": "outvoted"}
    assert value("outvoted_total", **lost) == 1
    score_a, score_b = (value("score", beacon_node=name) for name in "ab")
    assert score_a is not None
    assert score_b is not None
    assert 0 < score_a < score_b < 1
    asked = {"beacon_node": "b", "request": "syncing"}
    assert value("requests_total", **asked, outcome="ok") == 5
    assert value("requests_total", **asked, outcome="overdue") == 1, "cut off at the end"
    assert value("request_seconds_count", **asked) == 6
    assert value("sync_distance_slots", beacon_node="b") == 0
    failed = {"beacon_node": "c", "request": "syncing", "outcome": "beacon_node_unreachable"}
    assert (value("requests_total", **failed) or 0) >= 3
