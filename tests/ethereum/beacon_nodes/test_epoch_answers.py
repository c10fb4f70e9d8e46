"""Duties are the majority's, asked for once an epoch, and again after a reorg."""

import asyncio

from tests.ethereum.beacon_nodes.scripted_nodes import (
    EPOCH,
    SLOT,
    World,
    attester_duties,
    root,
    run,
)

from tetrarch.ethereum.beacon_node.ports import (
    ValidatorRecord,
    ValidatorStatus,
)


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


def test_duties_of_another_epoch_are_not_kept() -> None:
    """Asked ahead of time Lodestar 1.5 tells who proposes now; a slot later it is right."""

    async def scenario(world: World) -> None:
        early = world["a"].answers["attester_duties"]
        world["a"].answers["attester_duties"] = attester_duties(SLOT - 32)
        answer = await world.several.attester_duties(EPOCH, (0,))
        assert [duty.slot for duty in answer.duties] == [SLOT - 32]
        world["a"].answers["attester_duties"] = early
        answer = await world.several.attester_duties(EPOCH, (0,))
        assert [duty.slot for duty in answer.duties] == [SLOT]

    run(scenario, primaries="a")


def test_quick_liar_does_not_win_because_the_others_are_slow() -> None:
    async def scenario(world: World) -> None:
        world["a"].answers["attester_duties"] = attester_duties()
        world["b"].delay_s = world["c"].delay_s = 1.9
        answer = await world.several.attester_duties(EPOCH, (0,))
        assert len(answer.duties) == 1

    run(scenario)


def test_one_nodes_word_is_doubted_once_others_can_be_asked() -> None:
    async def scenario(world: World) -> None:
        doubts: list[int] = []

        async def note(epoch: int) -> None:
            doubts.append(epoch)

        world.several.doubts.subscribe(note)
        world["a"].answers["attester_duties"] = attester_duties()
        world["b"].down = world["c"].down = True
        world.watch()
        await asyncio.sleep(20)
        answer = await world.several.attester_duties(EPOCH, (0,))
        assert answer.duties == ()
        await asyncio.sleep(20)
        assert doubts == [], "there is nobody else to ask"
        world["b"].down = world["c"].down = False
        await asyncio.sleep(90)
        assert doubts == [EPOCH]
        assert len((await world.several.attester_duties(EPOCH, (0,))).duties) == 1
        await asyncio.sleep(20)
        assert doubts == [EPOCH], "two agreed"

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
