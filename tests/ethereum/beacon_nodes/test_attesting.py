"""A liar never wins however quick it is, and nobody is waited for longer than it pays."""

import asyncio

import pytest
from tests.ethereum.beacon_nodes.scripted_nodes import (
    EPOCH,
    HONEST,
    SLOT,
    World,
    data,
    root,
    run,
)

from tetrarch.ethereum.beacon_node.errors import (
    BeaconNodeAnswerInvalid,
    BeaconNodeRefused,
)
from tetrarch.ethereum.beacon_node.ports import (
    FinalityCheckpoints,
)
from tetrarch.ethereum.beacon_nodes.settings import Settings
from tetrarch.ethereum.spec.values import AttestationData, Checkpoint

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
