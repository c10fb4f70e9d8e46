"""What an operator sees of several beacon nodes, in numbers."""

import asyncio

from tests.ethereum.beacon_nodes.scripted_nodes import SLOT, World, data, run

from tetrarch.ethereum.beacon_nodes.meters import BeaconNodesMeters
from tetrarch.observability.metrics import Metrics


def test_metrics_tell_how_late_each_node_heard_of_heads_and_how_deep_reorgs_were() -> None:
    metrics = Metrics()
    roots = {
        "previous_duty_dependent_root": "0x" + "11" * 32,
        "current_duty_dependent_root": "0x" + "22" * 32,
    }

    async def scenario(world: World) -> None:
        world.watch()
        api_stream = world.several.events(("head",))
        waiting = asyncio.create_task(anext(api_stream))  # a client's own: not counted again
        await asyncio.sleep(3)
        for name in "ab":
            world[name].tell("head", slot=str(SLOT), block="0x01", **roots)
            await asyncio.sleep(4)
        world["c"].tell("head", slot=str(SLOT + 9), block="0x02", **roots)  # has not begun
        world["c"].tell("head", slot="x", block="0x03")
        reorg = {"old_head_block": "0x01", "new_head_block": "0x04"}
        world["b"].tell("chain_reorg", slot=str(SLOT), depth="3", **reorg)
        world["b"].tell("chain_reorg", slot=str(SLOT), depth="x", **reorg)
        await asyncio.sleep(1)
        await waiting
        await api_stream.aclose()

    run(scenario, observer=BeaconNodesMeters(metrics))

    def value(name: str, node: str, **labels: str) -> float | None:
        full_name = f"app_beacon_node_sse_{name}"
        return metrics.registry.get_sample_value(full_name, {"addr": node, **labels})

    assert [value("head_slot", node) for node in "abc"] == [SLOT, SLOT, None]
    assert [value("head_delay_count", node) for node in "ab"] == [1, 1]
    assert [value("head_delay_bucket", node, le="4.0") for node in "ab"] == [1, 0]
    assert value("head_delay_bucket", "b", le="8.0") == 1
    assert (value("chain_reorg_depth_count", "b"), value("chain_reorg_depth_sum", "b")) == (1, 3)


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
