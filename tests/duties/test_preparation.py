"""What the beacon node is told ahead of an epoch; it may be away."""

import asyncio
from collections.abc import Mapping

import pytest
from tests.duties.duty_world import RecordingLog, ScriptedBeaconNode, Validators

from tetrarch.duties.preparation import Preparation
from tetrarch.duties.types import ProposerDefinition, PubKey
from tetrarch.ethereum.beacon_node.errors import BeaconNodeUnreachable

VALIDATORS = Validators(3)
FIRST, SECOND, THIRD = VALIDATORS.pubkeys
INDICES = {102: THIRD, 100: FIRST}
RECIPIENTS = {FIRST: b"\1" * 20, SECOND: b"\2" * 20}


def prepare(
    node: ScriptedBeaconNode,
    recipients: Mapping[PubKey, bytes] = RECIPIENTS,
    log: RecordingLog | None = None,
) -> None:
    definitions = (
        *VALIDATORS.definitions(9).definitions,
        ProposerDefinition(pubkey=FIRST, slot=9, validator_index=100),
    )
    preparation = Preparation(
        beacon_node=node,  # type: ignore[arg-type]  # only what a preparation calls
        fee_recipients=recipients,
        log=log or RecordingLog(),
    )
    asyncio.run(preparation.prepare(definitions, INDICES))


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
    prepare(node, {})
    assert node.called("prepare_beacon_proposer") == []


@pytest.mark.parametrize("call", ["prepare_beacon_proposer", "subscribe_committees"])
def test_beacon_node_that_is_away_is_only_logged(call: str) -> None:
    node, log = ScriptedBeaconNode(), RecordingLog()
    node.failing[call] = BeaconNodeUnreachable("ask")
    prepare(node, log=log)
    assert len(log.find("preparation_failed")) == 1
