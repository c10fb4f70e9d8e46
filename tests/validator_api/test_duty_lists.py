"""Duties: asked by index, answered under our public shares."""

import json
from typing import Any

import pytest
from tests.ethereum.beacon_node.fake_node import Reply, refusal
from tests.validator_api.world import SSZ, World, hexed, root_key, run_world, share

ROOT = "0x" + "11" * 32
STRANGER = "0x" + "ab" * 48


def answer(*duties: dict[str, Any]) -> Reply:
    return Reply({"dependent_root": ROOT, "execution_optimistic": True, "data": list(duties)})


def attester_duty(pubkey: str) -> dict[str, Any]:
    return {
        "pubkey": pubkey,
        "validator_index": "101",
        "committee_index": "0",
        "committee_length": "5",
        "committees_at_slot": "2",
        "validator_committee_index": "1",
        "slot": "20",
    }


@pytest.mark.parametrize("ssz", [False, True])
def test_attester_duties(*, ssz: bool) -> None:
    path = "/eth/v1/validator/duties/attester/2"

    async def scenario(world: World) -> None:
        duties = attester_duty(hexed(root_key(1))), attester_duty(STRANGER)
        world.node.answers["POST " + path] = answer(*duties)
        body: object = ["101", "7"]
        if ssz:
            body = b"".join(index.to_bytes(8, "little") for index in (101, 7))
        got = await world.post(path, body, Accept=f"{SSZ};q=1,application/json;q=0.9")
        keys = [duty["pubkey"] for duty in got.value["data"]]
        assert keys == [hexed(share(1).public_key()), STRANGER]
        assert got.value["dependent_root"] == ROOT
        assert got.value["execution_optimistic"] is True
        assert json.loads(world.node.seen[-1].body) == ["101", "7"]

    run_world(scenario)


@pytest.mark.parametrize("version", [1, 2])
def test_proposer_duties(version: int) -> None:
    path = f"/eth/v{version}/validator/duties/proposer/2"

    async def scenario(world: World) -> None:
        ours = {"pubkey": hexed(root_key(3)), "validator_index": "3", "slot": "20"}
        theirs = {"pubkey": STRANGER, "validator_index": "4", "slot": "21"}
        world.node.answers["GET " + path] = answer(ours, theirs)
        got = await world.get(path)
        assert got.value["data"] == [{**ours, "pubkey": hexed(share(3).public_key())}, theirs]

    run_world(scenario)


def test_sync_duties() -> None:
    path = "/eth/v1/validator/duties/sync/2"

    async def scenario(world: World) -> None:
        duty = {
            "pubkey": hexed(root_key(2)),
            "validator_index": "102",
            "validator_sync_committee_indices": ["4"],
        }
        world.node.answers["POST " + path] = answer(duty)
        got = await world.post(path, ["102"])
        assert got.value["data"][0]["pubkey"] == hexed(share(2).public_key())

    run_world(scenario)


@pytest.mark.parametrize("body", [{}, ["x"], [-1], b"123", None])
def test_malformed_indices(body: object) -> None:
    async def scenario(world: World) -> None:
        got = await world.post("/eth/v1/validator/duties/attester/2", body)
        assert got.status == 400
        assert world.node.seen == []

    run_world(scenario)


def test_beacon_nodes_refusal_is_handed_on() -> None:
    async def scenario(world: World) -> None:
        path = "/eth/v1/validator/duties/attester/99"
        world.node.answers["POST " + path] = refusal(400, "epoch too far")
        got = await world.post(path, ["1"])
        assert (got.status, got.message) == (400, "epoch too far")

    run_world(scenario)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b"<html>"),
        Reply({"data": {}}),
        Reply({"data": [7]}),
        Reply({"data": [{"pubkey": 7}]}),
        Reply({"data": [{"pubkey": "0xzz"}]}),
        Reply([]),
    ],
)
def test_rubbish_of_the_beacon_node_is_named(reply: Reply) -> None:
    async def scenario(world: World) -> None:
        path = "/eth/v1/validator/duties/proposer/2"
        world.node.answers["GET " + path] = reply
        got = await world.get(path)
        assert got.status == 502
        assert path in got.message

    run_world(scenario)
