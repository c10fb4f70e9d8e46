"""Submission: only what the cluster decided leaves, complete, and in the fork's shape."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.duties import other_duties
from tests.duties.duty_world import (
    RecordingLog,
    ScriptedBeaconNode,
    Validators,
    attestation_data,
    block,
    chain_of,
    database,
    proposal_set,
    recorded,
    signed_block,
    signed_randao,
)
from tests.duties.other_duties import (
    aggregate_and_proof,
    contribution_and_proof,
    sync_definitions,
)

from tetrarch.duties.broadcaster import (
    Broadcaster,
    DecisionMissing,
    SignedWithoutDecision,
    SubmissionRefused,
)
from tetrarch.duties.dutydb import DutyDB
from tetrarch.duties.retry import Refusal
from tetrarch.duties.types import (
    AggregatePayload,
    AttestationPayload,
    ContributionPayload,
    DefinitionSet,
    Duty,
    DutyType,
    Payload,
    SelectionPayload,
    SignedData,
    SignedDataSet,
    SyncMessagePayload,
)
from tetrarch.errors import Transient
from tetrarch.ethereum.beacon_node.errors import BeaconNodeRefused
from tetrarch.ethereum.spec.values import Fork

VALIDATORS = Validators(3)
PUBKEY = VALIDATORS.pubkeys[0]
DUTY = Duty(9, DutyType.ATTESTER)


def signed_attestations(**changes: Any) -> SignedDataSet:
    payload = AttestationPayload(data=attestation_data(9, **changes))
    items = tuple(
        SignedData(pubkey=pubkey, payload=payload, signature=bytes([at]) * 96)
        for at, pubkey in enumerate(VALIDATORS.pubkeys)
    )
    return SignedDataSet(duty=DUTY, items=items)


class World:
    def __init__(self, fork: Fork = Fork.ELECTRA) -> None:
        self.node = ScriptedBeaconNode()
        self.decided = DutyDB(storage=database(), preset="minimal")
        self.log = RecordingLog()
        self.broadcaster = Broadcaster(
            beacon_node=self.node,  # type: ignore[arg-type]  # only what a broadcaster calls
            decided=self.decided,
            definitions=self,
            chain=chain_of(fork),
            log=self.log,
        )
        self.submitted = recorded(self.broadcaster.submitted)

    async def get_duty_definition(self, duty: Duty) -> DefinitionSet:
        return replace(sync_definitions(), duty=duty)


@pytest.mark.parametrize("fork", [Fork.ALTAIR, Fork.DENEB, Fork.ELECTRA, Fork.FULU])
def test_attestations_go_out_in_one_call_with_all_that_each_shape_needs(fork: Fork) -> None:
    async def main() -> None:
        world = World(fork)
        await world.decided.store(VALIDATORS.unsigned())
        await world.broadcaster.broadcast(signed_attestations())
        ((called_fork, submissions),) = world.node.called("submit_attestations")
        assert called_fork is fork
        for at, (submission, definition) in enumerate(
            zip(submissions, VALIDATORS.definitions().definitions, strict=True)
        ):
            assert submission.data == attestation_data(9)
            assert submission.signature == bytes([at]) * 96
            for name in (
                "validator_index",
                "committee_index",
                "committee_length",
                "validator_committee_index",
            ):
                assert getattr(submission, name) == getattr(definition, name)
        assert world.submitted == [signed_attestations()]

    asyncio.run(main())


@pytest.mark.parametrize("signed", [signed_attestations(), signed_block(PUBKEY, block())])
def test_missing_decision_is_worth_another_try(signed: SignedDataSet) -> None:
    async def main() -> None:
        world = World()
        with pytest.raises(DecisionMissing) as raised:
            await world.broadcaster.broadcast(signed)
        assert isinstance(raised.value, Transient)
        assert world.node.calls == []
        assert world.submitted == []

    asyncio.run(main())


@pytest.mark.parametrize("blinded", [False, True])
def test_block_is_published_with_the_decided_body(blinded: bool) -> None:
    async def main() -> None:
        world = World()
        proposal = block(blinded=blinded)
        await world.decided.store(proposal_set(PUBKEY, proposal))
        signed_set = signed_block(PUBKEY, proposal)
        await world.broadcaster.broadcast(signed_set)
        ((signed,),) = world.node.called("publish_block")
        assert signed.blinded is blinded
        assert b"\xbb" * 96 in signed.ssz
        assert world.submitted == [signed_set]

    asyncio.run(main())


def test_block_with_another_header_is_neither_published_nor_called_submitted() -> None:
    async def main() -> None:
        world = World()
        await world.decided.store(proposal_set(PUBKEY, block()))
        with pytest.raises(SignedWithoutDecision) as raised:
            await world.broadcaster.broadcast(signed_block(PUBKEY, block(randao=b"\xcc" * 96)))
        assert not isinstance(raised.value, Transient), "it would not get better"
        assert world.node.calls == []
        assert world.submitted == []
        assert len(world.log.find("signed_without_decision")) == 1

    asyncio.run(main())


def test_block_of_another_validator_is_not_published() -> None:
    async def main() -> None:
        world = World()
        await world.decided.store(proposal_set(PUBKEY, block()))
        with pytest.raises(SignedWithoutDecision):
            await world.broadcaster.broadcast(signed_block(VALIDATORS.pubkeys[1], block()))
        assert world.submitted == []

    asyncio.run(main())


def test_two_signed_objects_for_one_slot_do_not_stop_the_node() -> None:
    async def main() -> None:
        world = World()
        await world.decided.store(proposal_set(PUBKEY, block()))
        right = signed_block(PUBKEY, block())
        foreign = replace(right.items[0], pubkey=VALIDATORS.pubkeys[1])
        await world.broadcaster.broadcast(replace(right, items=(foreign, *right.items)))
        assert len(world.node.called("publish_block")) == 1
        assert world.submitted == [right]

    asyncio.run(main())


def test_undecided_attestation_is_left_out_and_the_others_go() -> None:
    async def main() -> None:
        world = World()
        await world.decided.store(VALIDATORS.unsigned())
        right, wrong = signed_attestations(), signed_attestations(head=b"x" * 32)
        mixed = replace(right, items=(wrong.items[0], *right.items[1:]))
        await world.broadcaster.broadcast(mixed)
        ((_, submissions),) = world.node.called("submit_attestations")
        assert [each.signature for each in submissions] == [b"\1" * 96, b"\2" * 96]
        assert world.submitted == [replace(right, items=right.items[1:])]

    asyncio.run(main())


def test_nothing_is_submitted_when_nothing_matches() -> None:
    async def main() -> None:
        world = World()
        await world.decided.store(VALIDATORS.unsigned())
        with pytest.raises(SignedWithoutDecision):
            await world.broadcaster.broadcast(signed_attestations(head=b"x" * 32))
        assert world.node.calls == []
        assert world.submitted == []

    asyncio.run(main())


@pytest.mark.parametrize("status", [301, 408, 425, 429, 500, 503])
def test_refusal_that_asks_for_patience_is_tried_until_the_deadline(status: int) -> None:
    async def main() -> None:
        world = World()
        await world.decided.store(VALIDATORS.unsigned())
        world.node.failing["submit_attestations"] = BeaconNodeRefused(
            "post", status=status, message="syncing"
        )
        with pytest.raises(BeaconNodeRefused) as raised:
            await world.broadcaster.broadcast(signed_attestations())
        assert isinstance(raised.value, Transient)
        assert world.submitted == []

    asyncio.run(main())


@pytest.mark.parametrize("status", [400, 403, 404, 422])
@pytest.mark.parametrize("call", ["submit_attestations", "publish_block"])
def test_refusal_of_what_is_submitted_is_worth_a_few_tries_and_says_why(
    call: str, status: int
) -> None:
    async def main() -> None:
        world = World()
        signed_set = signed_attestations()
        unsigned = VALIDATORS.unsigned()
        if call == "publish_block":
            signed_set, unsigned = signed_block(PUBKEY, block()), proposal_set(PUBKEY, block())
        await world.decided.store(unsigned)
        world.node.failing[call] = BeaconNodeRefused("post", status=status, message="unknown head")
        with pytest.raises(SubmissionRefused, match=f"status={status} message=unknown head") as got:
            await world.broadcaster.broadcast(signed_set)
        assert isinstance(got.value, Refusal)
        assert world.submitted == []

    asyncio.run(main())


def test_what_the_beacon_node_has_already_is_submitted() -> None:
    async def main() -> None:
        world = World()
        await world.decided.store(VALIDATORS.unsigned())
        world.node.failing["submit_attestations"] = BeaconNodeRefused(
            "post", status=500, message="known", already_known=True
        )
        await world.broadcaster.broadcast(signed_attestations())
        assert len(world.submitted) == 1

    asyncio.run(main())


def test_randao_is_not_submitted() -> None:
    async def main() -> None:
        world = World()
        await world.broadcaster.broadcast(signed_randao(PUBKEY))
        assert world.node.calls == []
        assert world.submitted == []

    asyncio.run(main())


def signed(duty: Duty, *payloads: Payload) -> SignedDataSet:
    """Group signatures of made-up bytes, one for each of the first validators."""
    items = tuple(
        SignedData(pubkey=pubkey, payload=payload, signature=bytes([at]) * 96)
        for at, (pubkey, payload) in enumerate(
            zip(other_duties.VALIDATORS.pubkeys, payloads, strict=False)
        )
    )
    return SignedDataSet(duty=duty, items=items)


def test_sync_messages_go_out_in_one_call_under_their_validators() -> None:
    async def main() -> None:
        world = World()
        payload = SyncMessagePayload(slot=9, beacon_block_root=b"h" * 32)
        signed_set = signed(Duty(9, DutyType.SYNC_MESSAGE), payload, payload)
        await world.broadcaster.broadcast(signed_set)
        ((messages,),) = world.node.called("submit_sync_messages")
        assert [(m.slot, m.validator_index, m.signature[0]) for m in messages] == [
            (9, 100, 0),
            (9, 101, 1),
        ]
        assert {m.beacon_block_root for m in messages} == {b"h" * 32}
        assert world.submitted == [signed_set]

    asyncio.run(main())


def test_aggregates_and_contributions_go_out_complete() -> None:
    async def main() -> None:
        world = World(Fork.ELECTRA)
        made = [AggregatePayload(message=aggregate_and_proof(number)) for number in range(2)]
        await world.broadcaster.broadcast(signed(Duty(9, DutyType.AGGREGATOR), *made))
        ((fork, aggregates),) = world.node.called("submit_aggregates")
        assert fork is Fork.ELECTRA
        assert [each.message for each in aggregates] == [each.message for each in made]
        contributed = ContributionPayload(message=contribution_and_proof(0, 2))
        await world.broadcaster.broadcast(signed(Duty(9, DutyType.SYNC_CONTRIBUTION), contributed))
        (((contribution,),),) = world.node.called("submit_contributions")
        assert (contribution.message, contribution.signature) == (contributed.message, bytes(96))

    asyncio.run(main())


@pytest.mark.parametrize("kind", [DutyType.RANDAO, DutyType.PREPARE_AGGREGATOR, DutyType.EXIT])
def test_reveals_and_proofs_are_not_submitted(kind: DutyType) -> None:
    async def main() -> None:
        world = World()
        await world.broadcaster.broadcast(signed(Duty(9, kind), SelectionPayload(slot=9)))
        assert world.node.calls == []
        assert world.submitted == []

    asyncio.run(main())
