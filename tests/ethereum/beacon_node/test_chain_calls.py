"""Genesis, constants, validators, headers: right answers become values, wrong ones name a field."""

import json

import pytest
from tests.ethereum.beacon_node.fake_node import (
    GENESIS_ROOT,
    FakeBeaconNode,
    Reply,
    config,
    refusal,
)
from tests.ethereum.beacon_node.support import run_with_client

from tetrarch.ethereum.beacon_node.client import BeaconNodeClient
from tetrarch.ethereum.beacon_node.errors import BeaconNodeAnswerInvalid, BeaconNodeRefused
from tetrarch.ethereum.beacon_node.ports import ValidatorStatus
from tetrarch.ethereum.spec.values import Fork

SPEC = "GET /eth/v1/config/spec"
VALIDATORS = "/eth/v1/beacon/states/head/validators"


def test_chain_spec_is_read_once() -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        spec = await client.chain_spec()
        assert await client.chain_spec() is spec
        assert (spec.preset, spec.genesis_time_s, spec.slots_per_epoch) == ("minimal", 1_000, 8)
        assert spec.slot_duration_ms == 2_000
        assert spec.forks.genesis_validators_root == bytes.fromhex(GENESIS_ROOT[2:])
        forks = [(each.fork, each.epoch) for each in spec.forks.activations]
        # Never activated forks are left out; phase 0 is the genesis version.
        assert forks == [(Fork.PHASE0, 0), (Fork.ALTAIR, 0), (Fork.ELECTRA, 2)]
        assert spec.fork_at_slot(15) is Fork.ALTAIR
        assert spec.fork_at_slot(16) is Fork.ELECTRA
        assert node.paths().count(SPEC) == 1

    run_with_client(scenario)


def test_newer_name_of_the_slot_time_rules() -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers[SPEC] = config(SLOT_DURATION_MS="1500")
        assert (await client.chain_spec()).slot_duration_ms == 1500

    run_with_client(scenario)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"PRESET_BASE": "gnosis"}, "PRESET_BASE"),
        ({"PRESET_BASE": None}, "PRESET_BASE"),
        ({"SECONDS_PER_SLOT": None}, "SECONDS_PER_SLOT"),
        ({"SECONDS_PER_SLOT": "0"}, "slot duration"),
        ({"SLOTS_PER_EPOCH": "-8"}, "SLOTS_PER_EPOCH"),
        ({"SLOTS_PER_EPOCH": "0"}, "SLOTS_PER_EPOCH"),
        ({"ALTAIR_FORK_VERSION": "0x01"}, "ALTAIR_FORK_VERSION"),
        ({"ALTAIR_FORK_EPOCH": "3"}, "ELECTRA_FORK_EPOCH"),
    ],
)
def test_unusable_constants_are_named(changes: dict[str, object], named: str) -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers[SPEC] = config(**changes)
        with pytest.raises(BeaconNodeAnswerInvalid, match=named):
            await client.chain_spec()

    run_with_client(scenario)


def validator(index: int, status: str = "active_ongoing") -> dict[str, object]:
    return {
        "index": str(index),
        "balance": "32000000000",
        "status": status,
        "validator": {
            "pubkey": "0x" + f"{index:096x}",
            "activation_epoch": str(index),
            "exit_epoch": str(2**64 - 1),
        },
    }


def key(index: int) -> bytes:
    return index.to_bytes(48, "big")


def test_validators_are_asked_in_batches() -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        answers = [
            Reply({"data": [validator(1), validator(2, "exited_slashed")]}),
            Reply({"data": [validator(600)]}),
        ]
        node.answers["POST " + VALIDATORS] = answers
        records = await client.validators(tuple(key(index) for index in range(700)))
        assert [record.index for record in records] == [1, 2, 600]
        assert records[0].status.is_active
        assert records[1].status is ValidatorStatus.EXITED_SLASHED
        assert [len(json.loads(seen.body)["ids"]) for seen in node.seen] == [512, 188]

    run_with_client(scenario)


def test_old_node_is_asked_by_get() -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers["POST " + VALIDATORS] = refusal(405)
        node.answers["GET " + VALIDATORS] = [
            Reply({"data": [validator(1)]}),
            Reply({"data": [validator(65)]}),
        ]
        records = await client.validators(tuple(key(index) for index in range(66)))
        assert [record.pubkey for record in records] == [key(1), key(65)]
        assert [seen.query_string.count("id=0x") for seen in node.seen[1:]] == [64, 2]

    run_with_client(scenario)


@pytest.mark.parametrize(
    "data",
    [
        [validator(9)],
        [validator(1), validator(1)],
        [validator(1, "sleeping")],
        [{**validator(1), "index": "-1"}],
        [{**validator(1), "validator": None}],
        "all",
    ],
)
def test_wrong_validators_are_refused(data: object) -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers["POST " + VALIDATORS] = Reply({"data": data})
        with pytest.raises(BeaconNodeAnswerInvalid, match="data"):
            await client.validators((key(1),))

    run_with_client(scenario)


def header(slot: int) -> Reply:
    message = {
        "slot": str(slot),
        "proposer_index": "5",
        "parent_root": "0x" + "02" * 32,
        "state_root": "0x" + "03" * 32,
        "body_root": "0x" + "04" * 32,
    }
    signed = {"message": message, "signature": "0x" + "00" * 96}
    root = "0x" + "01" * 32
    return Reply({"data": {"root": root, "canonical": True, "header": signed}})


def test_blocks_by_id() -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        for block_id, slot in (("head", 9), ("9", 9), ("8", 7)):
            node.answers[f"GET /eth/v1/beacon/headers/{block_id}"] = header(slot)
        head = await client.head()
        assert (head.slot, head.proposer_index, head.parent_root) == (9, 5, b"\x02" * 32)
        assert await client.block_root(9) == b"\x01" * 32
        assert await client.block_root(8) is None  # the node names the block before
        assert await client.block_root(6) is None  # the node knows none
        node.answers["GET /eth/v1/beacon/headers/5"] = refusal(500)
        with pytest.raises(BeaconNodeRefused):
            await client.block_root(5)

    run_with_client(scenario)


def test_node_facts() -> None:
    checkpoint = {"epoch": "3", "root": "0x" + "05" * 32}
    names = ("previous_justified", "current_justified", "finalized")

    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers["GET /eth/v1/node/version"] = Reply({"data": {"version": "Node/v1\x00"}})
        old = {"head_slot": "5", "sync_distance": "1", "is_syncing": True}
        node.answers["GET /eth/v1/node/syncing"] = Reply({"data": old})
        path = "GET /eth/v1/beacon/states/head/finality_checkpoints"
        node.answers[path] = Reply({"data": dict.fromkeys(names, checkpoint)})
        assert await client.node_version() == "Node/v1"
        status = await client.syncing()
        assert (status.head_slot, status.is_syncing, status.el_offline) == (5, True, False)
        assert (await client.finality_checkpoints()).finalized.epoch == 3
        wrong = {"data": {**old, "is_syncing": "no"}}
        node.answers["GET /eth/v1/node/syncing"] = Reply(wrong)
        with pytest.raises(BeaconNodeAnswerInvalid, match="is_syncing"):
            await client.syncing()

    run_with_client(scenario)
