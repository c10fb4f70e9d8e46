"""What the beacon node is told ahead of an epoch; it may be away."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from tests.duties.duty_world import CHAIN, RecordingLog, ScriptedBeaconNode, Validators

from tetrarch.duties.errors import DutyNotFound
from tetrarch.duties.preparation import Preparation
from tetrarch.duties.types import (
    DefinitionSet,
    Duty,
    DutyType,
    ProposerDefinition,
    PubKey,
    SelectionPayload,
    SignedData,
    SignedDataSet,
)
from tetrarch.ethereum.beacon_node.errors import BeaconNodeUnreachable
from tetrarch.ethereum.beacon_node.ports import SyncDuty

VALIDATORS = Validators(3)
FIRST, SECOND, THIRD = VALIDATORS.pubkeys
INDICES = {102: THIRD, 100: FIRST}
RECIPIENTS = {FIRST: b"\1" * 20, SECOND: b"\2" * 20}


class Schedule:
    """What a scheduler has resolved: attesters and a proposer, and one sync committee member."""

    validators = INDICES

    def definitions_of(self, epoch: int) -> Any:
        assert epoch == 1
        proposer = ProposerDefinition(pubkey=FIRST, slot=9, validator_index=100)
        return (*VALIDATORS.definitions(9).definitions, proposer)

    def sync_members_of(self, epoch: int) -> Any:
        assert epoch == 1
        return (SyncDuty(pubkey=FIRST, validator_index=100, positions=(3, 17)),)

    async def get_duty_definition(self, duty: Duty) -> DefinitionSet:
        if duty.slot != 9:
            raise DutyNotFound("look up duty", duty=duty)
        return replace(VALIDATORS.definitions(9), duty=duty)


def preparation(
    node: ScriptedBeaconNode,
    recipients: Mapping[PubKey, bytes] = RECIPIENTS,
    log: RecordingLog | None = None,
) -> Preparation:
    return Preparation(
        beacon_node=node,  # type: ignore[arg-type]  # only what a preparation calls
        fee_recipients=recipients,
        chain=CHAIN,
        log=log or RecordingLog(),
    )


def prepare(node: ScriptedBeaconNode, **settings: Any) -> None:
    asyncio.run(preparation(node, **settings).prepare(1, Schedule()))


def proofs(slot: int, *signatures: bytes) -> SignedDataSet:
    items = tuple(
        SignedData(pubkey=pubkey, payload=SelectionPayload(slot=slot), signature=signature)
        for pubkey, signature in zip(VALIDATORS.pubkeys, signatures, strict=False)
    )
    return SignedDataSet(duty=Duty(slot, DutyType.PREPARE_AGGREGATOR), items=items)


def test_fee_recipients_of_known_validators_and_subnets_of_attesters_are_told() -> None:
    node = ScriptedBeaconNode()
    prepare(node)
    ((preparations,),) = node.called("prepare_beacon_proposer")
    assert [(p.validator_index, p.fee_recipient) for p in preparations] == [(100, b"\1" * 20)]
    ((subscriptions,),) = node.called("subscribe_committees")
    assert [(s.validator_index, s.slot) for s in subscriptions] == [(100, 9), (101, 9), (102, 9)]
    assert not any(s.is_aggregator for s in subscriptions)


def test_nothing_is_said_where_there_is_nothing_to_say() -> None:
    node = ScriptedBeaconNode()
    prepare(node, recipients={})
    assert node.called("prepare_beacon_proposer") == []


@pytest.mark.parametrize("call", ["prepare_beacon_proposer", "subscribe_committees"])
def test_beacon_node_that_is_away_is_only_logged(call: str) -> None:
    node, log = ScriptedBeaconNode(), RecordingLog()
    node.failing[call] = BeaconNodeUnreachable("ask")
    prepare(node, log=log)
    assert len(log.find("preparation_failed")) == 1


def test_sync_committee_members_join_their_subnets_to_the_end_of_the_period() -> None:
    node = ScriptedBeaconNode()
    asyncio.run(preparation(node).prepare_sync(1, Schedule()))
    (((subscription,),),) = node.called("subscribe_sync_committees")
    assert (subscription.validator_index, subscription.positions) == (100, (3, 17))
    assert subscription.until_epoch == 8  # of the minimal preset


def test_drawn_aggregators_are_named_as_soon_as_their_proofs_are_made() -> None:
    node = ScriptedBeaconNode()
    asyncio.run(preparation(node).selected(proofs(9, b"\1" * 96, b"\2" * 96), Schedule()))
    ((subscriptions,),) = node.called("subscribe_committees")
    # Committees of 8: whoever is in one is drawn.
    assert [(s.validator_index, s.is_aggregator) for s in subscriptions] == [
        (100, True),
        (101, True),
    ]


def test_proofs_of_a_slot_without_duties_name_nobody() -> None:
    node = ScriptedBeaconNode()
    asyncio.run(preparation(node).selected(proofs(10, b"\1" * 96), Schedule()))
    assert node.calls == []
