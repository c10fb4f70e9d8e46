"""Aggregates go out once agreed; what comes in must be that message, signed by our share."""

import asyncio
from collections.abc import Sequence
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
    MovableClock,
    World,
    group_proof,
    hexed,
    root_key,
    run_world,
)

from tetrarch.duties.types import (
    AggregatePayload,
    AttesterDefinition,
    Duty,
    DutyType,
    SelectionPayload,
    UnsignedAggregate,
)
from tetrarch.ethereum.spec.aggregates import (
    Aggregate,
    AggregateAndProof,
    SignedAggregateAndProof,
    aggregate_from_json,
    aggregate_from_ssz,
)
from tetrarch.ethereum.spec.attestations import Attestation, SlotAttestation
from tetrarch.ethereum.spec.domains import DomainType
from tetrarch.ethereum.spec.values import Fork
from tetrarch.ssz.bits import Bits
from tetrarch.validator_api.api import Limits

GET_V1 = "/eth/v1/validator/aggregate_attestation"
GET_V2 = "/eth/v2/validator/aggregate_attestation"
POST_V1 = "/eth/v1/validator/aggregate_and_proofs"
POST_V2 = "/eth/v2/validator/aggregate_and_proofs"
OLD_AND_NEW = [Fork.PHASE0, Fork.DENEB, Fork.ELECTRA, Fork.FULU]
ROOT = "0x" + "11" * 32


def aggregate_of(fork: Fork, committee: int, *, head: int = 1) -> Aggregate:
    """Two votes of a committee."""
    bits = Bits.of(position in (1, 3) for position in range(COMMITTEE_LENGTH))
    if not fork.at_least(Fork.ELECTRA):
        data = attestation_data(SLOT, committee, head)
        return Attestation(aggregation_bits=bits, data=data, signature=b"\xa5" * 96)
    return SlotAttestation(
        preset="minimal",
        aggregation_bits=bits,
        data=attestation_data(SLOT, 0, head),
        signature=b"\xa5" * 96,
        committee_bits=Bits.single(committee, 4),
    )


def message_of(fork: Fork, validator: int) -> AggregateAndProof:
    """What the cluster agrees on for ``validator``."""
    return AggregateAndProof(
        fork=fork,
        preset="minimal",
        aggregator_index=100 + validator,
        aggregate=aggregate_of(fork, validator - 1),
        selection_proof=group_proof(SLOT, root_key(validator)),
    )


def decide(world: World, *validators: int) -> list[AggregateAndProof]:
    messages = [message_of(world.fork, validator) for validator in validators]
    items = (
        UnsignedAggregate(pubkey=root_key(validator), message=message)
        for validator, message in zip(validators, messages, strict=True)
    )
    world.decided.decide(DutyType.AGGREGATOR, *items)
    return messages


def sign(
    world: World, validator: int, message: AggregateAndProof, *, operator: int = OWN
) -> SignedAggregateAndProof:
    root = message.hash_tree_root()
    signature = world.signed(DomainType.AGGREGATE_AND_PROOF, root, validator, operator=operator)
    return SignedAggregateAndProof(message=message, signature=signature)


def in_ssz(signed: Sequence[SignedAggregateAndProof]) -> bytes:
    parts = [each.to_ssz() for each in signed]
    offset, offsets = 4 * len(parts), b""
    for part in parts:
        offsets += offset.to_bytes(4, "little")
        offset += len(part)
    return offsets + b"".join(parts)


async def submit(world: World, *signed: SignedAggregateAndProof, ssz: bool = False) -> Got:
    value: object = [each.to_json() for each in signed]
    if ssz:
        value = in_ssz(signed)
    return await world.post(POST_V2, value, Eth_Consensus_Version=world.fork.value)


def question(aggregate: Aggregate, committee: int | None, *, slot: int = SLOT) -> str:
    root = hexed(aggregate.data.hash_tree_root())
    text = f"?attestation_data_root={root}&slot={slot}"
    return text if committee is None else f"{text}&committee_index={committee}"


@pytest.mark.parametrize("fork", OLD_AND_NEW)
def test_aggregate_is_served_in_json_and_ssz(fork: Fork) -> None:
    async def scenario(world: World) -> None:
        agreed = decide(world, 1, 2)[1].aggregate
        path = GET_V2 + question(agreed, 1)
        got = await world.get(path)
        assert got.status == 200
        assert got.headers["Eth-Consensus-Version"] == got.value["version"] == fork.value
        assert aggregate_from_json(fork, got.value["data"], preset="minimal") == agreed
        got = await world.get(path, accept=f"{SSZ};q=1,{JSON};q=0.9")
        assert got.headers["Content-Type"] == SSZ
        assert got.headers["Eth-Consensus-Version"] == fork.value
        assert aggregate_from_ssz(fork, got.body, preset="minimal") == agreed
        assert world.node.paths() == []

    run_world(scenario, fork=fork)


def test_version_1_serves_the_forks_before_electra() -> None:
    async def before(world: World) -> None:
        agreed = decide(world, 1)[0].aggregate
        got = await world.get(GET_V1 + question(agreed, None))
        assert got.status == 200
        assert got.value == {"data": agreed.to_json()}
        got = await world.get(GET_V1 + question(agreed, None), accept=SSZ)
        assert got.body == agreed.to_ssz()

    async def since(world: World) -> None:
        agreed = decide(world, 1)[0].aggregate
        got = await world.get(GET_V1 + question(agreed, None))
        assert got.status == 404
        assert "version 2" in got.message

    run_world(before, fork=Fork.ALTAIR)
    run_world(since, fork=Fork.ELECTRA)


def test_aggregate_is_waited_for() -> None:
    async def scenario(world: World) -> None:
        path = GET_V2 + question(aggregate_of(world.fork, 0), 0)
        asked = asyncio.create_task(world.get(path))
        await world.decided.asked.wait()
        assert not asked.done()
        decide(world, 1)
        assert (await asked).status == 200

    run_world(scenario, fork=Fork.FULU)


def test_no_agreement_in_time_is_told() -> None:
    async def scenario(world: World) -> None:
        got = await world.get(GET_V2 + question(aggregate_of(world.fork, 0), 0))
        assert got.status == 408
        assert "20/aggregator" in got.message

    run_world(scenario, limits=Limits(request_s=0.1))


@pytest.mark.parametrize("fork", [Fork.DENEB, Fork.ELECTRA])
def test_another_root_than_agreed_is_not_there(fork: Fork) -> None:
    async def scenario(world: World) -> None:
        decide(world, 1)
        other = aggregate_of(fork, 0, head=2)
        assert (await world.get(GET_V2 + question(other, 0))).status == 404

    run_world(scenario, fork=fork)


@pytest.mark.parametrize(("slot", "committee"), [(IDLE_SLOT, 0), (SLOT, 3)])
def test_where_nothing_is_due_the_beacon_node_answers_at_once(slot: int, committee: int) -> None:
    async def scenario(world: World) -> None:
        aggregate = aggregate_of(world.fork, 3)
        value = {"version": world.fork.value, "data": aggregate.to_json()}
        world.node.answers["GET " + GET_V2] = Reply(
            value, headers={"Eth-Consensus-Version": world.fork.value}
        )
        got = await world.get(GET_V2 + question(aggregate, committee, slot=slot))
        assert got.value == value
        assert world.node.seen[-1].query["slot"] == str(slot)
        # And nothing can come of it.
        message = replace(message_of(world.fork, 1), aggregate=aggregate)
        if slot == IDLE_SLOT:
            data = attestation_data(IDLE_SLOT)
            message = replace(message, aggregate=replace(aggregate, data=data))
        decide(world, 2)
        got = await submit(world, sign(world, 1, message))
        assert got.status == 400
        assert world.submitted == []

    run_world(scenario, fork=Fork.ELECTRA)


@pytest.mark.parametrize("version", [GET_V1, GET_V2])
def test_where_nobody_was_drawn_there_is_nothing_to_wait_for(version: str) -> None:
    """A client that is not distributed trusts its own proof and asks in vain."""

    async def scenario(world: World) -> None:
        duty = Duty(SLOT, DutyType.AGGREGATOR)
        members = [
            each for each in world.duties.known[duty] if isinstance(each, AttesterDefinition)
        ]
        # One of 128 is drawn in a committee of 2048, and these two proofs are not.
        large = tuple(replace(each, committee_length=2048) for each in members)
        world.duties.known[duty] = large
        path = version + question(aggregate_of(world.fork, 0), 0 if version == GET_V2 else None)
        for validator in (1, 2):
            world.aggregated.hold(SelectionPayload(slot=SLOT), root_key(validator))
        got = await world.get(path)
        assert got.status == 404
        assert "drawn" in got.message
        del world.aggregated.present[root_key(1), 0]  # not known: wait
        assert (await world.get(path)).status == 408
        world.duties.known[duty] = tuple(members)  # everyone is drawn in a small committee
        world.aggregated.hold(SelectionPayload(slot=SLOT), root_key(1))
        assert (await world.get(path)).status == 408

    run_world(scenario, limits=Limits(request_s=0.1))


@pytest.mark.parametrize("version", [GET_V1, GET_V2])
def test_client_that_asked_for_no_selections_is_answered_at_once(version: str) -> None:
    async def scenario(world: World) -> None:
        world.proofs.handed_in = False
        path = version + question(aggregate_of(world.fork, 0), 0 if version == GET_V2 else None)
        got = await world.get(path)
        assert got.status == 404
        assert "does not run in distributed mode" in got.message
        signed = sign(world, 1, message_of(world.fork, 1))
        got = await submit(world, signed)
        assert got.status == 400
        assert "distributed mode" in got.value["failures"][0]["message"]
        assert world.submitted == []
        assert not world.decided.asked.is_set(), "nobody waits for what cannot come"

    run_world(scenario)


def test_aggregate_is_awaited_no_longer_than_its_slot() -> None:
    """A client that goes from slot to slot in one line would miss the next slot's vote."""

    async def scenario(world: World) -> None:
        clock = MovableClock()
        world.api.ports = replace(world.api.ports, clock=clock)
        slot_end_s = world.chain.slot_start_s(SLOT + 1)
        path = GET_V2 + question(aggregate_of(world.fork, 0), 0)
        for left_s in (0.6, -3):  # 12 s slots: no answer in the last half second
            clock.now_s = slot_end_s - left_s
            got = await world.get(path)
            assert (got.status, "in time" in got.message) == (408, True)
        # Late as it is, what is there is served.
        agreed = decide(world, 1)[0].aggregate
        assert (await world.get(GET_V2 + question(agreed, 0))).status == 200

    run_world(scenario)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        (f"?slot={SLOT}&committee_index=0", 400),
        (f"?slot={SLOT}&attestation_data_root={ROOT}", 400),
        (f"?slot=x&committee_index=0&attestation_data_root={ROOT}", 400),
        (f"?slot={SLOT}&committee_index=0&attestation_data_root=0x11", 400),
        (f"?slot={2**64 - 1}&committee_index=0&attestation_data_root={ROOT}", 503),
    ],
)
def test_bad_questions(query: str, status: int) -> None:
    async def scenario(world: World) -> None:
        assert (await world.get(GET_V2 + query)).status == status

    run_world(scenario)


def test_unacceptable_media_type() -> None:
    async def scenario(world: World) -> None:
        path = GET_V2 + question(aggregate_of(world.fork, 0), 0)
        assert (await world.get(path, accept="text/html")).status == 406

    run_world(scenario)


@pytest.mark.parametrize("fork", OLD_AND_NEW)
@pytest.mark.parametrize("ssz", [False, True])
def test_right_aggregates_are_stored(fork: Fork, *, ssz: bool) -> None:
    async def scenario(world: World) -> None:
        one, two = decide(world, 1, 2)
        got = await submit(world, sign(world, 2, two), sign(world, 1, one), ssz=ssz)
        assert (got.status, got.body) == (200, b"")
        (stored,) = world.submitted
        assert stored.duty == Duty(SLOT, DutyType.AGGREGATOR)
        payloads = {each.pubkey: each.payload for each in stored.partials}
        assert payloads == {
            root_key(1): AggregatePayload(message=one),
            root_key(2): AggregatePayload(message=two),
        }

    run_world(scenario, fork=fork)


def test_version_1_takes_the_forks_before_electra() -> None:
    async def before(world: World) -> None:
        signed = sign(world, 1, decide(world, 1)[0])
        assert (await world.post(POST_V1, [signed.to_json()])).status == 200
        assert (await world.post(POST_V1, in_ssz((signed,)))).status == 200
        (partial,) = world.submitted[0].partials
        assert partial.payload == AggregatePayload(message=message_of(world.fork, 1))

    async def since(world: World) -> None:
        old = sign(world, 1, message_of(Fork.DENEB, 1))
        decide(world, 1)
        got = await world.post(POST_V1, [old.to_json()])
        assert got.status == 400
        assert "version 2" in got.value["failures"][0]["message"]
        assert world.submitted == []

    run_world(before, fork=Fork.CAPELLA)
    run_world(since, fork=Fork.ELECTRA)


CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"selection_proof": b"\x01" * 96}, "selection_proof differs"),
    ({"head": 2}, "data differs"),
    ({"bits": Bits.of([True] * COMMITTEE_LENGTH)}, "aggregation_bits differs"),
    ({"votes": b"\x02" * 96}, "signature differs"),
    ({"aggregator_index": 102}, "did not agree that validator 102"),
    ({"aggregator_index": 7}, "validator 7 of this cluster has no duty"),
]


@pytest.mark.parametrize("fork", [Fork.DENEB, Fork.ELECTRA])
@pytest.mark.parametrize(("change", "reason"), CHANGES)
def test_another_message_than_agreed_is_refused(
    fork: Fork, change: dict[str, Any], reason: str
) -> None:
    async def scenario(world: World) -> None:
        message = decide(world, 1)[0]
        aggregate = message.aggregate
        fields = dict(change)
        if "head" in fields:
            aggregate = aggregate_of(fork, 0, head=fields.pop("head"))
        if "bits" in fields:
            aggregate = replace(aggregate, aggregation_bits=fields.pop("bits"))
        if "votes" in fields:
            aggregate = replace(aggregate, signature=fields.pop("votes"))
        changed = replace(message, aggregate=aggregate, **fields)
        got = await submit(world, sign(world, 1, changed), sign(world, 1, message))
        assert got.status == 400
        (failure,) = got.value["failures"]
        assert failure["index"] == 0
        assert reason in failure["message"]
        (partial,) = world.submitted[0].partials
        assert partial.payload == AggregatePayload(message=message)

    run_world(scenario, fork=fork)


@pytest.mark.parametrize("ssz", [False, True])
def test_signature_must_be_by_our_share(*, ssz: bool) -> None:
    async def scenario(world: World) -> None:
        one, two = decide(world, 1, 2)
        signed = sign(world, 1, one, operator=3), sign(world, 2, two)
        got = await submit(world, *signed, ssz=ssz)
        assert got.status == 400
        assert [each["index"] for each in got.value["failures"]] == [0]
        assert "not by key share" in got.value["failures"][0]["message"]
        assert [each.pubkey for each in world.submitted[0].partials] == [root_key(2)]

    run_world(scenario, fork=Fork.ELECTRA)


def test_an_ended_slot_is_refused() -> None:
    async def scenario(world: World) -> None:
        message = message_of(world.fork, 1)
        data = attestation_data(8)
        old = replace(message, aggregate=replace(message.aggregate, data=data))
        got = await submit(world, sign(world, 1, old))
        assert got.status == 400
        assert "ended" in got.value["failures"][0]["message"]
        assert world.submitted == []

    run_world(scenario)


def test_header_must_name_the_slots_fork() -> None:
    async def scenario(world: World) -> None:
        signed = sign(world, 1, decide(world, 1)[0])
        got = await world.post(POST_V2, [signed.to_json()], Eth_Consensus_Version="capella")
        assert "slot 20 is in deneb" in got.value["failures"][0]["message"]
        assert world.submitted == []

    run_world(scenario, fork=Fork.DENEB)


def test_undecided_aggregate_is_refused_in_time() -> None:
    async def scenario(world: World) -> None:
        message = message_of(world.fork, 1)
        got = await submit(world, *[sign(world, 1, message)] * 3)
        assert got.status == 408
        assert world.submitted == []

    run_world(scenario, limits=Limits(request_s=0.2))


def test_replay_is_taken_again() -> None:
    async def scenario(world: World) -> None:
        signed = sign(world, 1, decide(world, 1)[0])
        assert (await submit(world, signed, signed)).status == 200
        assert (await submit(world, signed)).status == 200
        assert world.submitted[0] == world.submitted[1]

    run_world(scenario)


NAMED = {"Eth_Consensus_Version": "electra"}


@pytest.mark.parametrize(
    ("value", "headers", "status"),
    [
        ([], {}, 400),  # no version header
        ([], {"Eth_Consensus_Version": "gloas"}, 400),
        ({}, NAMED, 400),
        ([7], NAMED, 400),
        (b"x", NAMED, 400),
        (b"\x04\0\0\0", NAMED, 400),
        (b"", {**NAMED, "Content_Type": "text/plain"}, 415),
        (bytes(16 * 1024 * 1024 + 1), NAMED, 413),
        ([], NAMED, 200),
        (b"", NAMED, 200),
    ],
)
def test_malformed_submissions(value: object, headers: dict[str, str], status: int) -> None:
    async def scenario(world: World) -> None:
        got = await world.post(POST_V2, value, **headers)
        assert got.status == status
        assert world.submitted == []

    run_world(scenario, fork=Fork.ELECTRA)
