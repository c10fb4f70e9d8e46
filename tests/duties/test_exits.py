"""The group's exits: kept for the operator, published only where and when that was asked for."""

import asyncio

from tests.duties.duty_world import CHAIN, database, recorded
from tests.duties.lasting_world import FIRST, SECOND, LastingWorld, exit_set

from tetrarch.duties.aggsigdb import AggSigDB
from tetrarch.duties.exits import Exits
from tetrarch.duties.requested import ExitRequest
from tetrarch.duties.types import Duty, DutyType, ExitPayload
from tetrarch.errors import Transient
from tetrarch.ethereum.beacon_node.errors import BeaconNodeRefused, BeaconNodeUnreachable
from tetrarch.ethereum.beacon_node.ports import ValidatorStatus


class World(LastingWorld):
    def __init__(self, *, signs_by_itself: bool = True) -> None:
        super().__init__()
        self.exits = Exits(self.ports, signs_by_itself=signs_by_itself)
        self.submitted = recorded(self.exits.submitted)

    def wants(self, *, epoch: int = 1, broadcast: bool = True) -> None:
        self.operator.asked = [ExitRequest(pubkey=FIRST, epoch=epoch, broadcast=broadcast)]

    async def tick(self) -> None:
        await self.exits.submit_due(CHAIN.slot_at(self.clock.wall_s()))
        await self.spawner.settle()

    async def keep(self, epoch: int = 1) -> None:
        await self.exits.keep(exit_set(epoch=epoch))
        await self.spawner.settle()

    @property
    def published(self) -> int:
        return len(self.node.called("submit_exit"))


def test_exit_is_kept_and_not_published_unless_asked() -> None:
    async def main() -> None:
        world = World()
        await world.keep()
        world.wants(broadcast=False)
        await world.tick()
        ((pubkey, signed),) = world.operator.kept
        assert (pubkey, signed.message.epoch, signed.message.validator_index) == (FIRST, 1, 100)
        assert (world.published, world.outcomes) == (0, ["signed"])
        world.wants(epoch=2)  # another exit
        await world.tick()
        assert world.published == 0
        world.wants()
        await world.tick()
        await world.tick()
        assert (world.published, len(world.submitted)) == (1, 1)

    asyncio.run(main())


def test_where_a_client_signs_its_exits_are_published() -> None:
    async def main() -> None:
        world = World(signs_by_itself=False)
        await world.keep()
        assert (world.published, world.outcomes) == (1, ["signed", "submitted"])

    asyncio.run(main())


def test_exit_waits_for_its_epoch() -> None:
    async def main() -> None:
        world = World()
        world.wants(epoch=5)
        await world.keep(epoch=5)
        world.at_epoch(4)
        await world.tick()
        assert world.published == 0
        world.at_epoch(5)
        await world.tick()
        assert world.published == 1

    asyncio.run(main())


def test_refused_exit_is_tried_again_in_the_next_epoch_and_an_unreachable_node_in_the_next_slot() -> (
    None
):
    async def main() -> None:
        world = World()
        world.wants()
        world.node.failing["submit_exit"] = BeaconNodeUnreachable("submit")
        await world.keep()
        await world.tick()
        assert world.published == 2
        world.node.failing["submit_exit"] = BeaconNodeRefused("submit", status=400, message="young")
        await world.tick()
        await world.tick()
        assert world.published == 3
        (line,) = world.log.find("exit_refused")
        assert line["message"] == "young"
        del world.node.failing["submit_exit"]
        world.at_epoch(4)
        await world.tick()
        assert (world.published, len(world.submitted)) == (4, 1)

    asyncio.run(main())


def test_validator_that_leaves_already_is_not_asked_to_again() -> None:
    async def main() -> None:
        world = World()
        world.wants()
        world.node.statuses[FIRST] = ValidatorStatus.ACTIVE_EXITING
        await world.keep()
        assert (world.published, world.outcomes) == (0, ["signed", "on_chain"])
        assert len(world.submitted) == 1

    asyncio.run(main())


def test_exit_that_found_no_room_is_kept_later() -> None:
    async def main() -> None:
        world = World()
        world.operator.failing = Transient("keep exit")
        await world.keep()
        assert world.operator.kept == []
        world.operator.failing = None
        await world.tick()
        assert len(world.operator.kept) == 1

    asyncio.run(main())


def test_restarted_node_keeps_all_and_publishes_what_is_left() -> None:
    async def main() -> None:
        stored = AggSigDB(storage=database())
        first, second = exit_set(), exit_set(SECOND, index=101)
        for each in (first, second):
            await stored.store(each)
        await stored.note_submitted(second)
        world = World(signs_by_itself=False)
        await world.exits.load(stored)
        await world.tick()
        assert sorted(pubkey for pubkey, _ in world.operator.kept) == sorted((FIRST, SECOND))
        assert [each.items[0].pubkey for each in world.submitted] == [FIRST]

    asyncio.run(main())


def test_other_duties_pass_by() -> None:
    async def main() -> None:
        world = World(signs_by_itself=False)
        other = exit_set()
        await world.exits.keep(type(other)(duty=Duty(8, DutyType.RANDAO), items=other.items))
        await world.tick()
        assert (world.operator.kept, world.published) == ([], 0)
        assert isinstance(other.items[0].payload, ExitPayload)

    asyncio.run(main())
