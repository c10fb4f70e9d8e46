"""Sync committee messages and contributions: heads in, agreed contributions out, signed ones in."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.duties.duty_world import RecordingLog, database
from tests.ethereum.beacon_node.fake_node import Reply
from tests.validator_api.world import (
    IDLE_SLOT,
    JSON,
    OWN,
    SLOT,
    SSZ,
    FixedClock,
    Got,
    World,
    group_proof,
    hexed,
    root_key,
    run_world,
)

from tetrarch.duties.deadline import Deadlines
from tetrarch.duties.parsigdb import ParSigDB
from tetrarch.duties.types import (
    ContributionPayload,
    Duty,
    DutyType,
    SyncMessagePayload,
    SyncSelectionPayload,
    UnsignedContribution,
)
from tetrarch.ethereum.spec.aggregates import (
    ContributionAndProof,
    SignedContributionAndProof,
    SyncCommitteeContribution,
)
from tetrarch.ethereum.spec.domains import DomainType
from tetrarch.ethereum.spec.messages import SyncCommitteeMessage
from tetrarch.ethereum.spec.values import Fork
from tetrarch.ssz.bits import Bits
from tetrarch.validator_api.api import Limits

MESSAGES = "/eth/v1/beacon/pool/sync_committees"
CONTRIBUTION = "/eth/v1/validator/sync_committee_contribution"
CONTRIBUTIONS = "/eth/v1/validator/contribution_and_proofs"
HEAD = b"\x11" * 32
OTHER_HEAD = b"\x22" * 32


def vote(world: World, validator: int, **changes: Any) -> SyncCommitteeMessage:
    """A validator's message by this node's share."""
    operator, head = changes.pop("operator", OWN), changes.pop("head", HEAD)
    signature = world.signed(DomainType.SYNC_COMMITTEE, head, validator, operator=operator)
    values = {
        "slot": SLOT,
        "beacon_block_root": head,
        "validator_index": 100 + validator,
        "signature": signature,
        **changes,
    }
    return SyncCommitteeMessage(**values)


def contribution_of(validator: int, subcommittee: int) -> ContributionAndProof:
    """What the cluster agrees on for ``validator``."""
    contribution = SyncCommitteeContribution(
        preset="minimal",
        slot=SLOT,
        beacon_block_root=HEAD,
        subcommittee_index=subcommittee,
        aggregation_bits=Bits.of(position in (1, 2) for position in range(8)),
        signature=b"\xa5" * 96,
    )
    return ContributionAndProof(
        aggregator_index=100 + validator,
        contribution=contribution,
        selection_proof=group_proof(SLOT, root_key(validator), subcommittee),
    )


def decide(world: World, *places: tuple[int, int]) -> list[ContributionAndProof]:
    messages = [contribution_of(*place) for place in places]
    items = (
        UnsignedContribution(pubkey=root_key(validator), message=message)
        for (validator, _), message in zip(places, messages, strict=True)
    )
    world.decided.decide(DutyType.SYNC_CONTRIBUTION, *items)
    return messages


def sign(
    world: World, validator: int, message: ContributionAndProof, *, operator: int = OWN
) -> SignedContributionAndProof:
    root = message.hash_tree_root()
    signature = world.signed(DomainType.CONTRIBUTION_AND_PROOF, root, validator, operator=operator)
    return SignedContributionAndProof(message=message, signature=signature)


Signed = SyncCommitteeMessage | SignedContributionAndProof


async def submit(world: World, path: str, *signed: Signed, ssz: bool = False) -> Got:
    value: object = [each.to_json() for each in signed]
    if ssz:
        value = b"".join(each.to_ssz() for each in signed)
    return await world.post(path, value)


@pytest.mark.parametrize("fork", [Fork.ALTAIR, Fork.FULU])
@pytest.mark.parametrize("ssz", [False, True])
def test_messages_are_stored(fork: Fork, *, ssz: bool) -> None:
    async def scenario(world: World) -> None:
        got = await submit(world, MESSAGES, vote(world, 2), vote(world, 1), ssz=ssz)
        assert (got.status, got.body) == (200, b"")
        (stored,) = world.submitted
        assert stored.duty == Duty(SLOT, DutyType.SYNC_MESSAGE)
        assert [each.pubkey for each in stored.partials] == sorted([root_key(1), root_key(2)])
        payload = SyncMessagePayload(slot=SLOT, beacon_block_root=HEAD)
        assert {each.payload for each in stored.partials} == {payload}
        assert world.node.paths() == []

    run_world(scenario, fork=fork)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"slot": IDLE_SLOT}, "has no duty 21"),
        ({"slot": 18}, "ended"),
        ({"slot": 2**64 - 1}, "too far ahead"),
        ({"slot": 33}, "not_resolved"),
        ({"validator_index": 103}, "validator 103 of this cluster has no duty"),
        ({"validator_index": 7}, "validator 7 of this cluster has no duty"),
        ({"operator": 3}, "not by key share"),
        ({"signature": bytes(96)}, "not by key share"),
        ({"beacon_block_root": OTHER_HEAD}, "not by key share"),
    ],
)
@pytest.mark.parametrize("ssz", [False, True])
def test_a_wrong_message_is_told_and_the_others_are_stored(
    change: dict[str, Any], reason: str, *, ssz: bool
) -> None:
    async def scenario(world: World) -> None:
        wrong = vote(world, 1, **change)
        got = await submit(world, MESSAGES, vote(world, 2), wrong, ssz=ssz)
        assert got.status == 400
        (failure,) = got.value["failures"]
        assert failure["index"] == 1
        assert reason in failure["message"]
        (stored,) = world.submitted
        assert [each.pubkey for each in stored.partials] == [root_key(2)]

    run_world(scenario)


def test_two_heads_of_one_validator_are_one_too_many() -> None:
    async def scenario(world: World) -> None:
        votes = vote(world, 1), vote(world, 1), vote(world, 1, head=OTHER_HEAD)
        got = await submit(world, MESSAGES, *votes)
        assert got.status == 400
        (failure,) = got.value["failures"]
        assert (failure["index"], failure["message"]) == (
            2,
            "the validator signs twice in the request",
        )
        (partial,) = world.submitted[0].partials
        assert partial.payload == SyncMessagePayload(slot=SLOT, beacon_block_root=HEAD)

    run_world(scenario)


def test_a_second_client_with_another_head_is_told_and_the_first_vote_stays() -> None:
    """Two clients of one node (a standby) need not see the same head. Before the real ParSigDB."""

    async def scenario(world: World) -> None:
        storage = database()
        deadlines = Deadlines(chain=world.chain, clock=FixedClock())
        partials = ParSigDB(
            storage=storage,
            threshold=3,
            clock=FixedClock(),
            is_open=deadlines.is_open,
            log=RecordingLog(),
        )
        world.api.submitted.subscribe(partials.store_internal)
        assert (await submit(world, MESSAGES, vote(world, 1))).status == 200
        second = vote(world, 1, head=OTHER_HEAD), vote(world, 2, head=OTHER_HEAD)
        got = await submit(world, MESSAGES, *second)
        assert got.status == 400
        (failure,) = got.value["failures"]
        assert failure["index"] == 0
        assert "signed something else" in failure["message"]
        own = partials.own_partials(Duty(SLOT, DutyType.SYNC_MESSAGE), OWN)
        assert own is not None
        heads = {
            each.pubkey: each.payload.beacon_block_root
            for each in own.partials
            if isinstance(each.payload, SyncMessagePayload)
        }
        assert heads == {root_key(1): HEAD, root_key(2): OTHER_HEAD}

    run_world(scenario)


@pytest.mark.parametrize("path", [MESSAGES, CONTRIBUTIONS])
def test_malformed_items_are_told(path: str) -> None:
    async def scenario(world: World) -> None:
        decide(world, (2, 0))
        right: Signed = vote(world, 2)
        if path == CONTRIBUTIONS:
            right = sign(world, 2, contribution_of(2, 0))
        got = await world.post(path, [7, right.to_json(), {"slot": "x"}])
        assert got.status == 400
        assert [each["index"] for each in got.value["failures"]] == [0, 2]
        assert len(world.submitted) == 1

    run_world(scenario)


@pytest.mark.parametrize("path", [MESSAGES, CONTRIBUTIONS])
@pytest.mark.parametrize(
    ("value", "headers", "status"),
    [
        ({}, {}, 400),
        (b"x", {}, 400),
        (b"", {"Content_Type": "text/plain"}, 415),
        ([{}] * 65_537, {}, 400),
        (bytes(4 * 1024 * 1024 + 1), {}, 413),
        ([], {}, 200),
        (b"", {}, 200),
    ],
)
def test_malformed_requests(path: str, value: object, headers: dict[str, str], status: int) -> None:
    async def scenario(world: World) -> None:
        assert (await world.post(path, value, **headers)).status == status
        assert world.submitted == []

    run_world(scenario)


def question(subcommittee: int, *, slot: int = SLOT, head: bytes = HEAD) -> str:
    query = f"?slot={slot}&subcommittee_index={subcommittee}&beacon_block_root={hexed(head)}"
    return CONTRIBUTION + query


def test_contribution_is_served_once_agreed() -> None:
    async def scenario(world: World) -> None:
        asked = asyncio.create_task(world.get(question(3)))
        await world.decided.asked.wait()
        assert not asked.done()
        agreed = decide(world, (2, 0), (1, 3))[1].contribution
        got = await asked
        assert (got.status, got.value) == (200, {"data": agreed.to_json()})
        assert (await world.get(question(3, head=OTHER_HEAD))).status == 404
        assert (await world.get(question(1))).status == 404  # ours, and nobody was drawn
        assert world.node.paths() == []

    run_world(scenario)


def test_ssz_contribution_is_for_those_who_take_no_json() -> None:
    async def scenario(world: World) -> None:
        agreed = decide(world, (1, 3))[0].contribution
        got = await world.get(question(3), accept=f"{SSZ};q=1,{JSON};q=0.9")
        assert got.value == {"data": agreed.to_json()}
        world.judges = False
        got = await world.get(question(3), accept=SSZ)
        assert (got.headers["Content-Type"], got.body) == (SSZ, agreed.to_ssz())

    run_world(scenario)


def test_no_agreement_in_time_is_told() -> None:
    async def scenario(world: World) -> None:
        assert (await world.get(question(0))).status == 408
        signed = sign(world, 2, contribution_of(2, 0))
        assert (await submit(world, CONTRIBUTIONS, signed)).status == 408
        assert world.submitted == []

    run_world(scenario, limits=Limits(request_s=0.1))


def test_where_nobody_was_drawn_there_is_nothing_to_wait_for() -> None:
    async def scenario(world: World) -> None:
        # One of 8 is drawn in a mainnet subcommittee of 128: the second proof is, not the first.
        mainnet = replace(world.chain, preset="mainnet")
        world.api.ports = replace(world.api.ports, chain=mainnet)
        payload = SyncSelectionPayload(slot=SLOT, subcommittee_index=0)
        world.aggregated.hold(payload, root_key(1))
        assert (await world.get(question(0))).status == 408  # the second is not known
        world.aggregated.hold(payload, root_key(2))
        assert (await world.get(question(0))).status == 408  # and is drawn
        duty = Duty(SLOT, DutyType.SYNC_CONTRIBUTION)
        world.duties.known[duty] = world.duties.known[duty][:1]
        got = await world.get(question(0))
        assert got.status == 404
        assert "drawn" in got.message

    run_world(scenario, limits=Limits(request_s=0.1))


def test_client_that_asked_for_no_selections_is_answered_at_once() -> None:
    async def scenario(world: World) -> None:
        world.proofs.handed_in = False
        got = await world.get(question(0))
        assert got.status == 404
        assert "does not run in distributed mode" in got.message
        got = await submit(world, CONTRIBUTIONS, sign(world, 2, contribution_of(2, 0)))
        assert got.status == 400
        assert "distributed mode" in got.value["failures"][0]["message"]
        assert world.submitted == []
        assert not world.decided.asked.is_set(), "nobody waits for what cannot come"

    run_world(scenario)


@pytest.mark.parametrize(("slot", "subcommittee"), [(IDLE_SLOT, 0), (SLOT, 2), (SLOT, 2**64 - 1)])
def test_where_nothing_is_due_the_beacon_node_answers_at_once(slot: int, subcommittee: int) -> None:
    async def scenario(world: World) -> None:
        world.node.judges = False
        value = {"data": contribution_of(2, 0).contribution.to_json()}
        world.node.answers["GET " + CONTRIBUTION] = Reply(value)
        got = await world.get(question(subcommittee, slot=slot))
        assert got.value == value

    run_world(scenario)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("?slot=20&subcommittee_index=0", 400),
        (f"?slot=20&beacon_block_root={hexed(HEAD)}", 400),
        ("?slot=20&subcommittee_index=0&beacon_block_root=0x11", 400),
        (f"?slot=40&subcommittee_index=0&beacon_block_root={hexed(HEAD)}", 503),
    ],
)
def test_bad_questions(query: str, status: int) -> None:
    async def scenario(world: World) -> None:
        assert (await world.get(CONTRIBUTION + query)).status == status

    run_world(scenario)


def test_unacceptable_media_type() -> None:
    async def scenario(world: World) -> None:
        assert (await world.get(question(0), accept="text/html")).status == 406

    run_world(scenario)


@pytest.mark.parametrize("ssz", [False, True])
def test_contributions_of_several_subcommittees_are_stored(*, ssz: bool) -> None:
    async def scenario(world: World) -> None:
        places = [(1, 3), (2, 0), (1, 0)]
        messages = decide(world, *places)
        signed = [
            sign(world, validator, message)
            for (validator, _), message in zip(places, messages, strict=True)
        ]
        for _ in range(2):  # the same again does no harm
            got = await submit(world, CONTRIBUTIONS, *signed, ssz=ssz)
            assert (got.status, got.body) == (200, b"")
        stored, again = world.submitted
        assert stored == again
        assert stored.duty == Duty(SLOT, DutyType.SYNC_CONTRIBUTION)
        found = [(each.pubkey, each.sub_index) for each in stored.partials]
        assert found == sorted((root_key(validator), place) for validator, place in places)
        payloads = {each.payload for each in stored.partials}
        assert payloads == {ContributionPayload(message=message) for message in messages}

    run_world(scenario, fork=Fork.FULU)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"selection_proof": b"\x01" * 96}, "selection_proof differs"),
        ({"beacon_block_root": OTHER_HEAD}, "beacon_block_root differs"),
        ({"aggregation_bits": Bits.of([True] * 8)}, "aggregation_bits differs"),
        ({"signature": b"\x02" * 96}, "signature differs"),
        ({"subcommittee_index": 1}, "sync subcommittee 1"),
        ({"subcommittee_index": 300}, "sync subcommittee 300"),
        ({"aggregator_index": 102}, "did not agree that validator 102"),
        ({"aggregator_index": 7}, "validator 7 of this cluster has no duty"),
        ({"slot": IDLE_SLOT}, "has no duty 21"),
        ({"slot": 18}, "ended"),
        ({"operator": 3}, "not by key share"),
    ],
)
def test_another_contribution_than_agreed_is_refused(change: dict[str, Any], reason: str) -> None:
    async def scenario(world: World) -> None:
        message = decide(world, (1, 3))[0]
        fields = dict(change)
        operator = fields.pop("operator", OWN)
        own = {k: fields.pop(k) for k in ("selection_proof", "aggregator_index") if k in fields}
        changed = replace(message, contribution=replace(message.contribution, **fields), **own)
        wrong = sign(world, 1, changed, operator=operator)
        got = await submit(world, CONTRIBUTIONS, wrong)
        assert got.status == 400
        (failure,) = got.value["failures"]
        assert failure["index"] == 0
        assert reason in failure["message"]
        assert world.submitted == []

    run_world(scenario)
