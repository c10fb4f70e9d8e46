"""Defects that the original had, or may have, and that this API must not have: one test for each."""

import asyncio
import json
from dataclasses import replace

import pytest
from tests.validator_api.test_exits import EXITS, leave
from tests.validator_api.test_selections import BEACON, SYNC, answered, beacon, sync
from tests.validator_api.test_several_clients import Node
from tests.validator_api.test_sync_committee import CONTRIBUTIONS, decide, sign, submit
from tests.validator_api.test_validators import answer, validator
from tests.validator_api.world import (
    OWN,
    SLOT,
    SLOTS_PER_EPOCH,
    MovableClock,
    World,
    hexed,
    root_key,
    run_world,
    share,
)

from tetrarch.duties.parsigdb import LASTING_MAX
from tetrarch.duties.types import AttesterDefinition, Duty, DutyType
from tetrarch.validator_api.api import Limits
from tetrarch.validator_api.routes import ROUTES

OURS = hexed(share(1).public_key())


@pytest.mark.parametrize("state", ["head", "finalized", "justified", "12345", "0x" + "ab" * 32])
def test_validators_are_of_the_state_that_is_asked_for(state: str) -> None:
    """The original answers from a cache of the head's validators, whatever the state."""
    path = f"/eth/v1/beacon/states/{state}/validators"

    async def scenario(world: World) -> None:
        found = {**validator(101, hexed(root_key(1))), "balance": "31000000000"}
        world.node.answers["GET " + path] = world.node.answers["POST " + path] = answer([found])
        world.node.answers[f"GET {path}/{hexed(root_key(1))}"] = answer(found)
        for got in (
            await world.get(f"{path}?id={OURS}"),
            await world.post(path, {"ids": [OURS]}),
            await world.get(f"{path}/{OURS}"),
        ):
            data = got.value["data"]
            told = data[0] if isinstance(data, list) else data
            assert (told["balance"], told["validator"]["pubkey"]) == ("31000000000", OURS)
        asked = [each.path for each in world.node.seen]
        assert asked == [path, path, f"{path}/{hexed(root_key(1))}"]

    run_world(scenario)


def test_status_filter_reaches_the_beacon_node() -> None:
    path = "/eth/v1/beacon/states/head/validators"

    async def scenario(world: World) -> None:
        world.node.answers["GET " + path] = world.node.answers["POST " + path] = answer([])
        await world.get(f"{path}?status=active_ongoing,pending_queued")
        assert "active_ongoing" in world.node.seen[-1].query_string
        await world.post(path, {"ids": [OURS], "statuses": ["active_ongoing"]})
        assert json.loads(world.node.seen[-1].body)["statuses"] == ["active_ongoing"]

    run_world(scenario)


def test_keys_and_indices_may_be_mixed() -> None:
    """The original takes all ids for public keys when the first is one."""
    path = "/eth/v1/beacon/states/head/validators"

    async def scenario(world: World) -> None:
        world.node.answers["POST " + path] = answer([])
        await world.post(path, {"ids": [OURS, "7", hexed(root_key(2))]})
        sent = json.loads(world.node.seen[-1].body)
        assert sent["ids"] == [hexed(root_key(1)), "7", hexed(root_key(2))]

    run_world(scenario)


def test_no_body_is_unbounded() -> None:
    assert all(0 <= route.body_max <= 64 << 20 for route in ROUTES)
    assert all(route.body_max for route in ROUTES if route.method == "POST")


def test_a_long_array_of_small_items_is_refused_before_it_is_judged() -> None:
    async def scenario(world: World) -> None:
        got = await world.post(BEACON, [0] * 65_537)
        assert (got.status, "at most 65536" in got.message) == (400, True)
        assert world.submitted == []

    run_world(scenario)


@pytest.mark.parametrize("path", [BEACON, SYNC, EXITS])
def test_deep_nesting_is_malformed_and_crashes_nothing(path: str) -> None:
    async def scenario(world: World) -> None:
        headers = {"Content-Type": "application/json"}
        got = await world.ask("POST", path, headers=headers, body=b"[" * 4_000)
        assert got.status == 400

    assert "crashed" not in run_world(scenario).log.getvalue()


def test_several_clients_wait_for_one_selection_and_all_are_woken() -> None:
    """The original's second AggSigDB wakes one waiter for each store."""

    async def scenario(world: World) -> None:
        items = [beacon(world, 1), beacon(world, 2)]
        asking = [asyncio.create_task(world.post(BEACON, items)) for _ in range(5)]
        await world.until(lambda: len(world.aggregated.asked) == len(asking))
        world.aggregated.is_complete.set()
        expected = {"data": answered(items, keys=[root_key(1), root_key(2)])}
        assert [(await each).value for each in asking] == [expected] * len(asking)

    run_world(scenario)


def test_sync_selections_of_several_subcommittees_come_back_in_order() -> None:
    async def scenario(world: World) -> None:
        world.aggregated.is_complete.set()
        for order in ((3, 0, 1), (1, 3, 0), (0, 1, 3)):
            items = [sync(world, 1, place) for place in order]
            got = await world.post(SYNC, items)
            assert got.value == {"data": answered(items, keys=[root_key(1)] * 3)}

    run_world(scenario)


def test_contributions_for_several_subcommittees_do_not_collide() -> None:
    async def scenario(world: World) -> None:
        node = Node(world)
        messages = decide(world, (1, 3), (1, 0), (1, 1))
        signed = [sign(world, 1, message) for message in messages]
        assert (await submit(world, CONTRIBUTIONS, *signed)).status == 200
        own = node.own(DutyType.SYNC_CONTRIBUTION)
        assert [each.sub_index for each in own.partials] == [0, 1, 3]

    run_world(scenario)


def test_exits_without_end_take_no_memory_without_end() -> None:
    """Exits have no deadline; a client may send one for each epoch that ever was."""

    async def scenario(world: World) -> None:
        clock, epochs = MovableClock(), range(LASTING_MAX + 5)
        clock.now_s = world.chain.slot_start_s(epochs[-1] * SLOTS_PER_EPOCH)
        world.api.ports = replace(world.api.ports, clock=clock)
        node = Node(world, clock)
        for validator_number in (1, 2, 3):
            for epoch in epochs:
                signed = leave(world, validator_number, epoch=epoch)
                assert (await world.post(EXITS, signed.to_json())).status == 200
        kept = [duty for duty in node.partials.open_duties() if duty.type is DutyType.EXIT]
        held = [node.partials.own_partials(duty, OWN) for duty in kept]
        by_validator: dict[bytes, int] = {}
        for partial_set in held:
            for partial in partial_set.partials if partial_set else ():
                by_validator[partial.pubkey] = by_validator.get(partial.pubkey, 0) + 1
        assert set(by_validator.values()) == {LASTING_MAX}

    run_world(scenario)


def test_freshly_active_validator_is_known_by_its_duty() -> None:
    """The original looks it up in a cache of active validators, which may be old."""

    async def scenario(world: World) -> None:
        assert (await world.post(BEACON, [beacon(world, 3)])).status == 400  # no duty: not drawn
        attesters = world.duties.known[Duty(SLOT, DutyType.PREPARE_AGGREGATOR)]
        assert isinstance(attesters[0], AttesterDefinition)
        fresh = replace(attesters[0], pubkey=root_key(3), validator_index=103)
        world.duties.known[Duty(SLOT, DutyType.PREPARE_AGGREGATOR)] = (*attesters, fresh)
        world.aggregated.is_complete.set()
        assert (await world.post(BEACON, [beacon(world, 3)])).status == 200

    run_world(scenario, limits=Limits(request_s=5))
