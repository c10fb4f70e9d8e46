"""What blocks took up: read alike from every fork, and nothing wrong is taken for it."""

import json
from typing import Any

import pytest
from tests.ethereum.beacon_node.fake_node import FakeBeaconNode, Reply, refusal
from tests.ethereum.beacon_node.on_devchain import Served, run_on_devchain
from tests.ethereum.beacon_node.support import run_with_client

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.beacon_node.client import BeaconNodeClient
from tetrarch.ethereum.beacon_node.content import BitField
from tetrarch.ethereum.beacon_node.content_calls import read_block
from tetrarch.ethereum.beacon_node.errors import BeaconNodeAnswerInvalid, BeaconNodeRefused
from tetrarch.ethereum.devchain.committees import proposer_index
from tetrarch.ethereum.devchain.duties import attester_assignments
from tetrarch.ethereum.devchain.production import BlockWish
from tetrarch.ethereum.devchain.self_run import sign_block, sign_randao, single_attestation
from tetrarch.ethereum.spec.values import Fork

ROOT = "0x" + "ab" * 32
BLINDED = f"/eth/v1/beacon/blinded_blocks/{ROOT}"
FULL = f"/eth/v2/beacon/blocks/{ROOT}"


def attestation(**changes: Any) -> dict[str, Any]:
    checkpoint = {"epoch": "1", "root": ROOT}
    data = {"slot": "9", "index": "0", "beacon_block_root": ROOT}
    return {
        "aggregation_bits": "0x0d",
        "committee_bits": "0x0500000000000000",
        "data": data | {"source": checkpoint, "target": checkpoint},
        "signature": "0x" + "00" * 96,
        **changes,
    }


def block(*attestations: dict[str, Any], **changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"attestations": list(attestations), "graffiti": ROOT}
    body["sync_aggregate"] = {"sync_committee_bits": "0x09000000", "sync_committee_signature": "0x"}
    message = {"slot": "10", "proposer_index": "3", "parent_root": ROOT, "body": body} | changes
    return {"version": "electra", "data": {"message": message, "signature": "0x"}}


def test_committees_voters_and_sync_voters_are_read() -> None:
    content = read_block(json.dumps(block(attestation())).encode())
    assert (content.slot, content.proposer_index) == (10, 3)
    (votes,) = content.votes
    assert votes.committees == (0, 2)
    assert (votes.voters.length, votes.voters.set_places()) == (3, (0, 2))
    assert content.sync_voters is not None
    assert content.sync_voters.set_places() == (0, 3)


def test_bits_outside_are_not_set() -> None:
    field = BitField(b"\xff", 5)
    assert [field.is_set(place) for place in (-1, 0, 4, 5, 8)] == [False, True, True, False, False]


@pytest.mark.parametrize(
    "wrong",
    [
        block(attestation(aggregation_bits="0x")),
        block(attestation(aggregation_bits="0x00")),
        block(attestation(aggregation_bits="0d")),
        block(attestation(aggregation_bits="0xzz")),
        block(attestation(committee_bits="0x" + "00" * 9)),
        block(attestation(data={"slot": "9"})),
        block(*[attestation()] * 129),
        block(slot="-1"),
        block(slot=10),
        block(parent_root="0xab"),
        block(body=None),
        {"data": []},
    ],
)
def test_wrong_block_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputInvalid):
        read_block(json.dumps(wrong).encode())


def test_node_without_the_small_endpoint_is_asked_for_the_whole_block() -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers[f"GET {BLINDED}"] = refusal(404)
        node.answers[f"GET {FULL}"] = Reply(block(attestation()))
        content = await client.block_content(bytes.fromhex(ROOT[2:]))
        assert content is not None
        assert content.slot == 10

    run_with_client(scenario)


def test_block_that_nobody_knows_is_none_and_trouble_is_no_answer() -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers[f"GET {BLINDED}"] = node.answers[f"GET {FULL}"] = refusal(404)
        assert await client.block_content(bytes.fromhex(ROOT[2:])) is None
        node.answers[f"GET {BLINDED}"] = refusal(500)
        with pytest.raises(BeaconNodeRefused):
            await client.block_content(bytes.fromhex(ROOT[2:]))
        node.answers[f"GET {BLINDED}"] = Reply(block(attestation(aggregation_bits="0x00")))
        with pytest.raises(BeaconNodeAnswerInvalid):
            await client.block_content(bytes.fromhex(ROOT[2:]))

    run_with_client(scenario)


@pytest.mark.parametrize("fork", [Fork.ALTAIR, Fork.DENEB, Fork.ELECTRA, Fork.FULU])
def test_votes_in_a_real_block_are_found_in_every_fork(fork: Fork) -> None:
    async def scenario(world: Served) -> None:
        chain = world.chain
        state = chain.head_state(1)
        everyone = tuple(range(64))
        voters = [each for each in attester_assignments(state, 0, everyone) if each.slot == 1]
        for each in voters:
            data = chain.attestation_data(1, each.committee_index)
            chain.submit_attestation(single_attestation(state, data, each), world.clock.wall_s())
        world.go_to(2)
        after = chain.head_state(2)
        wish = BlockWish(randao_reveal=sign_randao(after, proposer_index(after)))
        signed = sign_block(after, chain.produce(2, wish))
        node = chain.import_block(signed, world.clock.wall_s())
        content = await world.client.block_content(node.root)
        assert content is not None
        assert (content.slot, content.parent_root) == (2, node.parent_root)
        lengths = await world.client.committee_lengths(1)
        assert sum(lengths) == len(voters) == sum(len(v.voters.set_places()) for v in content.votes)
        assert content.votes[0].data.slot == 1
        assert (content.votes[0].committees is not None) is fork.at_least(Fork.ELECTRA)
        assert await world.client.block_content(b"x" * 32) is None

    run_on_devchain(scenario, fork=fork)
