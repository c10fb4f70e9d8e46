"""Blocks of every fork, full and blinded, from and to nodes of every age."""

import json

import pytest
from tests.ethereum.beacon_node.fake_node import SSZ, FakeBeaconNode, Reply, refusal
from tests.ethereum.beacon_node.support import block, run_with_client

from tetrarch.ethereum.beacon_node.client import BeaconNodeClient
from tetrarch.ethereum.beacon_node.errors import BeaconNodeAnswerInvalid, BeaconNodeRefused
from tetrarch.ethereum.beacon_node.ports import BUILDER_BOOST_ALWAYS, BlockRequest
from tetrarch.ethereum.spec.proposals import Proposal, sign_proposal
from tetrarch.ethereum.spec.values import Fork

REVEAL = b"\xaa" * 96
V3 = "GET /eth/v3/validator/blocks/9"
V2 = "GET /eth/v2/validator/blocks/9"
FORMS = [
    (fork, blinded)
    for fork in Fork
    for blinded in (False, True)
    if not blinded or fork.at_least(Fork.BELLATRIX)
]
REQUEST = BlockRequest(slot=9, randao_reveal=REVEAL, builder_boost_factor=BUILDER_BOOST_ALWAYS)


def headers(proposal: Proposal) -> dict[str, str]:
    return {
        "Eth-Consensus-Version": proposal.fork.value,
        "Eth-Execution-Payload-Blinded": str(proposal.blinded).lower(),
        "Eth-Execution-Payload-Value": "5",
        "Eth-Consensus-Block-Value": "6",
    }


def as_json(proposal: Proposal) -> Reply:
    value = {
        "version": proposal.fork.value,
        "execution_payload_blinded": proposal.blinded,
        "execution_payload_value": "5",
        "consensus_block_value": "6",
        "data": proposal.to_json(),
    }
    return Reply(value, headers=headers(proposal))


def as_ssz(proposal: Proposal) -> Reply:
    return Reply(body=proposal.ssz, content_type=SSZ, headers=headers(proposal))


@pytest.mark.parametrize(("fork", "blinded"), FORMS)
def test_every_form_is_read_in_json_and_ssz(fork: Fork, *, blinded: bool) -> None:
    proposal = block(fork, 9, blinded=blinded, reveal=REVEAL)

    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers[V3] = [as_json(proposal), as_ssz(proposal)]
        assert await client.produce_block(REQUEST) == proposal
        assert await client.produce_block(REQUEST) == proposal
        seen = node.seen[-1]
        assert seen.query["builder_boost_factor"] == str(2**64 - 1)
        assert seen.headers["Accept"].startswith(SSZ)

    run_with_client(scenario)


def test_old_node_is_asked_by_version_2() -> None:
    proposal = block(Fork.ALTAIR, 9, reveal=REVEAL)

    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers[V2] = Reply({"version": "altair", "data": proposal.to_json()})
        assert await client.produce_block(REQUEST) == proposal
        assert "builder_boost_factor" not in node.seen[-1].query

    run_with_client(scenario)


def test_other_refusals_are_not_retried() -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers[V3] = refusal(500, "no payload")
        with pytest.raises(BeaconNodeRefused, match="no payload"):
            await client.produce_block(REQUEST)
        assert V2 not in node.paths()

    run_with_client(scenario)


@pytest.mark.parametrize("wrong", ["slot", "reveal", "version", "blinded", "bytes", "fork"])
def test_wrong_block_is_refused(wrong: str) -> None:
    proposal = block(Fork.DENEB, 8 if wrong == "slot" else 9, reveal=REVEAL)
    if wrong == "reveal":
        proposal = block(Fork.DENEB, 9, reveal=b"\xbb" * 96)
    reply = as_ssz(proposal)
    changed = {
        "version": {"Eth-Consensus-Version": "gloas"},
        "blinded": {"Eth-Execution-Payload-Blinded": "true"},
        "fork": {"Eth-Consensus-Version": "altair"},
    }.get(wrong, {})
    body = b"\x00" * 500 if wrong == "bytes" else proposal.ssz
    reply = Reply(body=body, content_type=SSZ, headers={**headers(proposal), **changed})

    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers[V3] = reply
        with pytest.raises(BeaconNodeAnswerInvalid, match="/eth/v3/validator/blocks/9"):
            await client.produce_block(REQUEST)

    run_with_client(scenario)


@pytest.mark.parametrize(("fork", "blinded"), FORMS)
@pytest.mark.parametrize("age", ["new", "json only", "old"])
def test_every_form_is_published(fork: Fork, age: str, *, blinded: bool) -> None:
    signed = sign_proposal(block(fork, 9, blinded=blinded), b"\xcc" * 96)
    name = "blinded_blocks" if blinded else "blocks"
    v2, v1 = f"POST /eth/v2/beacon/{name}", f"POST /eth/v1/beacon/{name}"

    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        if age == "new":
            node.answers = {v2: Reply(status=202)}
        elif age == "json only":
            node.answers = {v2: [refusal(415), Reply()]}
        else:
            node.answers = {v1: [refusal(415), Reply()]}
        await client.publish_block(signed)
        seen = node.seen[-1]
        assert seen.headers["Eth-Consensus-Version"] == fork.value
        if age == "new":
            assert seen.body == signed.ssz
        else:
            assert json.loads(seen.body) == signed.to_json()
        expected = {"new": [v2], "json only": [v2, v2], "old": [v2, v1, v1]}
        assert node.paths() == expected[age]

    run_with_client(scenario)


def test_refused_block_tells_why() -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers["POST /eth/v2/beacon/blocks"] = refusal(400, "already proposed")
        with pytest.raises(BeaconNodeRefused, match="already proposed"):
            await client.publish_block(sign_proposal(block(Fork.ALTAIR, 9), bytes(96)))
        assert len(node.seen) == 1

    run_with_client(scenario)


def test_large_block_goes_out_and_comes_in() -> None:
    transactions = tuple(bytes(100_000) for _ in range(30))
    proposal = block(Fork.CAPELLA, 9, reveal=REVEAL, transactions=transactions)
    assert len(proposal.ssz) > 3_000_000

    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers[V3] = as_ssz(proposal)
        node.answers["POST /eth/v2/beacon/blocks"] = [refusal(415), Reply()]
        found = await client.produce_block(REQUEST)
        signed = sign_proposal(found, b"\xcc" * 96)
        await client.publish_block(signed)
        assert node.seen[-2].body == signed.ssz

    run_with_client(scenario)
