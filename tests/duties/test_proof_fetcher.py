"""Fetching for aggregators and the sync committee: who was drawn, what they vouch for, the head."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.duties import other_duties
from tests.duties.duty_world import (
    CHAIN,
    RecordingLog,
    ScriptedBeaconNode,
    database,
    nothing,
    recorded,
)
from tests.duties.other_duties import (
    HEAD,
    SLOT,
    VALIDATORS,
    aggregate,
    aggregator_definitions,
    contribution,
    group_signature,
    sync_definitions,
)

from tetrarch.duties.aggsigdb import AggSigDB
from tetrarch.duties.dutydb import DutyDB
from tetrarch.duties.features import FixedFeatures
from tetrarch.duties.fetcher import BlockSettings, Fetcher
from tetrarch.duties.proof_fetcher import NothingToAggregate, ProofFetcher, SelectionsMissing
from tetrarch.duties.selections import PROVEN_BY, ProofSource
from tetrarch.duties.types import (
    AttestationPayload,
    AttesterDefinition,
    DefinitionSet,
    Duty,
    DutyType,
    PartialSet,
    Payload,
    PubKey,
    SelectionPayload,
    ShareIndex,
    SignedData,
    SignedDataSet,
    SyncMessagePayload,
    SyncSelectionPayload,
)
from tetrarch.ethereum.beacon_node.errors import BeaconNodeUnreachable
from tetrarch.sim.loop import simulate

KEYS = VALIDATORS.pubkeys
OWN = ShareIndex(2)
ROOT = aggregate().data.hash_tree_root()


class World:
    """A fetcher over real stores, on virtual time."""

    def __init__(self, features: FixedFeatures = FixedFeatures()) -> None:  # noqa: B008 - frozen
        self.features = features
        self.node = ScriptedBeaconNode()
        self.node.aggregates = {(ROOT, 0): aggregate(0), (ROOT, 1): aggregate(1)}
        self.log = RecordingLog()
        self.decided = DutyDB(storage=database(), preset="minimal")
        self.aggregated = AggSigDB(storage=database())
        self.has_attesters = True
        self.handed_in: list[Duty] = [
            Duty(SLOT, DutyType.PREPARE_AGGREGATOR),
            Duty(SLOT, DutyType.PREPARE_SYNC_CONTRIBUTION),
        ]
        self.fetcher = Fetcher(
            beacon_node=self.node,  # type: ignore[arg-type]  # only what a fetcher calls
            chain=CHAIN,
            aggregated=self.aggregated,
            blocks=BlockSettings(features=FixedFeatures()),
            proofs=ProofFetcher(
                beacon_node=self.node,  # type: ignore[arg-type]  # only what is asked
                chain=CHAIN,
                decided=self.decided,
                aggregated=self.aggregated,
                source=ProofSource(own=self, share_index=OWN, log=self.log),
                features=self.features,
                attests=lambda _slot: self.has_attesters,
                log=self.log,
            ),
            log=self.log,
        )
        self.fetched: list[Any] = recorded(self.fetcher.fetched)
        self.needed = recorded(self.fetcher.needed)
        self.heads = recorded(self.fetcher.heads)
        self.idle = recorded(self.fetcher.idle)
        self.decided.stored.subscribe(nothing)

    def own_partials(self, duty: Duty, share_index: ShareIndex) -> PartialSet | None:
        assert share_index == OWN
        return PartialSet(duty=duty, partials=()) if duty in self.handed_in else None

    async def sign(self, payload: Payload, *numbers: int) -> None:
        """The group has signed ``payload`` for these validators."""
        items = tuple(
            SignedData(pubkey=KEYS[each], payload=payload, signature=group_signature(each, payload))
            for each in numbers
        )
        await self.aggregated.store(SignedDataSet(duty=Duty(SLOT, payload.DUTY_TYPE), items=items))


def play(scenario: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario(World())

    simulate(main, seed="proofs")


def in_large_committees(length: int) -> Any:
    """The slot's attesters, in committees so large that few are drawn."""
    definitions = tuple(
        replace(each, committee_length=length)
        for each in aggregator_definitions().definitions
        if isinstance(each, AttesterDefinition)
    )
    return replace(aggregator_definitions(), definitions=definitions)


def test_each_drawn_validator_gets_its_committees_aggregate_asked_for_once() -> None:
    async def scenario(world: World) -> None:
        await world.sign(SelectionPayload(slot=SLOT), 0, 1, 2)
        await world.decided.store(VALIDATORS.unsigned(SLOT))
        await world.fetcher.fetch(aggregator_definitions())
        assert world.fetched == [other_duties.aggregates()]
        assert len(world.node.called("aggregate_attestation")) == 2, "one for each committee"
        assert [each.duty for each in world.needed] == [Duty(SLOT, DutyType.AGGREGATOR)]

    play(scenario)


def test_slow_beacon_node_delays_all_committees_together() -> None:
    """One after the other they cost an honest leader its round: simulator seed 100028."""

    async def scenario(world: World) -> None:
        await world.sign(SelectionPayload(slot=SLOT), 0, 1, 2)
        await world.decided.store(VALIDATORS.unsigned(SLOT))
        world.node.delay_s = 0.5
        started_s = asyncio.get_running_loop().time()
        await world.fetcher.fetch(aggregator_definitions())
        assert len(world.node.called("aggregate_attestation")) == 2
        assert asyncio.get_running_loop().time() - started_s == pytest.approx(0.5, abs=0.1)

    play(scenario)


def test_nobody_drawn_is_told_and_nothing_is_asked() -> None:
    async def scenario(world: World) -> None:
        await world.sign(SelectionPayload(slot=SLOT), 0, 1, 2)
        await world.fetcher.fetch(in_large_committees(2**40))
        assert world.idle == [Duty(SLOT, DutyType.AGGREGATOR)]
        assert (world.node.calls, world.needed, world.fetched) == ([], [], [])

    play(scenario)


def test_proofs_that_come_a_little_late_are_waited_for() -> None:
    async def scenario(world: World) -> None:
        await world.sign(SelectionPayload(slot=SLOT), 0)
        await world.decided.store(VALIDATORS.unsigned(SLOT))

        async def late() -> None:
            await asyncio.sleep(0.5)
            await world.sign(SelectionPayload(slot=SLOT), 2)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(late())
            tasks.create_task(world.fetcher.fetch(aggregator_definitions()))
        assert world.fetched == [other_duties.aggregates(0, 2)], "the second proof never came"

    play(scenario)


def test_without_any_proof_the_step_is_tried_again() -> None:
    async def scenario(world: World) -> None:
        with pytest.raises(SelectionsMissing):
            await world.fetcher.fetch(aggregator_definitions())
        assert world.aggregated.waiting_count == 0

    play(scenario)


@pytest.mark.parametrize("definitions", [aggregator_definitions(), sync_definitions()])
def test_client_that_asks_for_no_selections_is_told_of_once_until_the_first_success(
    definitions: DefinitionSet,
) -> None:
    async def scenario(world: World) -> None:
        world.handed_in = []
        for _ in range(3):
            await world.fetcher.fetch(definitions)
        assert world.idle == [definitions.duty] * 3, "no failed duty, nothing tried again"
        (told,) = world.log.find("selections_not_asked")
        assert "distributed" in str(told["mend"])
        world.handed_in = [Duty(SLOT, each) for each in PROVEN_BY.values()]
        with pytest.raises(SelectionsMissing):
            await world.fetcher.fetch(definitions)  # ours are there, not yet the others'
        world.handed_in = []
        await world.fetcher.fetch(definitions)
        assert len(world.log.find("selections_not_asked")) == 1
        # Others handed in enough: the group's proofs are there, and this node takes part.
        await world.sign(SelectionPayload(slot=SLOT), 0, 1, 2)
        await world.decided.store(VALIDATORS.unsigned(SLOT))
        await world.fetcher.fetch(aggregator_definitions())
        assert world.fetched == [other_duties.aggregates()]
        await world.fetcher.fetch(sync_definitions())
        assert len(world.log.find("selections_not_asked")) == 2

    play(scenario)


def test_node_that_signs_by_itself_expects_proofs_always() -> None:
    source = ProofSource(own=None, share_index=OWN, log=RecordingLog())
    assert source.has_proofs(Duty(SLOT, DutyType.AGGREGATOR))


def test_committee_without_votes_is_left_out_and_all_without_is_tried_again() -> None:
    async def scenario(world: World) -> None:
        await world.sign(SelectionPayload(slot=SLOT), 0, 1, 2)
        await world.decided.store(VALIDATORS.unsigned(SLOT))
        del world.node.aggregates[ROOT, 1]
        await world.fetcher.fetch(aggregator_definitions())
        assert world.fetched == [other_duties.aggregates(0, 2)]
        assert world.log.find("aggregates_missing") == [{"duty": "9/aggregator", "validators": 1}]
        world.node.aggregates.clear()
        with pytest.raises(NothingToAggregate):
            await world.fetcher.fetch(aggregator_definitions())

    play(scenario)


def test_contributions_follow_the_clusters_own_messages() -> None:
    async def scenario(world: World) -> None:
        for index, numbers in ((0, (0, 1)), (2, (0,)), (3, (2,))):
            payload = SyncSelectionPayload(slot=SLOT, subcommittee_index=index)
            await world.sign(payload, *numbers)
            world.node.contributions[index, HEAD] = contribution(index)
        with pytest.raises(NothingToAggregate):  # no message is signed yet
            await world.fetcher.fetch(sync_definitions())
        await world.sign(SyncMessagePayload(slot=SLOT, beacon_block_root=HEAD), 0, 1)
        await world.fetcher.fetch(sync_definitions())
        assert world.fetched == [other_duties.contributions()], "validator 2 has no message"
        assert world.node.called("sync_contribution") == [(SLOT, 0, HEAD), (SLOT, 2, HEAD)]

    play(scenario)


def test_only_one_contribution_of_each_validator_is_fetched_until_all_nodes_take_several() -> None:
    async def scenario() -> None:
        world = World(FixedFeatures(features=()))
        for index, numbers in ((0, (0, 1)), (2, (0,))):
            payload = SyncSelectionPayload(slot=SLOT, subcommittee_index=index)
            await world.sign(payload, *numbers)
            world.node.contributions[index, HEAD] = contribution(index)
        await world.sign(SyncMessagePayload(slot=SLOT, beacon_block_root=HEAD), 0, 1)
        await world.fetcher.fetch(sync_definitions())
        assert world.fetched == [other_duties.contributions((0, 0), (1, 0))]
        world = World(FixedFeatures(features=()))
        for index, numbers in ((0, (0, 1)), (2, (0,))):
            payload = SyncSelectionPayload(slot=SLOT, subcommittee_index=index)
            await world.sign(payload, *numbers)
        world.node.contributions[2, HEAD] = contribution(2)  # of the first there is nothing
        await world.sign(SyncMessagePayload(slot=SLOT, beacon_block_root=HEAD), 0, 1)
        await world.fetcher.fetch(sync_definitions())
        assert world.fetched == [other_duties.contributions((0, 2))]

    simulate(scenario, seed="proofs")


def test_contributions_are_asked_for_once_the_messages_are_submitted() -> None:
    """A beacon node that has seen one of them so far would know some subcommittees only."""

    async def scenario(world: World) -> None:
        message = SyncMessagePayload(slot=SLOT, beacon_block_root=HEAD)
        await world.sign(message, 0, 1)
        await world.sign(SyncSelectionPayload(slot=SLOT, subcommittee_index=0), 0, 1)
        asked_after: list[bool] = []

        async def submit() -> None:
            await asyncio.sleep(0.3)
            asked_after.append(world.node.called("sync_contribution") == [])
            world.node.contributions[0, HEAD] = contribution(0)
            signed = await world.aggregated.submissions(Duty(SLOT, DutyType.SYNC_MESSAGE))
            await world.aggregated.note_submitted(
                SignedDataSet(duty=Duty(SLOT, DutyType.SYNC_MESSAGE), items=signed.left)
            )

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(submit())
            tasks.create_task(world.fetcher.fetch(sync_definitions()))
        assert asked_after == [True]
        assert len(world.fetched) == 1

    play(scenario)


def sync_message_definitions() -> Any:
    return replace(sync_definitions(), duty=Duty(SLOT, DutyType.SYNC_MESSAGE))


def test_sync_messages_vote_for_the_agreed_head_once_the_votes_are_out() -> None:
    async def scenario(world: World) -> None:
        await world.decided.store(VALIDATORS.unsigned(SLOT))
        payload = AttestationPayload(data=aggregate().data)
        votes = SignedDataSet(
            duty=Duty(SLOT, DutyType.ATTESTER),
            items=(SignedData(pubkey=KEYS[0], payload=payload, signature=bytes(96)),),
        )
        await world.aggregated.store(votes)

        async def submit() -> None:
            await asyncio.sleep(0.3)
            assert world.heads == []
            await world.aggregated.note_submitted(votes)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(submit())
            tasks.create_task(world.fetcher.fetch(sync_message_definitions()))
        (head,) = world.heads
        assert head.beacon_block_root == HEAD
        assert [each.pubkey for each in head.definitions] == list(KEYS)
        assert world.node.calls == []

    play(scenario)


@pytest.mark.parametrize("has_attesters", [True, False])
def test_without_an_agreed_vote_our_own_head_is_voted_for(has_attesters: bool) -> None:
    async def scenario(world: World) -> None:
        world.has_attesters = has_attesters
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        await world.fetcher.fetch(sync_message_definitions())
        assert world.heads[0].beacon_block_root == world.node.head_root
        assert loop.time() - start_s == pytest.approx(1.0 if has_attesters else 0.0, abs=0.01)

    play(scenario)


def test_agreed_head_is_taken_though_the_votes_are_not_out_in_time() -> None:
    async def scenario(world: World) -> None:
        await world.decided.store(VALIDATORS.unsigned(SLOT))
        await world.fetcher.fetch(sync_message_definitions())
        assert world.heads[0].beacon_block_root == HEAD

    play(scenario)


def test_beacon_node_that_is_away_is_asked_again() -> None:
    async def scenario(world: World) -> None:
        world.has_attesters = False
        world.node.failing["head"] = BeaconNodeUnreachable("ask")
        with pytest.raises(BeaconNodeUnreachable):
            await world.fetcher.fetch(sync_message_definitions())

    play(scenario)


def test_collecting_signatures_takes_what_is_there_and_waits_for_no_longer_than_told() -> None:
    async def scenario(world: World) -> None:
        payload = SelectionPayload(slot=SLOT)
        await world.sign(payload, 0, 1)
        duty = Duty(SLOT, DutyType.PREPARE_AGGREGATOR)
        keys = [(KEYS[number], 0) for number in (0, 2)]
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        found = await world.aggregated.collect(duty, keys, wait_s=0)
        assert loop.time() == start_s
        assert list(found) == [(PubKey(KEYS[0]), 0)]
        assert await world.aggregated.collect(duty, keys, wait_s=0.2) == found
        assert loop.time() - start_s == pytest.approx(0.2, abs=0.01)
        assert await world.aggregated.duties_of([DutyType.PREPARE_AGGREGATOR]) == (duty,)
        assert await world.aggregated.duties_of([DutyType.EXIT]) == ()

    play(scenario)
