"""Sync committees: duties, messages, contributions and subscriptions."""

import json
from dataclasses import replace

import pytest
from tests.ethereum.beacon_node.fake_node import SSZ, FakeBeaconNode, Reply, refusal
from tests.ethereum.beacon_node.on_devchain import VALIDATORS, Served, run_on_devchain
from tests.ethereum.beacon_node.support import run_with_client

from tetrarch.ethereum.beacon_node.client import BeaconNodeClient
from tetrarch.ethereum.beacon_node.errors import BeaconNodeAnswerInvalid, BeaconNodeRefused
from tetrarch.ethereum.beacon_node.ports import SyncDuties, SyncDuty, SyncSubscription
from tetrarch.ethereum.devchain.config import FORKS
from tetrarch.ethereum.spec.aggregates import (
    ContributionAndProof,
    SignedContributionAndProof,
    SyncCommitteeContribution,
)
from tetrarch.ethereum.spec.domains import DomainType
from tetrarch.ethereum.spec.messages import SyncCommitteeMessage
from tetrarch.ethereum.spec.selection import (
    is_sync_aggregator,
    subcommittee_size,
    subcommittees_of,
    sync_selection_root,
)
from tetrarch.ethereum.spec.values import Fork
from tetrarch.ssz.bits import Bits

DUTIES = "POST /eth/v1/validator/duties/sync/1"
CONTRIBUTION = "GET /eth/v1/validator/sync_committee_contribution"
MESSAGES = "POST /eth/v1/beacon/pool/sync_committees"
CONTRIBUTIONS = "POST /eth/v1/validator/contribution_and_proofs"
SUBSCRIPTIONS = "POST /eth/v1/validator/sync_committee_subscriptions"
ROOT = b"\x66" * 32
SIZE = subcommittee_size("minimal")


def duty(**changes: object) -> dict[str, object]:
    return {
        "pubkey": "0x" + "ab" * 48,
        "validator_index": "7",
        "validator_sync_committee_indices": ["3", "0", "511"],
        **changes,
    }


def contribution(**changes: object) -> SyncCommitteeContribution:
    right = SyncCommitteeContribution(
        preset="minimal",
        slot=9,
        beacon_block_root=ROOT,
        subcommittee_index=3,
        aggregation_bits=Bits.single(2, SIZE),
        signature=b"\x33" * 96,
    )
    return replace(right, **changes)  # type: ignore[arg-type]  # the field's own type


def signed_contribution(aggregator_index: int) -> SignedContributionAndProof:
    message = ContributionAndProof(
        aggregator_index=aggregator_index,
        contribution=contribution(),
        selection_proof=b"\x44" * 96,
    )
    return SignedContributionAndProof(message=message, signature=b"\x55" * 96)


def message(validator_index: int) -> SyncCommitteeMessage:
    return SyncCommitteeMessage(
        slot=9, beacon_block_root=ROOT, validator_index=validator_index, signature=bytes(96)
    )


# On a real chain


async def member_of(world: Served) -> SyncDuty:
    """The first member that the node names; it must be one of ours."""
    found = await world.client.sync_duties(0, tuple(range(VALIDATORS)))
    assert sorted(place for each in found.duties for place in each.positions) == list(range(32))
    some = await world.client.sync_duties(0, (found.duties[0].validator_index, 999))
    assert some.duties == found.duties[:1]
    return found.duties[0]


async def contribute(world: Served, member: SyncDuty, root: bytes) -> SignedContributionAndProof:
    """The contribution of the member's first subcommittee, signed by it."""
    index, part = member.validator_index, subcommittees_of(member.positions, preset="minimal")[0]
    found = await world.client.sync_contribution(1, part, root)
    assert found is not None
    places = {each % SIZE for each in member.positions if each // SIZE == part}
    assert set(found.aggregation_bits.indices()) == places
    selection = sync_selection_root(1, part)
    proof = world.sign(index, DomainType.SYNC_COMMITTEE_SELECTION_PROOF, selection)
    assert is_sync_aggregator(proof, preset="minimal")
    wanted = ContributionAndProof(aggregator_index=index, contribution=found, selection_proof=proof)
    by = world.sign(index, DomainType.CONTRIBUTION_AND_PROOF, wanted.hash_tree_root())
    return SignedContributionAndProof(message=wanted, signature=by)


@pytest.mark.parametrize("fork", FORKS)
@pytest.mark.parametrize("json_only", [False, True])
def test_sync_committee_works_on_a_real_chain(fork: Fork, *, json_only: bool) -> None:
    async def scenario(world: Served) -> None:
        client, root = world.client, world.chain.head.root
        member = await member_of(world)
        index = member.validator_index
        subscription = SyncSubscription(
            validator_index=index, positions=member.positions, until_epoch=8
        )
        await client.subscribe_sync_committees((subscription,))
        part = subcommittees_of(member.positions, preset="minimal")[0]
        assert await client.sync_contribution(1, part, root) is None
        right = SyncCommitteeMessage(
            slot=1,
            beacon_block_root=root,
            validator_index=index,
            signature=world.sign(index, DomainType.SYNC_COMMITTEE, root),
        )
        await client.submit_sync_messages((right,))
        forged = replace(right, signature=bytes(96))
        with pytest.raises(BeaconNodeRefused, match="signature") as refused:
            await client.submit_sync_messages((forged, right, forged))
        assert refused.value.failed_indices == (0, 2)
        signed = await contribute(world, member, root)
        await client.submit_contributions((signed,))
        spoiled = replace(signed, signature=bytes(96))
        with pytest.raises(BeaconNodeRefused, match="signature") as refused:
            await client.submit_contributions((signed, spoiled))
        assert refused.value.failed_indices == (1,)

    run_on_devchain(scenario, fork=fork, json_only=json_only)


# On the fake node


def test_sync_duties() -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers[DUTIES] = Reply({"execution_optimistic": False, "data": [duty()]})
        found = await client.sync_duties(1, (7, 8))
        only = SyncDuty(pubkey=b"\xab" * 48, validator_index=7, positions=(3, 0, 511))
        assert found == SyncDuties(epoch=1, duties=(only,))
        assert json.loads(node.seen[-1].body) == ["7", "8"]
        assert await client.sync_duties(1, ()) == SyncDuties(epoch=1, duties=())
        assert len(node.seen) == 1

    run_with_client(scenario)


@pytest.mark.parametrize(
    ("items", "named"),
    [
        ([duty(validator_index="6")], r"data\[0\]"),
        ([duty(validator_index="soon")], "validator_index"),
        ([duty(pubkey="0xab")], "pubkey"),
        ([duty(validator_sync_committee_indices=["512"])], "validator_sync_committee_indices"),
        ([duty(validator_sync_committee_indices=[])], "validator_sync_committee_indices"),
        ([duty(validator_sync_committee_indices=["1", "1"])], "validator_sync_committee_indices"),
        ([duty(validator_sync_committee_indices=["-1"])], "validator_sync_committee_indices"),
        ([duty(validator_sync_committee_indices=["1"] * 513)], "validator_sync_committee_indices"),
        ([duty(validator_sync_committee_indices="1")], "validator_sync_committee_indices"),
        ([duty(), duty(validator_index="8")], r"data\[1\].*taken"),
        ([duty(), duty(validator_sync_committee_indices=["9"])], r"data\[1\].*twice"),
        ([duty()] * 3, "limit=2"),
        ([{}], "missing"),
        ({}, "data"),
    ],
)
def test_impossible_duties_are_refused(items: object, named: str) -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers[DUTIES] = Reply({"data": items})
        with pytest.raises(BeaconNodeAnswerInvalid, match=named):
            await client.sync_duties(1, (7, 8))

    run_with_client(scenario)


def test_contribution_is_read_in_json_and_ssz() -> None:
    expected = contribution()

    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers[CONTRIBUTION] = [
            Reply({"data": expected.to_json()}),
            Reply(body=expected.to_ssz(), content_type=SSZ),
            refusal(404, "no contribution"),
            refusal(503, "optimistic"),
        ]
        for _ in range(2):
            assert await client.sync_contribution(9, 3, ROOT) == expected
        assert node.seen[-1].query == {
            "slot": "9",
            "subcommittee_index": "3",
            "beacon_block_root": "0x" + ROOT.hex(),
        }
        assert await client.sync_contribution(9, 3, ROOT) is None
        with pytest.raises(BeaconNodeRefused, match="optimistic"):
            await client.sync_contribution(9, 3, ROOT)

    run_with_client(scenario)


@pytest.mark.parametrize("ssz", [False, True])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("slot", 8),
        ("subcommittee_index", 2),
        ("beacon_block_root", bytes(32)),
        ("aggregation_bits", Bits.zeros(SIZE)),
    ],
)
def test_contribution_that_was_not_asked_for_is_refused(
    field: str, value: object, *, ssz: bool
) -> None:
    wrong = contribution(**{field: value})
    reply = Reply({"data": wrong.to_json()})
    if ssz:
        reply = Reply(body=wrong.to_ssz(), content_type=SSZ)

    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers[CONTRIBUTION] = reply
        with pytest.raises(BeaconNodeAnswerInvalid, match=f"field={field}"):
            await client.sync_contribution(9, 3, ROOT)

    run_with_client(scenario)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b"short", content_type=SSZ),
        Reply(
            body=replace(
                contribution(), preset="mainnet", aggregation_bits=Bits.single(2, 128)
            ).to_ssz(),
            content_type=SSZ,
        ),
        Reply({"data": {**contribution().to_json(), "aggregation_bits": "0xffff"}}),
        Reply({"data": []}),
        Reply([]),
        Reply(body=b"<html>"),
    ],
)
def test_contribution_of_another_form_is_refused(reply: Reply) -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers[CONTRIBUTION] = reply
        with pytest.raises(BeaconNodeAnswerInvalid, match="sync_committee_contribution"):
            await client.sync_contribution(9, 3, ROOT)

    run_with_client(scenario)


def test_submissions_and_subscriptions_are_as_described() -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers = {MESSAGES: Reply(), CONTRIBUTIONS: Reply(), SUBSCRIPTIONS: Reply()}
        await client.submit_sync_messages((message(1), message(2)))
        assert [item["validator_index"] for item in json.loads(node.seen[-1].body)] == ["1", "2"]
        signed = signed_contribution(5)
        await client.submit_contributions((signed,))
        assert json.loads(node.seen[-1].body) == [signed.to_json()]
        subscription = SyncSubscription(validator_index=1, positions=(3, 500), until_epoch=256)
        await client.subscribe_sync_committees((subscription,))
        assert json.loads(node.seen[-1].body) == [
            {
                "validator_index": "1",
                "sync_committee_indices": ["3", "500"],
                "until_epoch": "256",
            }
        ]
        await client.submit_sync_messages(())
        await client.submit_contributions(())
        await client.subscribe_sync_committees(())
        assert len(node.seen) == 3

    run_with_client(scenario)
