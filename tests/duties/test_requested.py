"""A node signs an exit or a registration when its own operator asked, once, and not too early."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from tests.duties.duty_world import CHAIN, recorded
from tests.duties.lasting_world import FIRST, SECOND, THIRD, VALIDATORS, LastingWorld, registration

from tetrarch.duties.requested import ExitRequest, RegistrationRequest, Requested
from tetrarch.duties.types import Duty, DutyType, ExitDefinition, PubKey, RegistrationDefinition


@dataclass
class Schedule:
    validators: dict[int, PubKey] = field(
        default_factory=lambda: {100: VALIDATORS.pubkeys[0], 101: VALIDATORS.pubkeys[1]}
    )


def asking(world: LastingWorld, schedule: Schedule | None = None) -> tuple[Requested, list[Any]]:
    requested = Requested(world.ports, schedule=schedule or Schedule(), pubkeys=VALIDATORS.pubkeys)
    return requested, recorded(requested.duties)


def leave(pubkey: PubKey = FIRST, epoch: int = 1, *, broadcast: bool = False) -> ExitRequest:
    return ExitRequest(pubkey=pubkey, epoch=epoch, broadcast=broadcast)


def test_exits_of_one_epoch_are_one_duty_and_start_once() -> None:
    async def main() -> None:
        world = LastingWorld()
        requested, duties = asking(world)
        world.operator.asked = [leave(SECOND), leave(FIRST)]
        for slot in (24, 25):
            await requested.start_due(slot)
        (started,) = duties
        assert started.duty == Duty(CHAIN.first_slot(1), DutyType.EXIT)
        wanted = [(FIRST, 100, 1), (SECOND, 101, 1)]
        found = [(d.pubkey, d.validator_index, d.epoch) for d in started.definitions]
        assert found == sorted(wanted)
        assert all(isinstance(each, ExitDefinition) for each in started.definitions)

    asyncio.run(main())


def test_exit_starts_when_its_epoch_begins_not_before() -> None:
    async def main() -> None:
        world = LastingWorld()
        requested, duties = asking(world)
        world.operator.asked = [leave(epoch=4)]
        first = CHAIN.first_slot(4)
        await requested.start_due(first - 1)
        assert duties == []
        await requested.start_due(first)
        assert [each.duty.slot for each in duties] == [first]

    asyncio.run(main())


def test_registration_starts_in_the_slot_of_its_timestamp() -> None:
    async def main() -> None:
        world = LastingWorld()
        requested, duties = asking(world)
        message = registration(at_s=100).message
        world.operator.asked = [RegistrationRequest(message=message)]
        slot = CHAIN.slot_at(message.timestamp)
        await requested.start_due(slot - 1)
        assert duties == []
        await requested.start_due(slot)
        (started,) = duties
        assert started.duty == Duty(slot, DutyType.BUILDER_REGISTRATION)
        assert started.definitions == (RegistrationDefinition(slot=slot, message=message),)

    asyncio.run(main())


def test_validator_that_the_beacon_node_does_not_know_waits_and_is_told_of_once() -> None:
    async def main() -> None:
        world = LastingWorld()
        schedule = Schedule()
        requested, duties = asking(world, schedule)
        world.operator.asked = [leave(THIRD)]
        for slot in (24, 25):
            await requested.start_due(slot)
        assert duties == []
        assert len(world.log.find("request_waits")) == 1
        schedule.validators[102] = THIRD
        await requested.start_due(26)
        assert len(duties) == 1

    asyncio.run(main())


def test_foreign_validators_and_an_unresolved_schedule_start_nothing() -> None:
    async def main() -> None:
        world = LastingWorld()
        requested, duties = asking(world)
        world.operator.asked = [leave(PubKey(b"\7" * 48))]
        await requested.start_due(24)
        world.operator.asked = [leave()]
        empty, none = asking(world, Schedule(validators={}))
        await empty.start_due(24)
        assert (duties, none, world.log.find("request_waits")) == ([], [], [])

    asyncio.run(main())
