"""Attestation data goes out once agreed; what comes in must be that data, signed by our share."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.ethereum.beacon_node.fake_node import Reply
from tests.ethereum.beacon_node.support import attestation_data
from tests.validator_api.world import (
    COMMITTEE_LENGTH,
    IDLE_SLOT,
    JSON,
    OWN,
    SLOT,
    SSZ,
    Got,
    World,
    root_key,
    run_world,
)

from tetrarch.duties.types import AttestationPayload, Duty, DutyType
from tetrarch.ethereum.spec.attestations import (
    SingleAttestation,
    SubmittedAttestation,
    build_attestation,
    submissions_to_json,
    submissions_to_ssz,
)
from tetrarch.ethereum.spec.domains import DomainType
from tetrarch.ethereum.spec.values import AttestationData, Fork
from tetrarch.validator_api.api import Limits

DATA = "/eth/v1/validator/attestation_data"
V1 = "/eth/v1/beacon/pool/attestations"
V2 = "/eth/v2/beacon/pool/attestations"
OLD_AND_NEW = [Fork.ALTAIR, Fork.DENEB, Fork.ELECTRA, Fork.FULU]


def attest(
    world: World, validator: int, data: AttestationData, **changes: Any
) -> SubmittedAttestation:
    """Validator's attestation to ``data`` by this node's share, in the fork's shape."""
    operator = changes.pop("operator", OWN)
    root = data.hash_tree_root()
    signature = world.signed(DomainType.BEACON_ATTESTER, root, validator, operator=operator)
    if not world.fork.at_least(Fork.ELECTRA):
        position = changes.pop("position", validator)
        return build_attestation(
            data,
            committee_length=COMMITTEE_LENGTH,
            validator_committee_index=position,
            signature=changes.pop("signature", signature),
        )
    values = {
        "committee_index": validator - 1,
        "attester_index": 100 + validator,
        "data": data,
        "signature": signature,
        **changes,
    }
    return SingleAttestation(**values)


async def submit(world: World, *attestations: SubmittedAttestation, ssz: bool = False) -> Got:
    value: object = submissions_to_json(attestations)
    if ssz:
        value = submissions_to_ssz(world.fork, attestations)
    return await world.post(V2, value, Eth_Consensus_Version=world.fork.value)


@pytest.mark.parametrize("fork", OLD_AND_NEW)
def test_data_is_served_in_json_and_ssz(fork: Fork) -> None:
    async def scenario(world: World) -> None:
        agreed = world.agreed_attestation()
        path = f"{DATA}?slot={SLOT}&committee_index=1"
        got = await world.get(path)
        assert got.status == 200
        assert AttestationData.from_json(got.value["data"]) == agreed[1]
        got = await world.get(path, accept=SSZ + ";q=1," + JSON + ";q=0.9")
        assert got.headers["Content-Type"] == SSZ
        assert AttestationData.from_ssz(got.body) == agreed[1]
        assert (await world.get(f"{DATA}?slot={SLOT}")).status == 200
        assert world.node.paths() == []

    run_world(scenario, fork=fork)


def test_data_is_waited_for() -> None:
    async def scenario(world: World) -> None:
        asked = asyncio.create_task(world.get(f"{DATA}?slot={SLOT}&committee_index=0"))
        await world.decided.asked.wait()
        assert not asked.done()
        world.agreed_attestation()
        assert (await asked).status == 200

    run_world(scenario)


def test_no_agreement_in_time_is_told() -> None:
    async def scenario(world: World) -> None:
        got = await world.get(f"{DATA}?slot={SLOT}&committee_index=0")
        assert got.status == 408
        assert "20/attester" in got.message

    run_world(scenario, limits=Limits(request_s=0.1))


def test_idle_slot_is_answered_at_once_by_the_beacon_node() -> None:
    data = attestation_data(IDLE_SLOT)

    async def scenario(world: World) -> None:
        world.node.answers["GET " + DATA] = Reply({"data": data.to_json()})
        got = await world.get(f"{DATA}?slot={IDLE_SLOT}&committee_index=0", accept="*/*")
        assert AttestationData.from_json(got.value["data"]) == data
        assert world.node.seen[-1].query["slot"] == str(IDLE_SLOT)
        # And nothing can come of it.
        got = await submit(world, attest(world, 1, data))
        assert got.status == 400
        assert "no validator of this cluster attests" in got.value["failures"][0]["message"]
        assert world.submitted == []

    run_world(scenario)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("?slot=-1", 400),
        ("?slot=x&committee_index=0", 400),
        (f"?slot={SLOT}&committee_index=x", 400),
        (f"?slot={SLOT}&slot={SLOT}", 400),
        (f"?slot={2**64}", 400),
        (f"?slot={2**64 - 1}", 503),  # not resolved
    ],
)
def test_bad_questions(query: str, status: int) -> None:
    async def scenario(world: World) -> None:
        got = await world.get(DATA + query)
        assert got.status == status

    run_world(scenario)


def test_unacceptable_media_type() -> None:
    async def scenario(world: World) -> None:
        got = await world.get(f"{DATA}?slot={SLOT}", accept="text/html")
        assert got.status == 406

    run_world(scenario)


@pytest.mark.parametrize("fork", OLD_AND_NEW)
@pytest.mark.parametrize("ssz", [False, True])
def test_right_attestations_are_stored(fork: Fork, *, ssz: bool) -> None:
    async def scenario(world: World) -> None:
        agreed = world.agreed_attestation()
        got = await submit(world, attest(world, 2, agreed[1]), attest(world, 1, agreed[0]), ssz=ssz)
        assert (got.status, got.body) == (200, b"")
        (stored,) = world.submitted  # one set for the whole slot
        assert stored.duty == Duty(SLOT, DutyType.ATTESTER)
        assert [each.pubkey for each in stored.partials] == sorted([root_key(1), root_key(2)])
        payloads = {each.pubkey: each.payload for each in stored.partials}
        assert payloads[root_key(2)] == AttestationPayload(data=agreed[1])
        assert {each.share_index for each in stored.partials} == {OWN}

    run_world(scenario, fork=fork)


def test_version_1_serves_the_forks_before_electra() -> None:
    async def scenario(world: World) -> None:
        agreed = world.agreed_attestation()
        value = submissions_to_json((attest(world, 1, agreed[0]),))
        assert (await world.post(V1, value)).status == 200
        assert len(world.submitted) == 1

    async def refused(world: World) -> None:
        single = attest(world, 1, world.agreed_attestation()[0])
        old = build_attestation(
            single.data,
            committee_length=COMMITTEE_LENGTH,
            validator_committee_index=1,
            signature=single.signature,
        )
        got = await world.post(V1, submissions_to_json((old,)))
        assert got.status == 400
        assert "version 2" in got.value["failures"][0]["message"]

    run_world(scenario, fork=Fork.ALTAIR)
    run_world(refused, fork=Fork.ELECTRA)


@pytest.mark.parametrize("fork", [Fork.DENEB, Fork.ELECTRA])
@pytest.mark.parametrize(
    ("field", "named"), [("beacon_block_root", "beacon_block_root"), ("target", "target")]
)
def test_other_data_than_agreed_is_refused(fork: Fork, field: str, named: str) -> None:
    async def scenario(world: World) -> None:
        agreed = world.agreed_attestation()[0]
        changed: Any = {"beacon_block_root": b"\x09" * 32, "target": agreed.source}
        data = replace(agreed, **{field: changed[field]})
        got = await submit(world, attest(world, 1, data))
        assert got.status == 400
        assert f"{named} differs" in got.value["failures"][0]["message"]
        assert world.submitted == []

    run_world(scenario, fork=fork)


@pytest.mark.parametrize("fork", [Fork.DENEB, Fork.ELECTRA])
@pytest.mark.parametrize(
    "change",
    [
        {"operator": 3},  # another operator's share
        {"signature": b"\xc0" + bytes(95)},  # the neutral signature
        {"signature": bytes(96)},  # no point
    ],
)
def test_signature_must_be_by_our_share(fork: Fork, change: dict[str, Any]) -> None:
    async def scenario(world: World) -> None:
        agreed = world.agreed_attestation()
        good = attest(world, 2, agreed[1])
        got = await submit(world, attest(world, 1, agreed[0], **change), good)
        assert got.status == 400
        assert [each["index"] for each in got.value["failures"]] == [0]
        assert "not by key share" in got.value["failures"][0]["message"]
        # The right one is stored all the same.
        assert [each.pubkey for each in world.submitted[0].partials] == [root_key(2)]

    run_world(scenario, fork=fork)


def test_stranger_is_refused() -> None:
    async def before(world: World) -> None:
        data = world.agreed_attestation()[0]
        got = await submit(world, attest(world, 1, data, position=4))
        assert "no validator of this cluster" in got.value["failures"][0]["message"]

    async def since(world: World) -> None:
        data = world.agreed_attestation()[0]
        got = await submit(
            world,
            attest(world, 1, data, attester_index=7),
            attest(world, 1, data, committee_index=1),
        )
        first, second = got.value["failures"]
        assert "validator 7" in first["message"]
        assert "committee 0" in second["message"]

    run_world(before, fork=Fork.DENEB)
    run_world(since, fork=Fork.ELECTRA)


def test_two_bits_are_no_vote() -> None:
    async def scenario(world: World) -> None:
        one = attest(world, 1, world.agreed_attestation()[0]).to_json()
        got = await world.post(V1, [{**one, "aggregation_bits": "0x26"}])
        assert "only bit" in got.value["failures"][0]["message"]

    run_world(scenario)


def test_same_attestation_twice_is_one() -> None:
    async def scenario(world: World) -> None:
        one = attest(world, 1, world.agreed_attestation()[0])
        assert (await submit(world, one, one)).status == 200
        assert len(world.submitted[0].partials) == 1

    run_world(scenario)


@pytest.mark.parametrize(
    ("value", "headers", "status"),
    [
        ([], {}, 400),  # no version header
        ([], {"Eth_Consensus_Version": "gloas"}, 400),
        ({}, {"Eth_Consensus_Version": "electra"}, 400),
        ([7], {"Eth_Consensus_Version": "electra"}, 400),
        (b"x", {"Eth_Consensus_Version": "electra"}, 400),
        (b"", {"Eth_Consensus_Version": "electra", "Content_Type": "text/plain"}, 415),
        ([], {"Eth_Consensus_Version": "electra"}, 200),
        (b"", {"Eth_Consensus_Version": "electra"}, 200),
    ],
)
def test_malformed_submissions(value: object, headers: dict[str, str], status: int) -> None:
    async def scenario(world: World) -> None:
        got = await world.post(V2, value, **headers)
        assert got.status == status
        assert world.submitted == []

    run_world(scenario, fork=Fork.ELECTRA)


def test_undecided_data_is_waited_for_once() -> None:
    async def scenario(world: World) -> None:
        data = attestation_data(SLOT)
        many = [attest(world, 1, data)] * 50
        got = await submit(world, *many)
        assert got.status == 408
        assert world.submitted == []

    run_world(scenario, limits=Limits(request_s=0.2))


def test_header_must_name_the_slots_fork() -> None:
    async def scenario(world: World) -> None:
        one = attest(world, 1, world.agreed_attestation()[0])
        got = await world.post(V2, submissions_to_json((one,)), Eth_Consensus_Version="capella")
        assert "slot 20 is in deneb" in got.value["failures"][0]["message"]

    run_world(scenario, fork=Fork.DENEB)
