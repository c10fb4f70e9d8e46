"""The best block, contribution and aggregate are taken."""

from dataclasses import replace

import pytest
from tests.ethereum.beacon_nodes.scripted_nodes import (
    HONEST,
    REQUEST,
    SLOT,
    World,
    data,
    proposal,
    refusal,
    root,
    run,
)

from tetrarch.ethereum.spec.aggregates import SyncCommitteeContribution
from tetrarch.ethereum.spec.attestations import SlotAttestation
from tetrarch.ethereum.spec.proposals import Proposal
from tetrarch.ethereum.spec.values import Fork
from tetrarch.ssz.bits import Bits


def worth(made: Proposal, execution: int, consensus: int) -> Proposal:
    return replace(made, execution_value_wei=execution, consensus_value_wei=consensus)


def test_block_of_the_highest_value_on_the_agreed_parent_is_proposed() -> None:
    poor = worth(proposal("parent", proposer_index=1), 11, 9)
    rich = worth(proposal("parent", proposer_index=2), 10, 11)
    lie = worth(proposal("other", proposer_index=3), 10**9, 10**9)

    async def scenario(world: World) -> None:
        for name, made in zip("abc", (lie, poor, rich), strict=True):
            world[name].answers["produce_block"] = made
        world["c"].delay_s = 1.4  # a liar and one other are not enough to stop waiting
        assert await world.several.produce_block(REQUEST) == rich
        world["a"].answers["produce_block"] = poor
        assert await world.several.produce_block(REQUEST) == poor, "two agree: the third is late"

    run(scenario)


def test_block_without_values_comes_from_the_best_node_in_the_window() -> None:
    first, second = proposal("parent", proposer_index=1), proposal("parent", proposer_index=2)

    async def scenario(world: World) -> None:
        await world.attestation()
        world["a"].answers["produce_block"] = first
        world["b"].answers["produce_block"] = second
        world["b"].delay_s = 0.001
        assert await world.several.produce_block(REQUEST) == first
        world["a"].answers["produce_block"] = refusal(503)
        assert await world.several.produce_block(REQUEST) == second

    run(scenario, primaries="ab")


def contribution(*voters: int, head: bytes = root("head")) -> SyncCommitteeContribution:
    return SyncCommitteeContribution(
        preset="minimal",
        slot=SLOT,
        beacon_block_root=head,
        subcommittee_index=1,
        aggregation_bits=Bits.of(number in voters for number in range(8)),
        signature=bytes(96),
    )


def test_fullest_contribution_for_the_asked_head_is_taken() -> None:
    async def scenario(world: World) -> None:
        for name, made in {
            "a": contribution(1, 2, 3, 4, head=root("another")),
            "b": contribution(1, 2, 3),
            "c": contribution(1),
        }.items():
            world[name].answers["sync_contribution"] = made
        asked_for = (SLOT, 1, root("head"))
        assert await world.several.sync_contribution(*asked_for) == contribution(1, 2, 3)
        assert ("a", "sync_contribution", "not_asked_for") in world.notes.losers
        world["b"].answers["sync_contribution"] = None
        assert await world.several.sync_contribution(*asked_for) == contribution(1)
        world["c"].answers["sync_contribution"] = None
        world["a"].down = True
        assert await world.several.sync_contribution(*asked_for) is None

    run(scenario)


def test_aggregate_of_a_node_that_saw_the_slot_rightly_comes_first() -> None:
    def aggregate(*voters: int) -> SlotAttestation:
        return SlotAttestation(
            preset="minimal",
            aggregation_bits=Bits.of(number in voters for number in range(8)),
            data=HONEST,
            signature=bytes(96),
            committee_bits=Bits.single(0, 4),
        )

    async def scenario(world: World) -> None:
        world["a"].delay_s = 0.001
        world["a"].answers["attestation_data"] = data("lie")
        assert await world.attestation() == HONEST
        for name, made in {"a": aggregate(1, 2, 3), "b": aggregate(1), "c": None}.items():
            world[name].answers["aggregate_attestation"] = made
        got = await world.several.aggregate_attestation(
            Fork.ELECTRA, SLOT, HONEST.hash_tree_root(), 0
        )
        assert got == aggregate(1)

    run(scenario)


def test_slow_block_of_the_primary_still_counts_while_a_fallback_is_asked_too() -> None:
    own, other = proposal("parent", proposer_index=1), proposal("parent", proposer_index=2)

    async def scenario(world: World) -> None:
        world["a"].answers["produce_block"] = own
        world["f"].answers["produce_block"] = other
        world["a"].delay_s, world["f"].delay_s = 2.5, 2.5
        started_s = world.now_s
        assert await world.several.produce_block(REQUEST) == own
        assert world.now_s - started_s == pytest.approx(3, abs=0.02), "the fallback has its time"
        world["a"].delay_s, world["f"].delay_s = 1e6, 0.1
        assert await world.several.produce_block(REQUEST) == other
        assert world.now_s - started_s == pytest.approx(4.6, abs=0.05)

    run(scenario, primaries="a", fallbacks="f")
