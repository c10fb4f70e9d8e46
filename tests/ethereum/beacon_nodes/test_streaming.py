"""Events come once, whatever happens to single streams."""

import asyncio

import pytest
from tests.ethereum.beacon_nodes.scripted_nodes import (
    World,
    run,
)


def test_events_come_once_from_whoever_tells_first_and_survive_a_lost_stream() -> None:
    async def scenario(world: World) -> None:
        got = []
        stream = world.several.events(("block",))
        world["a"].tell("block", slot="808", block="0x01", execution_optimistic=True)
        world["b"].tell("block", slot="808", block="0x01", execution_optimistic=False)
        world["c"].tell("block", slot="809", block="0x02")  # has not begun
        got.append(await anext(stream))
        world["a"].end_events()
        world["b"].tell("block", slot="808", block="0x03")
        got.append(await anext(stream))
        await asyncio.sleep(2)
        world["a"].tell("block", slot="808", block="0x04")
        got.append(await anext(stream))
        await stream.aclose()
        assert [event.data["block"] for event in got] == ["0x01", "0x03", "0x04"]
        assert world["a"].asked.count("events") == 2

    run(scenario)


def test_head_of_one_node_alone_hurries_nobody() -> None:
    async def scenario(world: World) -> None:
        stream = world.several.events(("head",))
        world["a"].tell("head", slot="808", block="0xbad")
        for name in "bc":
            world[name].tell("head", slot="808", block="0x01")
        assert (await anext(stream)).data["block"] == "0x01"
        world["b"].tell("head", slot="808", block="0xbad")
        assert (await anext(stream)).data["block"] == "0xbad", "two say so"
        await stream.aclose()

    run(scenario)


def test_head_of_the_only_healthy_node_is_told_at_once() -> None:
    async def scenario(world: World) -> None:
        world.watch()
        world["b"].down = world["c"].down = True
        await asyncio.sleep(30)
        stream = world.several.events(("head",))
        world["a"].tell("head", slot="809", block="0x01")
        async with asyncio.timeout(1):
            assert (await anext(stream)).data["block"] == "0x01"
        await stream.aclose()

    run(scenario)


def test_silent_stream_of_heads_is_opened_again() -> None:
    async def scenario(world: World) -> None:
        stream = world.several.events(("head",))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(200):
                await anext(stream)
        await stream.aclose()
        assert world["a"].asked.count("events") == 3

    run(scenario, primaries="a")


def test_fallbacks_are_listened_to_only_while_they_stand_in() -> None:
    async def scenario(world: World) -> None:
        world.watch()
        stream = world.several.events(("head",))
        world["a"].tell("head", slot="808", block="0x01")
        await anext(stream)
        await asyncio.sleep(3)
        assert "events" not in world["f"].asked
        world["a"].down = True
        world["f"].tell("head", slot="809", block="0x02")
        await asyncio.sleep(30)
        async with asyncio.timeout(1):
            assert (await anext(stream)).data["block"] == "0x02"
        await stream.aclose()

    run(scenario, primaries="a", fallbacks="f")
