"""Goal: several nodes together are better than the best of them, and one that lies, is slow, down,
or on another chain costs nothing.

Method: the composite over scripted nodes, on virtual time.
"""

import asyncio

import pytest
from tests.ethereum.beacon_node.support import block
from tests.ethereum.beacon_nodes.scripted_nodes import (
    EPOCH,
    GENESIS,
    SLOT,
    SYNCED,
    SYNCING,
    World,
    attester_duties,
    data,
    refusal,
    root,
    run,
    unreachable,
)

from tetrarch.ethereum.beacon_node.errors import (
    BeaconNodeAnswerInvalid,
    BeaconNodeRefused,
    BeaconNodeUnreachable,
)
from tetrarch.ethereum.beacon_node.ports import (
    BlockRequest,
    BlockSummary,
    FinalityCheckpoints,
    Genesis,
    ProxyRequest,
    ValidatorRecord,
    ValidatorStatus,
)
from tetrarch.ethereum.beacon_nodes.settings import Settings
from tetrarch.ethereum.spec.aggregates import SyncCommitteeContribution
from tetrarch.ethereum.spec.attestations import SlotAttestation
from tetrarch.ethereum.spec.proposals import Proposal, sign_proposal
from tetrarch.ethereum.spec.values import AttestationData, Checkpoint, Fork
from tetrarch.ssz.bits import Bits

HONEST = data()
LIES = {
    "wrong head": data("lie"),
    "future slot": data(slot=SLOT + 1),
    "another fork": data("fork", source=(EPOCH - 2, "fork"), target=(EPOCH, "fork")),
    "slashable source": data(source=(EPOCH - 9, "surrounds")),
    "source after target": data(source=(EPOCH + 1, "x")),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
@pytest.mark.parametrize("liar", "abc")
@pytest.mark.parametrize("delays_s", [(0.01, 0.2, 0.2), (0.2, 0.01, 0.4), (0.01, 0.9, 1.2)])
def test_liar_of_three_never_wins_however_quick(
    lie: AttestationData, liar: str, delays_s: tuple[float, ...]
) -> None:
    async def scenario(world: World) -> None:
        others = [name for name in "abc" if name != liar]
        for name, delay_s in zip([liar, *others], delays_s, strict=True):
            world[name].delay_s = delay_s
        world[liar].answers["attestation_data"] = lie
        assert await world.attestation() == HONEST

    run(scenario)


def test_does_not_wait_for_a_node_that_could_change_nothing() -> None:
    async def scenario(world: World) -> None:
        world["b"].delay_s = 5
        started_s = world.now_s
        assert await world.attestation() == HONEST
        assert world.now_s - started_s < 0.1
        assert world.notes.votes == [("majority", ("a", "c"))]

    run(scenario)


def test_late_node_has_its_time_while_two_disagree_and_no_more() -> None:
    async def scenario(world: World) -> None:
        world["a"].answers["attestation_data"] = data("left")
        world["b"].answers["attestation_data"] = data("right")
        world["c"].delay_s = 1.4
        world["c"].answers["attestation_data"] = data("right")
        assert await world.attestation() == data("right")
        world["c"].delay_s = 9
        started_s = world.now_s
        await world.attestation()
        assert world.now_s - started_s == pytest.approx(1.51, abs=0.01)

    run(scenario)


def test_two_nodes_wait_the_short_time_only() -> None:
    async def scenario(world: World) -> None:
        world["b"].delay_s = 9
        started_s = world.now_s
        assert await world.attestation() == HONEST
        assert world.now_s - started_s == pytest.approx(0.51, abs=0.01)

    run(scenario, primaries="ab")


def test_one_node_answers_at_once_and_may_be_slow() -> None:
    async def scenario(world: World) -> None:
        world["a"].delay_s = 3
        assert await world.attestation() == HONEST

    run(scenario, primaries="a")


def test_node_that_came_back_unnoticed_breaks_the_tie() -> None:
    async def scenario(world: World) -> None:
        world.watch()
        world["c"].down = True
        await asyncio.sleep(25)
        assert world.several.conditions["c"] == "down"
        world["c"].down = False
        world["a"].delay_s = 0.001
        world["a"].answers["attestation_data"] = data("lie", slot=SLOT + 2)
        assert await world.attestation(SLOT + 2) == data(slot=SLOT + 2)
        assert world.notes.votes[-1] == ("majority", ("b", "c"))

    run(scenario)


def test_two_of_three_that_hang_cost_half_a_second() -> None:
    async def scenario(world: World) -> None:
        for name in "bc":
            world[name].delay_s = 1e6
        world.watch()
        await asyncio.sleep(60)
        assert world.several.conditions == {"a": "healthy", "b": "down", "c": "down"}
        started_s = world.now_s
        assert await world.attestation(SLOT + 5) == data(slot=SLOT + 5)
        assert world.now_s - started_s == pytest.approx(0.51, abs=0.01)
        assert world.notes.votes[-1] == ("alone", ("a",))

    run(scenario)


def test_fallback_is_asked_when_the_primary_hangs() -> None:
    async def scenario(world: World) -> None:
        world["a"].delay_s = 1e6
        started_s = world.now_s
        assert await world.attestation() == HONEST
        assert world.now_s - started_s == pytest.approx(1.51, abs=0.01)

    run(scenario, primaries="a", fallbacks="f")


def test_waits_are_the_operators() -> None:
    async def scenario(world: World) -> None:
        world["b"].delay_s = 9
        started_s = world.now_s
        assert await world.attestation() == HONEST
        assert world.now_s - started_s == pytest.approx(0.11, abs=0.01)

    settings = Settings(vote_wait_ms=100, vote_limit_ms=200, block_wait_ms=100, block_limit_ms=200)
    run(scenario, primaries="ab", settings=settings)


def test_disagreement_and_refusals_are_told_by_name() -> None:
    async def scenario(world: World) -> None:
        world["a"].delays_s["attestation_data"] = 0.001
        world["a"].answers["attestation_data"] = data("lie")
        await world.attestation()
        (line,) = world.notes.events("beacon_nodes_disagreed")
        assert (line["taken_from"], line["others"]) == (["b", "c"], ["a"])
        assert ("a", "attestation_data", "outvoted") in world.notes.losers
        world["a"].answers["attestation_data"] = data(slot=SLOT + 1)
        await world.attestation()
        (refused,) = world.notes.events("beacon_node_answer_refused")
        assert (refused["beacon_node"], refused["reason"]) == ("a", "wrong_slot")

    run(scenario)


def test_no_valid_answer_is_an_error_that_may_be_retried() -> None:
    async def scenario(world: World) -> None:
        for name in "abc":
            world[name].answers["attestation_data"] = data(slot=SLOT - 1)
        with pytest.raises(BeaconNodeAnswerInvalid):
            await world.attestation()
        with pytest.raises(BeaconNodeRefused) as caught:
            await world.attestation(SLOT + 1)
        assert caught.value.blames_request

    run(scenario)


def test_nodes_are_asked_for_a_slot_that_begins_within_half_a_second() -> None:
    async def scenario(world: World) -> None:
        await asyncio.sleep(11.7)
        assert (await world.attestation(SLOT + 1)).slot == SLOT + 1

    run(scenario)


def test_without_majority_finality_checkpoints_find_the_justified_branch() -> None:
    def told(current: tuple[int, str], previous: tuple[int, str]) -> FinalityCheckpoints:
        now, before = (Checkpoint(epoch=e, root=root(r)) for e, r in (current, previous))
        return FinalityCheckpoints(
            previous_justified=before, current_justified=now, finalized=before
        )

    async def scenario(world: World) -> None:
        ahead = data("ahead", source=(EPOCH - 1, "new"))
        world["a"].answers["attestation_data"] = data("fork", source=(EPOCH - 2, "fork"))
        world["b"].answers["attestation_data"] = ahead
        world["c"].answers["attestation_data"] = data("late", source=(EPOCH - 2, "old"))
        checkpoints = {
            "a": told((EPOCH - 2, "fork"), (EPOCH - 3, "fork")),
            "b": told((EPOCH - 1, "new"), (EPOCH - 2, "old")),
            "c": told((EPOCH - 2, "old"), (EPOCH - 3, "older")),
        }
        for name, known in checkpoints.items():
            world[name].answers["finality_checkpoints"] = known
        world["c"].delay_s = 0.5  # a worse score than b's
        assert await world.attestation() == ahead
        assert world.notes.votes[-1] == ("justified_branch", ("b",))

    run(scenario)


def test_data_that_is_included_raises_a_node_above_an_equal_one() -> None:
    async def scenario(world: World) -> None:
        world["a"].delay_s = world["b"].delay_s = 0.02
        world["a"].answers["attestation_data"] = data("left")
        world["b"].answers["attestation_data"] = data("right")
        assert await world.attestation() == data("left"), "the first of equals"
        world.several.note_inclusion("attestation_data", SLOT, 0.0)
        world.several.note_inclusion("attestation_data", SLOT, 0.0)  # counted once
        assert await world.attestation() == data("right")

    run(scenario, primaries="ab")


def test_node_that_is_outvoted_again_and_again_is_no_longer_the_best() -> None:
    async def scenario(world: World) -> None:
        for name, delay_s in zip("abc", (0.001, 0.05, 0.05), strict=True):
            world[name].delay_s = delay_s
            world[name].answers["node_version"] = name
        await world.attestation()
        assert await world.several.node_version() == "a"
        world["a"].answers["attestation_data"] = data("lie")
        for _ in range(10):
            await world.attestation()
        assert await world.several.node_version() != "a"

    run(scenario)


# Duties


def test_duties_of_the_majority_are_taken_and_asked_once() -> None:
    async def scenario(world: World) -> None:
        world["a"].delay_s = 0.001
        world["a"].answers["attester_duties"] = attester_duties()  # leaves our duty out
        for _ in range(2):
            answer = await world.several.attester_duties(EPOCH, (0,))
            assert [duty.slot for duty in answer.duties] == [SLOT]
        assert world["b"].asked.count("attester_duties") == 1
        (line,) = world.notes.events("beacon_nodes_disagreed")
        assert (line["request"], line["others"]) == ("attester_duties", ["a"])

    run(scenario)


def test_duties_without_majority_come_from_the_best_and_are_not_kept() -> None:
    async def scenario(world: World) -> None:
        world["a"].answers["attester_duties"] = attester_duties(SLOT + 1)
        for _ in range(2):
            answer = await world.several.attester_duties(EPOCH, (0,))
            assert [duty.slot for duty in answer.duties] == [SLOT + 1]
        assert world["a"].asked.count("attester_duties") == 2

    run(scenario, primaries="ab")


def test_quick_liar_does_not_win_because_the_others_are_slow() -> None:
    async def scenario(world: World) -> None:
        world["a"].answers["attester_duties"] = attester_duties()
        world["b"].delay_s = world["c"].delay_s = 1.9
        answer = await world.several.attester_duties(EPOCH, (0,))
        assert len(answer.duties) == 1

    run(scenario)


def test_lying_validators_answer_is_outvoted() -> None:
    record = ValidatorRecord(
        index=1, pubkey=b"k" * 48, status=ValidatorStatus.ACTIVE_ONGOING, balance_gwei=7
    )

    async def scenario(world: World) -> None:
        world["a"].answers["validators"] = lambda _keys, state_id: ()
        for name in "bc":
            world[name].answers["validators"] = lambda _keys, state_id: (record,)
        assert await world.several.validators((b"k" * 48,)) == (record,)

    run(scenario)


def test_reorg_drops_the_duties_it_can_have_changed() -> None:
    async def scenario(world: World) -> None:
        world.watch()
        await world.several.attester_duties(EPOCH, (0,))
        await world.several.attester_duties(EPOCH + 1, (0,))
        # Duties of EPOCH + 1 are decided by the last slot of EPOCH - 1, which this reorg reaches.
        world["b"].tell("chain_reorg", slot=str(SLOT), depth="1")
        await asyncio.sleep(1)
        await world.several.attester_duties(EPOCH, (0,))
        await world.several.attester_duties(EPOCH + 1, (0,))
        assert world["a"].asked.count("attester_duties") == 3

    run(scenario)


def test_head_on_another_chain_drops_duties_though_no_reorg_was_told() -> None:
    async def scenario(world: World) -> None:
        world.watch()
        await world.several.attester_duties(EPOCH, (0,))
        counts = []
        # The first is of the epoch before: its current root is what our duties depend on.
        for slot, previous in ((SLOT - 1, "older"), (SLOT, "dependent"), (SLOT, "new")):
            for name in "bc":
                world[name].tell(
                    "head",
                    slot=str(slot),
                    block=previous,
                    previous_duty_dependent_root="0x" + root(previous).hex(),
                    current_duty_dependent_root="0x" + root("another").hex(),
                )
            await asyncio.sleep(1)
            await world.several.attester_duties(EPOCH, (0,))
            counts.append(world["a"].asked.count("attester_duties"))
        assert counts == [2, 2, 3]

    run(scenario)


# Health, fallbacks, other chains


def test_fallbacks_stand_in_while_no_primary_is_healthy_and_no_longer() -> None:
    async def scenario(world: World) -> None:
        world.watch()
        await world.attestation()
        assert "attestation_data" not in world["f"].asked
        world["a"].down = world["b"].down = True
        assert await world.attestation() == HONEST, "within the same call"
        await asyncio.sleep(30)
        assert world.notes.fallback[-1] is True
        assert set(world.several.conditions.values()) == {"down", "healthy"}
        world["a"].asked.clear()
        assert await world.attestation(SLOT + 2) == data(slot=SLOT + 2)
        assert world["a"].asked == [], "its circuit is open"
        world["a"].down = world["b"].down = False
        await asyncio.sleep(70)
        world["f"].asked.clear()
        await world.attestation(SLOT + 8)
        assert "attestation_data" not in world["f"].asked
        assert world.notes.fallback == [False, True, False]

    run(scenario, primaries="ab", fallbacks="f")


def test_down_node_is_probed_ever_more_rarely() -> None:
    async def scenario(world: World) -> None:
        world.watch()
        world["c"].down = True
        await asyncio.sleep(300)
        assert 8 < world["c"].asked.count("syncing") < 15
        assert world["a"].asked.count("syncing") >= 45

    run(scenario)


def test_syncing_node_does_not_vote() -> None:
    async def scenario(world: World) -> None:
        world.watch()
        world["a"].answers["syncing"] = SYNCING
        await asyncio.sleep(7)
        assert world.several.conditions == {"a": "degraded", "b": "healthy", "c": "healthy"}
        await world.attestation()
        assert "attestation_data" not in world["a"].asked
        world["a"].answers["syncing"] = SYNCED
        await asyncio.sleep(14)
        assert world.several.conditions["a"] == "healthy"

    run(scenario)


def test_all_degraded_nodes_are_still_asked() -> None:
    async def scenario(world: World) -> None:
        world.watch()
        for name in "abc":
            world[name].answers["syncing"] = SYNCING
        await asyncio.sleep(7)
        assert await world.attestation() == HONEST

    run(scenario)


def test_all_nodes_down_are_still_tried() -> None:
    async def scenario(world: World) -> None:
        world.watch()
        for name in "abc":
            world[name].down = True
        await asyncio.sleep(60)
        assert set(world.several.conditions.values()) == {"down"}
        for name in "abc":
            world[name].down = False
        assert (await world.attestation(SLOT + 5)).slot == SLOT + 5

    run(scenario)


def test_node_of_another_chain_is_left_out_and_comes_back_when_it_mends() -> None:
    other = Genesis(time_s=GENESIS.time_s, validators_root=root("other"), fork_version=bytes(4))

    async def scenario(world: World) -> None:
        world["c"].answers["genesis"] = other
        world["c"].delays_s["genesis"] = 0.5
        world.several = type(world.several)(
            [world[name].port for name in "abc"],
            clock=world.several._clock,
            spawner=world.supervisor,
            log=world.notes,
            observer=world.notes,
        )
        await world.several.chain_spec()
        world.watch()
        await asyncio.sleep(10)
        assert world.notes.events("beacon_node_on_another_chain") == [{"beacon_node": "c"}]
        world["c"].asked.clear()
        await world.attestation()
        assert "attestation_data" not in world["c"].asked
        world["c"].answers["genesis"] = GENESIS
        await asyncio.sleep(10)
        await world.attestation(SLOT + 1)
        assert "attestation_data" in world["c"].asked

    run(scenario)


def test_without_any_node_on_our_chain_calls_fail_as_unreachable() -> None:
    other = Genesis(time_s=GENESIS.time_s, validators_root=root("other"), fork_version=bytes(4))

    async def scenario(world: World) -> None:
        world.several._identity._verified.clear()
        world["a"].answers["genesis"] = other
        world.watch()
        await asyncio.sleep(1)
        with pytest.raises(BeaconNodeUnreachable):
            await world.attestation()
        with pytest.raises(BeaconNodeUnreachable):
            await world.several.node_version()
        with pytest.raises(BeaconNodeUnreachable):
            await world.several.submit_attestations(Fork.ELECTRA, ())

    run(scenario, primaries="a")


def test_silent_node_is_down() -> None:
    async def scenario(world: World) -> None:
        world["c"].delay_s = 1e6
        world.watch()
        await asyncio.sleep(60)
        assert world.several.conditions["c"] == "down"
        assert await world.attestation(SLOT + 4) == data(slot=SLOT + 4)

    run(scenario)


# Reads


def test_slow_read_is_hedged_and_a_failed_one_goes_to_the_next_at_once() -> None:
    async def scenario(world: World) -> None:
        for name in "abc":
            world[name].answers["node_version"] = name
        world["a"].delay_s = 5
        started_s = world.now_s
        assert await world.several.node_version() == "b"
        assert world.now_s - started_s == pytest.approx(0.31, abs=0.01)
        world["a"].delay_s, world["a"].down = 0.01, True
        assert await world.several.node_version() == "b"
        assert world.now_s - started_s < 0.4
        assert world["c"].asked == []

    run(scenario)


@pytest.mark.parametrize("lie", [root("lie"), None])
def test_what_most_nodes_see_on_chain_is_true(lie: bytes | None) -> None:
    async def scenario(world: World) -> None:
        world["a"].delay_s = 0.001
        for name, told in zip("abc", (lie, root("b"), root("b")), strict=True):
            world[name].answers["block_root"] = told
        assert await world.several.block_root(SLOT) == root("b")
        for name in "abc":
            world[name].answers["block_root"] = None
        assert await world.several.block_root(SLOT) is None
        assert world.notes.events("beacon_nodes_disagreed")[0]["others"] == ["a"]
        assert not [line for line in world.notes.lines if line[0] == "warning"]

    run(scenario)


def test_read_that_every_node_refuses_raises_the_refusal_without_asking_fallbacks() -> None:
    async def scenario(world: World) -> None:
        for name in "ab":
            world[name].answers["node_version"] = refusal(404)
        with pytest.raises(BeaconNodeRefused):
            await world.several.node_version()
        assert world["f"].asked == []

    run(scenario, primaries="ab", fallbacks="f")


def test_every_other_method_reaches_the_nodes() -> None:
    summary = BlockSummary(slot=SLOT, root=root("head"), parent_root=root("p"), proposer_index=1)

    async def scenario(world: World) -> None:
        several = world.several
        for name in "abc":
            world[name].answers.update(dict.fromkeys(SUBMISSIONS, None), head=summary, block=None)
        assert await several.head() == summary
        assert await several.block("head") is None
        assert (await several.syncing()) == SYNCED
        assert (await several.finality_checkpoints()).finalized.epoch == EPOCH - 1
        assert await several.genesis() == GENESIS
        assert several.name == "a, b, c"
        for what in SUBMISSIONS:
            await getattr(several, what)(*((Fork.ELECTRA, ()) if "aggregates" in what else ((),)))
            await asyncio.sleep(1)
            assert all(what in world[name].finished for name in "abc")

    run(scenario)


SUBMISSIONS = (
    "submit_aggregates",
    "submit_sync_messages",
    "submit_contributions",
    "submit_exit",
    "register_validators",
    "prepare_beacon_proposer",
    "subscribe_committees",
    "subscribe_sync_committees",
)


# Blocks


REQUEST = BlockRequest(slot=SLOT, randao_reveal=bytes(96))


def proposal(parent: str, *, proposer_index: int = 3) -> Proposal:
    return block(Fork.ELECTRA, SLOT, parent_root=root(parent), proposer_index=proposer_index)


def test_block_of_the_highest_value_on_the_agreed_parent_is_proposed() -> None:
    poor = proposal("parent", proposer_index=1)
    rich = proposal("parent", proposer_index=2)
    lie = proposal("other", proposer_index=3)
    values = {1: 10, 2: 20, 3: 10**9}

    async def scenario(world: World) -> None:
        for name, made in zip("abc", (lie, poor, rich), strict=True):
            world[name].answers["produce_block"] = made
        world["c"].delay_s = 1.4  # a liar and one other are not enough to stop waiting
        assert await world.several.produce_block(REQUEST) == rich
        world["a"].answers["produce_block"] = poor
        assert await world.several.produce_block(REQUEST) == poor, "two agree: the third is late"

    run(scenario, value_of=lambda each: values[each.header.proposer_index])


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


# Submissions


def test_submission_goes_to_the_fallback_too_when_the_primary_hangs() -> None:
    async def scenario(world: World) -> None:
        world["a"].delay_s = 100
        await world.several.publish_block(sign_proposal(proposal("parent"), bytes(96)))
        assert world.now_s == pytest.approx(1.52, abs=0.02)
        await asyncio.sleep(100)
        assert world["a"].finished[-1] == "publish_block"

    run(scenario, primaries="a", fallbacks="f")


def test_submission_reaches_all_and_returns_with_the_first() -> None:
    async def scenario(world: World) -> None:
        world["a"].delay_s = 3
        world["b"].down = True
        started_s = world.now_s
        await world.several.submit_attestations(Fork.ELECTRA, ())
        assert world.now_s - started_s < 0.1
        await asyncio.sleep(5)
        assert [world[name].finished.count("submit_attestations") for name in "abc"] == [1, 1, 1]

    run(scenario)


def test_submission_survives_its_callers_cancellation() -> None:
    async def scenario(world: World) -> None:
        for name in "abc":
            world[name].delay_s = 2
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await world.several.submit_attestations(Fork.ELECTRA, ())
        await asyncio.sleep(5)
        assert all("submit_attestations" in world[name].finished for name in "abc")

    run(scenario)


@pytest.mark.parametrize(
    ("answers", "kind", "blames"),
    [
        ((refusal(), refusal(), refusal()), BeaconNodeRefused, True),
        ((refusal(), unreachable(), unreachable()), BeaconNodeRefused, True),
        ((refusal(), refusal(500), refusal()), BeaconNodeRefused, False),
        ((unreachable(), unreachable(), unreachable()), BeaconNodeUnreachable, False),
    ],
)
def test_refusal_counts_only_when_all_that_answered_refuse(
    answers: tuple[Exception, ...], kind: type[Exception], blames: bool
) -> None:
    async def scenario(world: World) -> None:
        for name, answer in zip("abc", answers, strict=True):
            world[name].answers["publish_block"] = answer
        with pytest.raises(kind) as caught:
            await world.several.publish_block(sign_proposal(proposal("parent"), bytes(96)))
        assert getattr(caught.value, "blames_request", False) is blames

    run(scenario)


def test_submission_goes_to_fallbacks_when_no_primary_can_be_reached() -> None:
    async def scenario(world: World) -> None:
        world["a"].down = True
        await world.several.submit_attestations(Fork.ELECTRA, ())
        assert world["f"].finished == ["submit_attestations"]

    run(scenario, primaries="a", fallbacks="f")


# Streams


def test_events_come_once_from_whoever_tells_first_and_survive_a_lost_stream() -> None:
    async def scenario(world: World) -> None:
        got = []
        stream = world.several.events(("block",))
        world["a"].tell("block", slot="808", block="0x01", execution_optimistic=True)
        world["b"].tell("block", slot="808", block="0x01", execution_optimistic=False)
        world["c"].tell("block", slot="809", block="0x02")  # has not begun
        got.append(await anext(stream))
        world["a"].end_events()
        world["b"].tell("block", slot="808", block="0x03")
        got.append(await anext(stream))
        await asyncio.sleep(2)
        world["a"].tell("block", slot="808", block="0x04")
        got.append(await anext(stream))
        await stream.aclose()
        assert [event.data["block"] for event in got] == ["0x01", "0x03", "0x04"]
        assert world["a"].asked.count("events") == 2

    run(scenario)


def test_head_of_one_node_alone_hurries_nobody() -> None:
    async def scenario(world: World) -> None:
        stream = world.several.events(("head",))
        world["a"].tell("head", slot="808", block="0xbad")
        for name in "bc":
            world[name].tell("head", slot="808", block="0x01")
        assert (await anext(stream)).data["block"] == "0x01"
        world["b"].tell("head", slot="808", block="0xbad")
        assert (await anext(stream)).data["block"] == "0xbad", "two say so"
        await stream.aclose()

    run(scenario)


def test_head_of_the_only_healthy_node_is_told_at_once() -> None:
    async def scenario(world: World) -> None:
        world.watch()
        world["b"].down = world["c"].down = True
        await asyncio.sleep(30)
        stream = world.several.events(("head",))
        world["a"].tell("head", slot="809", block="0x01")
        async with asyncio.timeout(1):
            assert (await anext(stream)).data["block"] == "0x01"
        await stream.aclose()

    run(scenario)


def test_silent_stream_of_heads_is_opened_again() -> None:
    async def scenario(world: World) -> None:
        stream = world.several.events(("head",))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(200):
                await anext(stream)
        await stream.aclose()
        assert world["a"].asked.count("events") == 3

    run(scenario, primaries="a")


def test_fallbacks_are_listened_to_only_while_they_stand_in() -> None:
    async def scenario(world: World) -> None:
        world.watch()
        stream = world.several.events(("head",))
        world["a"].tell("head", slot="808", block="0x01")
        await anext(stream)
        await asyncio.sleep(3)
        assert "events" not in world["f"].asked
        world["a"].down = True
        world["f"].tell("head", slot="809", block="0x02")
        await asyncio.sleep(30)
        async with asyncio.timeout(1):
            assert (await anext(stream)).data["block"] == "0x02"
        await stream.aclose()

    run(scenario, primaries="a", fallbacks="f")


def proxied(method: str) -> ProxyRequest:
    return ProxyRequest(method=method, path="/eth/v1/node/version", headers={})


async def proxy_text(world: World, method: str) -> str:
    async with world.several.proxy(proxied(method)) as response:
        return b"".join([chunk async for chunk in response.chunks()]).decode()


def test_proxy_goes_to_the_next_node_only_if_nothing_can_have_been_done_twice() -> None:
    async def scenario(world: World) -> None:
        assert await proxy_text(world, "POST") == "a"
        world["a"].down = True
        assert await proxy_text(world, "POST") == "b", "never connected"
        world["a"].answers["proxy"] = unreachable("ServerDisconnectedError")
        with pytest.raises(BeaconNodeUnreachable):
            await proxy_text(world, "POST")
        world["b"].down = True
        world["b"].answers["proxy"] = unreachable("time out")

        assert await proxy_text(world, "GET") == "c"

    run(scenario, settings=Settings())


def test_proxy_without_any_node_raises() -> None:
    async def scenario(world: World) -> None:
        for name in "abc":
            world[name].down = True
        with pytest.raises(BeaconNodeUnreachable):
            await proxy_text(world, "GET")

    run(scenario)


def test_equal_seeds_give_equal_runs() -> None:
    async def scenario(world: World) -> tuple[object, ...]:
        world.watch()
        for name, head in zip("abc", ("x", "y", "y"), strict=True):
            world[name].answers["attestation_data"] = data(head)
        await world.attestation()
        await world.several.attester_duties(EPOCH, (0,))
        await world.several.submit_attestations(Fork.ELECTRA, ())
        world["b"].down = True
        await asyncio.sleep(40)
        return world.notes.lines, world.notes.outcomes, world.now_s

    assert run(scenario, seed=5) == run(scenario, seed=5)
