"""Validators: asked and answered by this node's public shares."""

import json
from typing import Any

import pytest
from tests.ethereum.beacon_node.fake_node import Reply
from tests.validator_api.world import World, hexed, root_key, run_world, share

LIST = "/eth/v1/beacon/states/head/validators"
OURS = [hexed(share(validator).public_key()) for validator in (1, 2)]
ROOTS = [hexed(root_key(validator)) for validator in (1, 2)]


def validator(index: int, pubkey: str) -> dict[str, Any]:
    return {
        "index": str(index),
        "balance": "32000000000",
        "status": "active_ongoing",
        "validator": {
            "pubkey": pubkey,
            "withdrawal_credentials": "0x" + "01" * 32,
            "effective_balance": "32000000000",
            "slashed": False,
            "activation_eligibility_epoch": "0",
            "activation_epoch": "0",
            "exit_epoch": str(2**64 - 1),
            "withdrawable_epoch": str(2**64 - 1),
        },
    }


def answer(data: Any) -> Reply:
    return Reply({"execution_optimistic": False, "finalized": False, "data": data})


def keys(got_data: list[dict[str, Any]]) -> list[str]:
    return [item["validator"]["pubkey"] for item in got_data]


@pytest.mark.parametrize("query", [f"id={OURS[0]}&id={OURS[1]}", f"id={OURS[0]},{OURS[1]}"])
def test_by_get(query: str) -> None:
    async def scenario(world: World) -> None:
        data = [validator(101, ROOTS[0]), validator(102, ROOTS[1])]
        world.node.answers["GET " + LIST] = answer(data)
        got = await world.get(f"{LIST}?{query}&status=active_ongoing")
        assert keys(got.value["data"]) == OURS
        sent = world.node.seen[-1].query_string
        assert sent == f"id={ROOTS[0]}&id={ROOTS[1]}&status=active_ongoing"

    run_world(scenario)


def test_by_post() -> None:
    async def scenario(world: World) -> None:
        world.node.answers["POST " + LIST] = answer([validator(101, ROOTS[0])])
        body = {"ids": [OURS[0], "102", ROOTS[1]], "statuses": ["active"]}
        got = await world.post(LIST, body)
        assert keys(got.value["data"]) == OURS[:1]
        sent = json.loads(world.node.seen[-1].body)
        assert sent == {"ids": [ROOTS[0], "102", ROOTS[1]], "statuses": ["active"]}

    run_world(scenario)


def test_all_validators_with_ours_renamed() -> None:
    stranger = "0x" + "ab" * 48

    async def scenario(world: World) -> None:
        data = [validator(101, ROOTS[0]), validator(5, stranger)]
        world.node.answers["GET " + LIST] = answer(data)
        world.node.answers["POST " + LIST] = answer(data)
        assert keys((await world.get(LIST)).value["data"]) == [OURS[0], stranger]
        assert keys((await world.post(LIST, {})).value["data"]) == [OURS[0], stranger]

    run_world(scenario)


def test_single_validator() -> None:
    async def scenario(world: World) -> None:
        found = answer(validator(101, ROOTS[0]))
        world.node.answers[f"GET {LIST}/{ROOTS[0]}"] = found
        world.node.answers[f"GET {LIST}/101"] = found
        for validator_id in (OURS[0], "101", ROOTS[0]):
            got = await world.get(f"{LIST}/{validator_id}")
            assert got.value["data"]["validator"]["pubkey"] == OURS[0]
        assert (await world.get(f"{LIST}/102")).status == 404

    run_world(scenario)


def test_share_of_another_operator_is_told() -> None:
    theirs = hexed(share(1, operator=4).public_key())

    async def scenario(world: World) -> None:
        for got in (
            await world.get(f"{LIST}?id={theirs}"),
            await world.post(LIST, {"ids": [theirs]}),
            await world.get(f"{LIST}/{theirs}"),
        ):
            assert got.status == 400
            assert "operator 4's" in got.message
            assert "this node is operator 2's" in got.message
        assert world.node.seen == []

    run_world(scenario)


@pytest.mark.parametrize("bad", ["0x" + "ab" * 48, "0xab", "0x" + "zz" * 48])
def test_unknown_key_is_told(bad: str) -> None:
    async def scenario(world: World) -> None:
        got = await world.post(LIST, {"ids": [bad]})
        assert (got.status, bad[:40] in got.message) == (400, True)

    run_world(scenario)


@pytest.mark.parametrize("body", [[], {"ids": "0x"}, {"ids": [7]}, {"ids": {}}, b"\x00"])
def test_malformed_bodies(body: object) -> None:
    async def scenario(world: World) -> None:
        got = await world.post(LIST, body)
        assert got.status in (400, 415)

    run_world(scenario)


@pytest.mark.parametrize("data", [{}, [{}], [{"validator": {}}], [{"validator": {"pubkey": "x"}}]])
def test_rubbish_of_the_beacon_node_is_named(data: object) -> None:
    async def scenario(world: World) -> None:
        world.node.answers["GET " + LIST] = answer(data)
        got = await world.get(LIST)
        assert (got.status, LIST in got.message) == (502, True)

    run_world(scenario)
