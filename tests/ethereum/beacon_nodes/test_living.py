"""Goal: no single beacon node hides a vote, nor makes one up where others can contradict it."""

from collections.abc import Sequence

import pytest
from tests.ethereum.beacon_nodes.scripted_nodes import World, run, unreachable

from tetrarch.ethereum.beacon_node.errors import BeaconNodeUnreachable

EPOCH = 5
SEEN, NOTHING = frozenset({7}), frozenset[int]()


def answering(world: World, *answers: frozenset[int] | None) -> None:
    """Each node's answer; None: it fails."""
    for name, answer in zip("abcde", answers, strict=False):
        world[name].answers["live_validators"] = unreachable() if answer is None else answer


@pytest.mark.parametrize(
    ("answers", "live"),
    [
        ([SEEN], SEEN),
        ([NOTHING], NOTHING),
        ([SEEN, NOTHING], SEEN),
        ([NOTHING, SEEN], SEEN),
        ([SEEN, NOTHING, SEEN], SEEN),  # one hides it
        ([SEEN, NOTHING, NOTHING], NOTHING),  # one makes it up
        ([None, NOTHING, SEEN], SEEN),  # one is away: nobody to say who is right
        ([SEEN, SEEN, NOTHING, NOTHING, NOTHING], SEEN),  # two do not make up the same
    ],
)
def test_what_counts_as_a_vote(answers: Sequence[frozenset[int] | None], live: object) -> None:
    async def scenario(world: World) -> None:
        answering(world, *answers)
        assert await world.several.live_validators(EPOCH, (7, 9)) == live
        assert all("live_validators" in world[name].asked for name in "abcde"[: len(answers)])

    run(scenario, primaries="abcde"[: len(answers)])


@pytest.mark.parametrize("told", [SEEN, NOTHING])
def test_lone_answer_of_three_is_none(told: frozenset[int]) -> None:
    async def scenario(world: World) -> None:
        answering(world, told, None, None)
        with pytest.raises(BeaconNodeUnreachable) as raised:
            await world.several.live_validators(EPOCH, (7,))
        assert "only a answered of 3" in str(raised.value)

    run(scenario)


def test_slow_node_is_waited_for_but_not_for_ever() -> None:
    async def scenario(world: World) -> None:
        answering(world, NOTHING, SEEN, SEEN)
        world["b"].delay_s = world["c"].delay_s = 3.0
        assert await world.several.live_validators(EPOCH, (7,)) == SEEN
        world["b"].delay_s = 1000.0
        assert await world.several.live_validators(EPOCH, (7,)) == SEEN  # a and c alone

    run(scenario)


def test_nodes_that_differ_are_told_of() -> None:
    async def scenario(world: World) -> None:
        answering(world, SEEN, NOTHING, NOTHING)
        await world.several.live_validators(EPOCH, (7,))
        (line,) = world.notes.events("beacon_nodes_disagreed")
        assert line["seen"] == {"a": 1, "b": 0, "c": 0}

    run(scenario)
