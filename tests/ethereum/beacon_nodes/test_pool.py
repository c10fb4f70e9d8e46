"""Bad nodes are left alone and come back; fallbacks stand in; reads do not wait for a slow node."""

import asyncio

import pytest
from tests.ethereum.beacon_nodes.scripted_nodes import (
    GENESIS,
    HONEST,
    SLOT,
    SYNCED,
    SYNCING,
    World,
    data,
    refusal,
    root,
    run,
)

from tetrarch.ethereum.beacon_node.errors import (
    BeaconNodeRefused,
    BeaconNodeUnreachable,
)
from tetrarch.ethereum.beacon_node.ports import (
    Genesis,
)
from tetrarch.ethereum.spec.values import Fork


def test_fallbacks_stand_in_while_no_primary_is_healthy_and_no_longer() -> None:
    async def scenario(world: World) -> None:
        world.watch()
        await world.attestation()
        assert "attestation_data" not in world["f"].asked
        world["a"].down = world["b"].down = True
        assert await world.attestation() == HONEST, "within the same call"
        await asyncio.sleep(30)
        assert world.notes.fallback[-1] is True
        assert set(world.several.conditions.values()) == {"down", "healthy"}
        world["a"].asked.clear()
        assert await world.attestation(SLOT + 2) == data(slot=SLOT + 2)
        assert world["a"].asked == [], "its circuit is open"
        world["a"].down = world["b"].down = False
        await asyncio.sleep(70)
        world["f"].asked.clear()
        await world.attestation(SLOT + 8)
        assert "attestation_data" not in world["f"].asked
        assert world.notes.fallback == [False, True, False]

    run(scenario, primaries="ab", fallbacks="f")


def test_down_node_is_probed_ever_more_rarely_but_every_ten_seconds() -> None:
    async def scenario(world: World) -> None:
        world.watch()
        world["c"].down = True
        await asyncio.sleep(300)
        assert 30 < world["c"].asked.count("syncing") < 40, "every 10 s at last"
        assert world["a"].asked.count("syncing") >= 45

    run(scenario)


def test_syncing_node_does_not_vote() -> None:
    async def scenario(world: World) -> None:
        world.watch()
        world["a"].answers["syncing"] = SYNCING
        await asyncio.sleep(7)
        assert world.several.conditions == {"a": "degraded", "b": "healthy", "c": "healthy"}
        await world.attestation()
        assert "attestation_data" not in world["a"].asked
        world["a"].answers["syncing"] = SYNCED
        await asyncio.sleep(14)
        assert world.several.conditions["a"] == "healthy"

    run(scenario)


def test_all_degraded_nodes_are_still_asked() -> None:
    async def scenario(world: World) -> None:
        world.watch()
        for name in "abc":
            world[name].answers["syncing"] = SYNCING
        await asyncio.sleep(7)
        assert await world.attestation() == HONEST

    run(scenario)


def test_all_nodes_down_are_still_tried() -> None:
    async def scenario(world: World) -> None:
        world.watch()
        for name in "abc":
            world[name].down = True
        await asyncio.sleep(60)
        assert set(world.several.conditions.values()) == {"down"}
        for name in "abc":
            world[name].down = False
        assert (await world.attestation(SLOT + 5)).slot == SLOT + 5

    run(scenario)


def test_node_of_another_chain_is_left_out_and_comes_back_when_it_mends() -> None:
    other = Genesis(time_s=GENESIS.time_s, validators_root=root("other"), fork_version=bytes(4))

    async def scenario(world: World) -> None:
        world["c"].answers["genesis"] = other
        world["c"].delays_s["genesis"] = 0.5
        world.several = type(world.several)(
            [world[name].port for name in "abc"],
            clock=world.several._clock,
            spawner=world.supervisor,
            log=world.notes,
            observer=world.notes,
        )
        await world.several.chain_spec()
        world.watch()
        await asyncio.sleep(10)
        (line,) = world.notes.events("beacon_node_on_another_chain")
        assert line["beacon_node"] == "c"
        world["c"].asked.clear()
        await world.attestation()
        assert "attestation_data" not in world["c"].asked
        world["c"].answers["genesis"] = GENESIS
        await asyncio.sleep(10)
        await world.attestation(SLOT + 1)
        assert "attestation_data" in world["c"].asked

    run(scenario)


def test_without_any_node_on_our_chain_calls_fail_as_unreachable() -> None:
    other = Genesis(time_s=GENESIS.time_s, validators_root=root("other"), fork_version=bytes(4))

    async def scenario(world: World) -> None:
        world.several._identity._verified.clear()
        world["a"].answers["genesis"] = other
        world.watch()
        await asyncio.sleep(1)
        with pytest.raises(BeaconNodeUnreachable):
            await world.attestation()
        with pytest.raises(BeaconNodeUnreachable):
            await world.several.node_version()
        with pytest.raises(BeaconNodeUnreachable):
            await world.several.submit_attestations(Fork.ELECTRA, ())

    run(scenario, primaries="a")


def test_silent_node_is_down() -> None:
    async def scenario(world: World) -> None:
        world["c"].delay_s = 1e6
        world.watch()
        await asyncio.sleep(60)
        assert world.several.conditions["c"] == "down"
        assert await world.attestation(SLOT + 4) == data(slot=SLOT + 4)

    run(scenario)


def test_slow_read_is_hedged_and_a_failed_one_goes_to_the_next_at_once() -> None:
    async def scenario(world: World) -> None:
        for name in "abc":
            world[name].answers["node_version"] = name
        world["a"].delay_s = 5
        started_s = world.now_s
        assert await world.several.node_version() == "b"
        assert world.now_s - started_s == pytest.approx(0.31, abs=0.01)
        world["a"].delay_s, world["a"].down = 0.01, True
        assert await world.several.node_version() == "b"
        assert world.now_s - started_s < 0.4
        assert world["c"].asked == []

    run(scenario)


@pytest.mark.parametrize("lie", [root("lie"), None])
def test_what_most_nodes_see_on_chain_is_true(lie: bytes | None) -> None:
    async def scenario(world: World) -> None:
        world["a"].delay_s = 0.001
        for name, told in zip("abc", (lie, root("b"), root("b")), strict=True):
            world[name].answers["block_root"] = told
        assert await world.several.block_root(SLOT) == root("b")
        for name in "abc":
            world[name].answers["block_root"] = None
        assert await world.several.block_root(SLOT) is None
        assert world.notes.events("beacon_nodes_disagreed")[0]["others"] == ["a"]
        assert not [line for line in world.notes.lines if line[0] == "warning"]

    run(scenario)


def test_read_that_every_node_refuses_raises_the_refusal_without_asking_fallbacks() -> None:
    async def scenario(world: World) -> None:
        for name in "ab":
            world[name].answers["node_version"] = refusal(404)
        with pytest.raises(BeaconNodeRefused):
            await world.several.node_version()
        assert world["f"].asked == []

    run(scenario, primaries="ab", fallbacks="f")
