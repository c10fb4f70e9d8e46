"""Duties, attestation data and submissions, on nodes with and without the newer endpoints."""

import json

import pytest
from tests.ethereum.beacon_node.fake_node import SSZ, FakeBeaconNode, Reply, refusal
from tests.ethereum.beacon_node.support import attestation_data, run_with_client

from tetrarch.ethereum.beacon_node.client import BeaconNodeClient
from tetrarch.ethereum.beacon_node.errors import BeaconNodeAnswerInvalid, BeaconNodeRefused
from tetrarch.ethereum.beacon_node.ports import (
    AttestationSubmission,
    CommitteeSubscription,
    ProposerPreparation,
)
from tetrarch.ethereum.spec.values import Fork

ROOT = "0x" + "11" * 32
ATTESTER = "POST /eth/v1/validator/duties/attester/1"
DATA = "GET /eth/v1/validator/attestation_data"
V1 = "/eth/v1/beacon/pool/attestations"
V2 = "/eth/v2/beacon/pool/attestations"


def duty(**changes: object) -> dict[str, object]:
    return {
        "pubkey": "0x" + "ab" * 48,
        "validator_index": "7",
        "committee_index": "1",
        "committee_length": "8",
        "committees_at_slot": "2",
        "validator_committee_index": "3",
        "slot": "9",
        **changes,
    }


def duties(*items: object) -> Reply:
    value = {"dependent_root": ROOT, "execution_optimistic": False, "data": list(items)}
    return Reply(value)


def test_attester_duties() -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers[ATTESTER] = duties(duty())
        found = await client.attester_duties(1, (7, 8))
        assert found.dependent_root == b"\x11" * 32
        (only,) = found.duties
        assert (only.slot, only.committee_index, only.validator_committee_index) == (9, 1, 3)
        assert json.loads(node.seen[-1].body) == ["7", "8"]

    run_with_client(scenario)


@pytest.mark.parametrize(
    "changes",
    [
        {"validator_index": "6"},
        {"committee_index": "2"},
        {"committees_at_slot": "65"},
        {"validator_committee_index": "8"},
        {"pubkey": "0xab"},
        {"slot": "soon"},
    ],
)
def test_impossible_duty_is_refused(changes: dict[str, object]) -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers[ATTESTER] = duties(duty(**changes))
        with pytest.raises(BeaconNodeAnswerInvalid, match=r"data\[0\]"):
            await client.attester_duties(1, (7,))

    run_with_client(scenario)


def test_proposer_duties_of_both_versions() -> None:
    proposer = {"pubkey": "0x" + "cd" * 48, "validator_index": "4", "slot": "10"}

    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers["GET /eth/v2/validator/duties/proposer/1"] = duties(proposer)
        assert (await client.proposer_duties(1)).duties[0].validator_index == 4
        node.answers["GET /eth/v1/validator/duties/proposer/1"] = duties(proposer, proposer)
        assert len((await client.proposer_duties(1)).duties) == 2

    run_with_client(scenario)


@pytest.mark.parametrize("ssz", [True, False])
def test_attestation_data(*, ssz: bool) -> None:
    data = attestation_data(9, index=2)

    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        reply = Reply({"data": data.to_json()})
        if ssz:
            reply = Reply(body=data.to_ssz(), content_type=SSZ)
        node.answers[DATA] = reply
        assert await client.attestation_data(9, 2) == data
        assert node.seen[-1].query == {"slot": "9", "committee_index": "2"}
        for slot, index in ((8, 2), (9, 3)):
            with pytest.raises(BeaconNodeAnswerInvalid, match=r"slot|index"):
                await client.attestation_data(slot, index)
        node.answers[DATA] = Reply(body=b"short", content_type=SSZ)
        with pytest.raises(BeaconNodeAnswerInvalid):
            await client.attestation_data(9, 2)

    run_with_client(scenario)


def submission(position: int) -> AttestationSubmission:
    return AttestationSubmission(
        data=attestation_data(9),
        signature=bytes([position]) * 96,
        validator_index=70 + position,
        committee_index=1,
        committee_length=9,
        validator_committee_index=position,
    )


def test_submissions_have_the_forks_shape() -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers["POST " + V2] = Reply()
        await client.submit_attestations(Fork.DENEB, (submission(0), submission(8)))
        sent = json.loads(node.seen[-1].body)
        assert [item["aggregation_bits"] for item in sent] == ["0x0102", "0x0003"]
        await client.submit_attestations(Fork.ELECTRA, (submission(8),))
        (single,) = json.loads(node.seen[-1].body)
        assert (single["attester_index"], single["committee_index"]) == ("78", "1")
        assert node.seen[-1].headers["Eth-Consensus-Version"] == "electra"

    run_with_client(scenario)


def test_old_node_gets_version_1_before_electra_only() -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers["POST " + V1] = Reply()
        await client.submit_attestations(Fork.ALTAIR, (submission(1),))
        assert node.paths() == ["POST " + V2, "POST " + V1]
        with pytest.raises(BeaconNodeRefused):
            await client.submit_attestations(Fork.ELECTRA, (submission(1),))
        node.answers["POST " + V2] = refusal(400, "PriorAttestationKnown")
        with pytest.raises(BeaconNodeRefused, match="PriorAttestationKnown"):
            await client.submit_attestations(Fork.ALTAIR, (submission(1),))

    run_with_client(scenario)


def test_preparations_and_subscriptions() -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        prepare = "/eth/v1/validator/prepare_beacon_proposer"
        subscribe = "/eth/v1/validator/beacon_committee_subscriptions"
        node.answers = {"POST " + prepare: Reply(), "POST " + subscribe: Reply(body=b"OK")}
        preparation = ProposerPreparation(validator_index=1, fee_recipient=b"\x22" * 20)
        await client.prepare_beacon_proposer((preparation,))
        subscription = CommitteeSubscription(
            validator_index=1, slot=9, committee_index=0, committees_at_slot=2
        )
        await client.subscribe_committees((subscription,))
        assert json.loads(node.seen[0].body)[0]["fee_recipient"] == "0x" + "22" * 20
        assert json.loads(node.seen[1].body)[0]["is_aggregator"] is False

    run_with_client(scenario)
