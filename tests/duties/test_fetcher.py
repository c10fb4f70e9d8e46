"""What this node would propose: one question per slot, and blocks with the group's randao."""

import asyncio
from typing import Any

import pytest
from tests.duties.duty_world import (
    RecordingLog,
    ScriptedBeaconNode,
    Validators,
    attestation_data,
    block,
    chain_of,
    database,
    recorded,
    signed_randao,
)

from tetrarch.duties.aggsigdb import AggSigDB
from tetrarch.duties.dutydb import DutyDB
from tetrarch.duties.errors import FeeRecipientWrong
from tetrarch.duties.features import FixedFeatures
from tetrarch.duties.fetcher import VIEWS_MAX, BlockSettings, Fetcher
from tetrarch.duties.proof_fetcher import ProofFetcher
from tetrarch.duties.selections import ProofSource
from tetrarch.duties.types import (
    DefinitionSet,
    DeprecatedDutyBuilderProposer,
    Duty,
    DutyType,
    ProposerDefinition,
    ShareIndex,
)
from tetrarch.errors import InvariantBroken
from tetrarch.ethereum.beacon_node.errors import BeaconNodeUnreachable
from tetrarch.ethereum.spec.values import Fork

VALIDATORS = Validators(3)
PUBKEY = VALIDATORS.pubkeys[0]
PAYEE = bytes(20)  # of the scripted node's blocks
PROPOSAL = DefinitionSet(
    duty=Duty(9, DutyType.PROPOSER),
    definitions=(ProposerDefinition(pubkey=PUBKEY, slot=9, validator_index=100),),
)


class World:
    def __init__(self, *, fork: Fork = Fork.ELECTRA, builder_api: bool = False) -> None:
        self.node = ScriptedBeaconNode()
        self.log = RecordingLog()
        self.aggregated = AggSigDB(storage=database())
        self.fetcher = Fetcher(
            beacon_node=self.node,  # type: ignore[arg-type]  # only what a fetcher calls
            chain=chain_of(fork),
            aggregated=self.aggregated,
            blocks=BlockSettings(
                features=FixedFeatures(builder_api=builder_api),
                graffiti=b"g" * 32,
                payees={PUBKEY: PAYEE},
            ),
            proofs=ProofFetcher(
                beacon_node=self.node,  # type: ignore[arg-type]  # only what is asked
                chain=chain_of(fork),
                decided=DutyDB(storage=database(), preset="minimal"),
                aggregated=self.aggregated,
                source=ProofSource(own=None, share_index=ShareIndex(1), log=self.log),
                features=FixedFeatures(),
                attests=lambda _slot: False,
                log=self.log,
            ),
            log=self.log,
        )
        self.fetched: list[Any] = recorded(self.fetcher.fetched)


@pytest.mark.parametrize(("fork", "indices"), [(Fork.DENEB, [0, 1, 0]), (Fork.ELECTRA, [0, 0, 0])])
def test_one_question_serves_all_committees_of_the_slot(fork: Fork, indices: list[int]) -> None:
    async def main() -> None:
        world = World(fork=fork)
        await world.fetcher.fetch(VALIDATORS.definitions(9))
        assert world.node.called("attestation_data") == [(9, 0)]
        (data_set,) = world.fetched
        assert data_set.duty == Duty(9, DutyType.ATTESTER)
        assert [item.data.index for item in data_set.items] == indices
        assert [item.definition.committee_index for item in data_set.items] == [0, 1, 0]
        assert {item.data.beacon_block_root for item in data_set.items} == {b"h" * 32}

    asyncio.run(main())


def test_fetch_asks_again_though_the_view_is_known() -> None:
    async def main() -> None:
        world = World()
        await world.fetcher.view(9)
        world.node.data = lambda slot: attestation_data(slot, head=b"n" * 32)
        await world.fetcher.fetch(VALIDATORS.definitions(9))
        assert world.fetched[0].items[0].data.beacon_block_root == b"n" * 32
        assert (await world.fetcher.view(9)).beacon_block_root == b"n" * 32
        assert len(world.node.called("attestation_data")) == 2

    asyncio.run(main())


def test_failed_fresh_view_leaves_the_known_one() -> None:
    async def main() -> None:
        world = World()
        known = await world.fetcher.view(9)
        world.node.failing["attestation_data"] = BeaconNodeUnreachable("ask")
        with pytest.raises(BeaconNodeUnreachable):
            await world.fetcher.view(9, fresh=True)
        assert await world.fetcher.view(9) == known

    asyncio.run(main())


def test_question_that_is_being_asked_is_not_asked_twice() -> None:
    async def main() -> None:
        world = World()
        world.node.delay_s = 0.01
        fetching = asyncio.create_task(world.fetcher.fetch(VALIDATORS.definitions(9)))
        await asyncio.sleep(0)
        impatient = asyncio.create_task(world.fetcher.view(9))
        await asyncio.sleep(0)
        impatient.cancel()
        view = await world.fetcher.view(9)
        await fetching
        assert view == attestation_data(9)
        assert len(world.node.called("attestation_data")) == 1
        assert len(world.fetched) == 1, "who gives up takes the answer from nobody"
        await asyncio.gather(*(world.fetcher.view(9, fresh=True) for _ in range(2)))
        assert len(world.node.called("attestation_data")) == 3

    asyncio.run(main())


@pytest.mark.parametrize("by_cancel", [False, True])
def test_question_that_failed_is_asked_by_who_waited(by_cancel: bool) -> None:
    async def main() -> None:
        world = World()
        world.node.delay_s = 0.01
        if not by_cancel:
            world.node.failing["attestation_data"] = BeaconNodeUnreachable("ask")
        first = asyncio.create_task(world.fetcher.view(9))
        await asyncio.sleep(0)
        second = asyncio.create_task(world.fetcher.view(9))
        await asyncio.sleep(0)
        if by_cancel:
            first.cancel()
        await asyncio.wait([first])
        world.node.failing.clear()
        assert await second == attestation_data(9)
        assert len(world.node.called("attestation_data")) == 2

    asyncio.run(main())


def test_views_are_bounded_and_an_old_slot_is_still_answered() -> None:
    async def main() -> None:
        world = World()
        for slot in range(100, 100 + 2 * VIEWS_MAX):
            await world.fetcher.view(slot)
        assert (await world.fetcher.view(9)).slot == 9
        assert len(world.fetcher._views) <= VIEWS_MAX

    asyncio.run(main())


@pytest.mark.parametrize(("builder_api", "boost"), [(False, 0), (True, 2**64 - 1)])
def test_block_waits_for_the_randao_and_takes_the_boost_from_the_flag(
    builder_api: bool, boost: int
) -> None:
    async def main() -> None:
        world = World(builder_api=builder_api)
        async with asyncio.TaskGroup() as tasks:
            fetching = tasks.create_task(world.fetcher.fetch(PROPOSAL))
            await asyncio.sleep(0.01)
            assert world.node.calls == [], "no block without a reveal"
            assert not fetching.done()
            await world.aggregated.store(signed_randao(PUBKEY))
        (request,) = world.node.called("produce_block")[0]
        assert request.randao_reveal == b"\xaa" * 96
        assert request.builder_boost_factor == boost
        assert request.graffiti == b"g" * 32
        assert request.slot == 9
        assert world.fetched[0].items[0].proposal == block(9)

    asyncio.run(main())


def test_forgetful_beacon_node_is_told_again_whom_to_pay() -> None:
    async def main() -> None:
        world = World()
        await world.aggregated.store(signed_randao(PUBKEY))
        world.node.pays = lambda told: PAYEE if told else b"x" * 20
        await world.fetcher.fetch(PROPOSAL)
        (((preparation,),),) = world.node.called("prepare_beacon_proposer")
        assert (preparation.validator_index, preparation.fee_recipient) == (100, PAYEE)
        assert world.fetched[0].items[0].proposal.fee_recipient == PAYEE
        assert world.log.lines == []

    asyncio.run(main())


def test_block_that_pays_a_stranger_is_not_proposed_and_both_addresses_are_told() -> None:
    async def main() -> None:
        world = World()
        await world.aggregated.store(signed_randao(PUBKEY))
        world.node.pays = lambda _: b"x" * 20
        with pytest.raises(FeeRecipientWrong):
            await world.fetcher.fetch(PROPOSAL)
        assert world.fetched == []
        assert len(world.node.called("produce_block")) == 2
        (line,) = world.log.find("fee_recipient_wrong")
        assert (line["pays"], line["configured"]) == (b"x" * 20, PAYEE)

    asyncio.run(main())


def test_failure_reaches_the_retry_and_nothing_is_emitted() -> None:
    async def main() -> None:
        world = World()
        world.node.failing["attestation_data"] = BeaconNodeUnreachable("ask")
        with pytest.raises(BeaconNodeUnreachable):
            await world.fetcher.fetch(VALIDATORS.definitions(9))
        assert world.fetched == []

    asyncio.run(main())


def test_duties_without_data_are_left_alone() -> None:
    async def main() -> None:
        world = World()
        await world.fetcher.fetch(DefinitionSet(duty=Duty(9, DutyType.RANDAO), definitions=()))
        assert world.fetched == []
        assert world.node.calls == []
        with pytest.raises(DeprecatedDutyBuilderProposer):
            await world.fetcher.fetch(
                DefinitionSet(duty=Duty(9, DutyType.BUILDER_PROPOSER), definitions=())
            )

    asyncio.run(main())


def test_definitions_of_the_wrong_kind_break_an_invariant() -> None:
    async def main() -> None:
        wrong = DefinitionSet(duty=PROPOSAL.duty, definitions=(VALIDATORS.definition(0),))
        with pytest.raises(InvariantBroken):
            await World().fetcher.fetch(wrong)

    asyncio.run(main())
