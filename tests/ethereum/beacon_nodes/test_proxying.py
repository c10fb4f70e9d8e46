"""Requests are handed on once, but for those that change nothing or were never sent."""

import pytest
from tests.ethereum.beacon_nodes.scripted_nodes import (
    World,
    run,
    unreachable,
)

from tetrarch.ethereum.beacon_node.errors import (
    BeaconNodeUnreachable,
)
from tetrarch.ethereum.beacon_node.ports import (
    ProxyRequest,
)
from tetrarch.ethereum.beacon_nodes.settings import Settings


def proxied(method: str) -> ProxyRequest:
    return ProxyRequest(method=method, path="/eth/v1/node/version", headers={})


async def proxy_text(world: World, method: str) -> str:
    async with world.several.proxy(proxied(method)) as response:
        return b"".join([chunk async for chunk in response.chunks()]).decode()


def test_proxy_goes_to_the_next_node_only_if_nothing_can_have_been_done_twice() -> None:
    async def scenario(world: World) -> None:
        assert await proxy_text(world, "POST") == "a"
        world["a"].down = True
        assert await proxy_text(world, "POST") == "b", "never connected"
        world["a"].answers["proxy"] = unreachable("ServerDisconnectedError")
        with pytest.raises(BeaconNodeUnreachable):
            await proxy_text(world, "POST")
        world["b"].down = True
        world["b"].answers["proxy"] = unreachable("time out")

        assert await proxy_text(world, "GET") == "c"

    run(scenario, settings=Settings())


def test_proxy_without_any_node_raises() -> None:
    async def scenario(world: World) -> None:
        for name in "abc":
            world[name].down = True
        with pytest.raises(BeaconNodeUnreachable):
            await proxy_text(world, "GET")

    run(scenario)


def test_broken_node_answers_only_what_may_change_something_or_when_all_are() -> None:
    async def scenario(world: World) -> None:
        world["a"].answers["proxy_status"] = 500
        assert await proxy_text(world, "GET") == "b"
        assert await proxy_text(world, "POST") == "a"
        for name in "bc":
            world[name].answers["proxy_status"] = 503
        assert await proxy_text(world, "GET") in "abc"

    run(scenario)
