"""While the node is held nothing slashable is given or taken; all else goes on."""

from dataclasses import replace

from tests.validator_api.world import SLOT, World, run_world

from tetrarch.validator_api.holding import HELD_PATHS
from tetrarch.validator_api.routes import ROUTES

REASON = "1 of 2 needed peers have said what this node's share has signed"


def test_every_held_path_is_an_endpoint() -> None:
    assert {route.path for route in ROUTES} >= HELD_PATHS


def test_held_node_answers_503_with_the_reason_until_it_is_released() -> None:
    async def scenario(world: World) -> None:
        ports = world.api.ports
        world.api.ports = replace(ports, held_reason=lambda: REASON)
        for route in ROUTES:
            path = route.path.replace("{slot}", str(SLOT))
            if route.path in HELD_PATHS:
                got = await world.ask(route.method, path, headers={})
                assert (got.status, REASON.encode() in got.body) == (503, True), path
        assert (await world.get("/eth/v1/node/version")).status == 200
        world.api.ports = ports
        released = await world.ask("POST", "/eth/v1/beacon/blocks", headers={})
        assert released.status == 400

    run_world(scenario)
