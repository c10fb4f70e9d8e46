"""A submission reaches every node; one success is enough, one refusal is not."""

import asyncio

import pytest
from tests.ethereum.beacon_nodes.scripted_nodes import (
    World,
    proposal,
    refusal,
    run,
    unreachable,
)

from tetrarch.ethereum.beacon_node.errors import (
    BeaconNodeRefused,
    BeaconNodeUnreachable,
)
from tetrarch.ethereum.spec.proposals import sign_proposal
from tetrarch.ethereum.spec.values import Fork


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
        assert [world[name].finished.count("submit_attestations") for name in "ac"] == [1, 1]

    run(scenario)


def test_node_that_failed_gets_what_another_took_once_it_is_back() -> None:
    async def scenario(world: World) -> None:
        world.watch()
        world["b"].answers["submit_attestations"] = refusal(503)
        world["c"].answers["submit_attestations"] = refusal(400)
        await world.several.submit_attestations(Fork.ELECTRA, ())
        await asyncio.sleep(6)
        assert world["b"].asked.count("submit_attestations") == 3
        world["b"].answers["submit_attestations"] = None
        await asyncio.sleep(200)
        counts = [world[name].asked.count("submit_attestations") for name in "abc"]
        assert counts == [1, 4, 1], "nobody gets it again who took or refused it"

    run(scenario)


def test_node_that_was_down_gets_what_another_took_once_it_is_back() -> None:
    """The other may have lost it: simulator seed 1070."""

    async def scenario(world: World) -> None:
        world.watch()
        world["b"].down = True
        await asyncio.sleep(100)
        await world.several.submit_attestations(Fork.ELECTRA, ())
        await asyncio.sleep(2)
        assert "submit_attestations" not in world["b"].asked, "not while it is down"
        world["b"].down = False
        await asyncio.sleep(100)
        counts = [world[name].finished.count("submit_attestations") for name in "abc"]
        assert counts == [1, 1, 1]

    run(scenario)


def test_submission_that_nobody_took_is_left_to_its_caller() -> None:
    async def scenario(world: World) -> None:
        for name in "abc":
            world[name].answers["submit_attestations"] = refusal(503)
        with pytest.raises(BeaconNodeRefused):
            await world.several.submit_attestations(Fork.ELECTRA, ())
        await asyncio.sleep(200)
        assert [world[name].asked.count("submit_attestations") for name in "abc"] == [1, 1, 1]

    run(scenario)


def partly(*indices: int) -> BeaconNodeRefused:
    return BeaconNodeRefused("ask", status=400, message="some", failed_indices=indices)


@pytest.mark.parametrize(
    ("answers", "left"),
    [
        ((partly(1, 3), partly(3, 5), unreachable()), (3,)),
        ((partly(1), partly(5), refusal()), ()),
        ((partly(1, 3), None, partly(1)), ()),
        ((partly(1, 3), unreachable(), unreachable()), (1, 3)),
    ],
)
def test_items_that_any_node_took_are_taken(answers: tuple[object, ...], left: object) -> None:
    async def scenario(world: World) -> None:
        for name, answer in zip("abc", answers, strict=True):
            world[name].answers["submit_attestations"] = answer
        if not left:
            await world.several.submit_attestations(Fork.ELECTRA, ())
            return
        with pytest.raises(BeaconNodeRefused) as raised:
            await world.several.submit_attestations(Fork.ELECTRA, ())
        assert raised.value.failed_indices == left

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
