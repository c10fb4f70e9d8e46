"""Aggregates before and after Electra, in JSON and SSZ, from nodes with and without version 2."""

import json

import pytest
from tests.ethereum.beacon_node.fake_node import SSZ, FakeBeaconNode, Reply, refusal
from tests.ethereum.beacon_node.on_devchain import Served, run_on_devchain
from tests.ethereum.beacon_node.support import attestation_data, run_with_client

from tetrarch.ethereum.beacon_node.client import BeaconNodeClient
from tetrarch.ethereum.beacon_node.errors import BeaconNodeAnswerInvalid, BeaconNodeRefused
from tetrarch.ethereum.beacon_node.ports import AttestationSubmission, AttesterDuty
from tetrarch.ethereum.devchain.config import FORKS
from tetrarch.ethereum.spec.aggregates import (
    Aggregate,
    AggregateAndProof,
    SignedAggregateAndProof,
)
from tetrarch.ethereum.spec.attestations import Attestation, SlotAttestation
from tetrarch.ethereum.spec.domains import DomainType
from tetrarch.ethereum.spec.selection import is_aggregator
from tetrarch.ethereum.spec.values import AttestationData, Fork, uint64_root
from tetrarch.ssz.bits import Bits

GET_V1 = "GET /eth/v1/validator/aggregate_attestation"
GET_V2 = "GET /eth/v2/validator/aggregate_attestation"
POST_V1 = "POST /eth/v1/validator/aggregate_and_proofs"
POST_V2 = "POST /eth/v2/validator/aggregate_and_proofs"
COMMITTEE = 2
BOTH_SHAPES = pytest.mark.parametrize("fork", [Fork.PHASE0, Fork.DENEB, Fork.ELECTRA, Fork.FULU])


def aggregate(
    fork: Fork,
    *,
    data: AttestationData | None = None,
    committees: tuple[int, ...] = (COMMITTEE,),
    votes: Bits | None = None,
) -> Aggregate:
    electra = fork.at_least(Fork.ELECTRA)
    data = data or attestation_data(9, index=0 if electra else COMMITTEE)
    votes = votes or Bits.of([True, False, True])
    if not electra:
        return Attestation(aggregation_bits=votes, data=data, signature=b"\x33" * 96)
    return SlotAttestation(
        preset="minimal",
        aggregation_bits=votes,
        data=data,
        signature=b"\x33" * 96,
        committee_bits=Bits.of(place in committees for place in range(4)),
    )


def as_json(fork: Fork, value: Aggregate) -> Reply:
    return Reply({"version": fork.value, "data": value.to_json()})


def as_ssz(fork: Fork, value: Aggregate) -> Reply:
    headers = {"Eth-Consensus-Version": fork.value}
    return Reply(body=value.to_ssz(), content_type=SSZ, headers=headers)


async def ask(client: BeaconNodeClient, fork: Fork) -> Aggregate | None:
    """Ask for the aggregate that ``aggregate(fork)`` is."""
    root = aggregate(fork).data.hash_tree_root()
    return await client.aggregate_attestation(fork, 9, root, COMMITTEE)


def signed_aggregate(fork: Fork, aggregator_index: int) -> SignedAggregateAndProof:
    message = AggregateAndProof(
        fork=fork,
        preset="minimal",
        aggregator_index=aggregator_index,
        aggregate=aggregate(fork),
        selection_proof=b"\x44" * 96,
    )
    return SignedAggregateAndProof(message=message, signature=b"\x55" * 96)


# On a real chain


async def vote_and_aggregate(
    world: Served,
) -> tuple[AttesterDuty, AttestationData, Aggregate]:
    """Both votes of slot 1's second committee, given over HTTP, and their aggregate."""
    client = world.client
    duties = (await client.attester_duties(0, tuple(range(64)))).duties
    mine = [each for each in duties if each.slot == 1 and each.committee_index == 1]
    assert len(mine) == 4
    data = await client.attestation_data(1, 1)
    root = data.hash_tree_root()
    assert await client.aggregate_attestation(world.fork, 1, root, 1) is None
    submissions = [
        AttestationSubmission(
            data=data,
            signature=world.sign(each.validator_index, DomainType.BEACON_ATTESTER, root),
            validator_index=each.validator_index,
            committee_index=1,
            committee_length=each.committee_length,
            validator_committee_index=each.validator_committee_index,
        )
        for each in mine
    ]
    await client.submit_attestations(world.fork, tuple(submissions[:2]))
    found = await client.aggregate_attestation(world.fork, 1, root, 1)
    assert found is not None
    return mine[0], data, found


@pytest.mark.parametrize("fork", FORKS)
@pytest.mark.parametrize("json_only", [False, True])
def test_votes_are_aggregated_and_the_aggregate_is_taken(fork: Fork, *, json_only: bool) -> None:
    async def scenario(world: Served) -> None:
        duty, data, found = await vote_and_aggregate(world)
        assert world.exchange.answers[-1].is_ssz is not json_only
        assert found.data == data
        assert found.aggregation_bits.count() == 2
        assert found.committee_index == 1
        index = duty.validator_index
        proof = world.sign(index, DomainType.SELECTION_PROOF, uint64_root(1))
        assert is_aggregator(duty.committee_length, proof)
        message = AggregateAndProof(
            fork=fork,
            preset="minimal",
            aggregator_index=index,
            aggregate=found,
            selection_proof=proof,
        )
        root = message.hash_tree_root()
        signed = SignedAggregateAndProof(
            message=message, signature=world.sign(index, DomainType.AGGREGATE_AND_PROOF, root)
        )
        await world.client.submit_aggregates(fork, (signed,))
        assert world.exchange.paths[-1] == POST_V2
        forged = SignedAggregateAndProof(message=message, signature=bytes(96))
        with pytest.raises(BeaconNodeRefused, match="signature") as refused:
            await world.client.submit_aggregates(fork, (signed, forged, signed, forged))
        assert refused.value.failed_indices == (1, 3)
        # The other committee of the slot has not voted.
        other = await world.client.attestation_data(1, 0)
        root = other.hash_tree_root()
        assert await world.client.aggregate_attestation(fork, 1, root, 0) is None

    run_on_devchain(scenario, fork=fork, json_only=json_only)


# On the fake node


@BOTH_SHAPES
def test_json_and_ssz_are_read(fork: Fork) -> None:
    expected = aggregate(fork)

    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        no_version = Reply(body=expected.to_ssz(), content_type=SSZ)
        node.answers[GET_V2] = [as_json(fork, expected), as_ssz(fork, expected), no_version]
        for _ in range(3):
            assert await ask(client, fork) == expected
        assert node.seen[-1].query == {
            "attestation_data_root": "0x" + expected.data.hash_tree_root().hex(),
            "slot": "9",
            "committee_index": str(COMMITTEE),
        }
        assert node.seen[-1].headers["Accept"].startswith(SSZ)

    run_with_client(scenario)


@pytest.mark.parametrize(("asked", "named"), [(Fork.DENEB, Fork.PHASE0), (Fork.FULU, Fork.ELECTRA)])
def test_the_fork_that_brought_the_shape_may_be_named(asked: Fork, named: Fork) -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers[GET_V2] = as_json(named, aggregate(asked))
        assert await ask(client, asked) == aggregate(asked)

    run_with_client(scenario)


@BOTH_SHAPES
def test_no_vote_seen_is_none(fork: Fork) -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers[GET_V2] = refusal(404, "no attestation")
        assert await ask(client, fork) is None
        assert (GET_V1 in node.paths()) is not fork.at_least(Fork.ELECTRA)
        for status in (405, 410, 501):
            node.answers[GET_V1] = refusal(status)
            assert await ask(client, fork) is None

    run_with_client(scenario)


def test_old_node_is_asked_by_version_1_before_electra_only() -> None:
    expected = aggregate(Fork.DENEB)

    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        for status in (404, 405, 410, 501):
            node.answers[GET_V2] = refusal(status)
            node.answers[GET_V1] = [
                Reply({"data": expected.to_json()}),
                refusal(404, "no attestation"),
                refusal(503, "syncing"),
            ]
            assert await ask(client, Fork.DENEB) == expected
            assert "committee_index" not in node.seen[-1].query
            assert await ask(client, Fork.DENEB) is None
            with pytest.raises(BeaconNodeRefused, match="syncing"):
                await ask(client, Fork.DENEB)
            if status != 404:
                with pytest.raises(BeaconNodeRefused):
                    await ask(client, Fork.ELECTRA)
                assert node.seen[-1].path == GET_V2.removeprefix("GET ")
        node.answers[GET_V1] = refusal(501)
        with pytest.raises(BeaconNodeRefused):  # neither version: nothing is known of votes
            await ask(client, Fork.DENEB)

    run_with_client(scenario)


@BOTH_SHAPES
def test_other_refusals_are_no_answer(fork: Fork) -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        for status in (400, 500, 503):
            node.answers[GET_V2] = refusal(status, "optimistic")
            with pytest.raises(BeaconNodeRefused, match="optimistic"):
                await ask(client, fork)
        assert GET_V1 not in node.paths()

    run_with_client(scenario)


@BOTH_SHAPES
@pytest.mark.parametrize("ssz", [False, True])
def test_wrong_aggregate_is_refused_by_name(fork: Fork, *, ssz: bool) -> None:
    electra = fork.at_least(Fork.ELECTRA)
    right = 0 if electra else COMMITTEE
    wrong: dict[str, Aggregate] = {
        r"data\.slot": aggregate(fork, data=attestation_data(10, index=right)),
        "asked root": aggregate(fork, data=attestation_data(9, index=right, head=7)),
        "nobody voted": aggregate(fork, votes=Bits.zeros(3)),
    }
    encode = as_ssz if ssz else as_json

    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        for name, value in wrong.items():
            node.answers[GET_V2] = encode(fork, value)
            with pytest.raises(BeaconNodeAnswerInvalid, match=name):
                await ask(client, fork)
        if electra:
            for committees, name in (
                ((1,), "committee_index"),
                ((), "committee_bits"),
                ((COMMITTEE, 3), "committee_bits"),
            ):
                node.answers[GET_V2] = encode(fork, aggregate(fork, committees=committees))
                with pytest.raises(BeaconNodeAnswerInvalid, match=name):
                    await ask(client, fork)
        else:
            node.answers[GET_V2] = encode(fork, aggregate(fork))
            root = aggregate(fork).data.hash_tree_root()
            with pytest.raises(BeaconNodeAnswerInvalid, match="committee_index"):
                await client.aggregate_attestation(fork, 9, root, COMMITTEE + 1)

    run_with_client(scenario)


@BOTH_SHAPES
def test_other_shape_and_rubbish_are_refused(fork: Fork) -> None:
    electra = fork.at_least(Fork.ELECTRA)
    other = Fork.DENEB if electra else Fork.ELECTRA
    own = aggregate(fork)
    replies = [
        as_json(other, own),
        as_ssz(other, own),
        as_json(fork, aggregate(other)),
        as_ssz(fork, aggregate(other)),
        Reply({"version": "frontier", "data": own.to_json()}),
        Reply({"version": [], "data": own.to_json()}),
        Reply({"version": fork.value}),
        Reply({"version": fork.value, "data": []}),
        Reply([]),
        Reply(body=b"<html>"),
        Reply(body=b"short", content_type=SSZ),
        Reply(body=own.to_ssz() + b"\0", content_type=SSZ),
    ]

    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        for reply in replies:
            node.answers[GET_V2] = reply
            with pytest.raises(BeaconNodeAnswerInvalid, match="/eth/v2/validator/aggregate"):
                await ask(client, fork)

    run_with_client(scenario)


@BOTH_SHAPES
def test_aggregates_are_submitted_in_the_forks_shape(fork: Fork) -> None:
    signed = signed_aggregate(fork, 7)

    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers[POST_V2] = Reply()
        await client.submit_aggregates(fork, (signed,))
        assert json.loads(node.seen[-1].body) == [signed.to_json()]
        assert node.seen[-1].headers["Eth-Consensus-Version"] == fork.value
        await client.submit_aggregates(fork, ())
        assert len(node.seen) == 1

    run_with_client(scenario)


def test_old_node_gets_aggregates_by_version_1_before_electra_only() -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers = {POST_V1: Reply(), POST_V2: refusal(405)}
        await client.submit_aggregates(Fork.DENEB, (signed_aggregate(Fork.DENEB, 7),))
        assert node.paths() == [POST_V2, POST_V1]
        with pytest.raises(BeaconNodeRefused):
            await client.submit_aggregates(Fork.ELECTRA, (signed_aggregate(Fork.ELECTRA, 7),))
        node.answers[POST_V2] = refusal(400, "AggregatorAlreadyKnown")
        with pytest.raises(BeaconNodeRefused, match="AggregatorAlreadyKnown"):
            await client.submit_aggregates(Fork.DENEB, (signed_aggregate(Fork.DENEB, 7),))
        assert node.paths()[2:] == [POST_V2, POST_V2]

    run_with_client(scenario)
