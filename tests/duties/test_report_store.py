"""Records on disk: written in one go, found again, bounded, and no reason to stop a node."""

import sqlite3

import msgspec
import pytest
from tests.duties.duty_world import database, log
from tests.duties.test_report import REPORT

from tetrarch.duties.report import DutyReport, Outcome, Step
from tetrarch.duties.report_store import LISTED_MAX, WAITING_MAX, ReportStore
from tetrarch.duties.types import Duty, DutyType
from tetrarch.errors import Transient
from tetrarch.sim.loop import simulate
from tetrarch.storage.inline import InlineDatabase


def report(slot: int, *, outcome: Outcome = Outcome.DONE, kind: str = "attester") -> DutyReport:
    return msgspec.structs.replace(REPORT, slot=slot, outcome=outcome, type=kind)


class World:
    def __init__(self) -> None:
        self.open: dict[Duty, DutyReport] = {}
        self.database: InlineDatabase = database()
        self.store = ReportStore(storage=self.database, report_of=self.open.get, log=log())


def test_records_outlive_the_node() -> None:
    async def main() -> None:
        world = World()
        world.store.add(report(9))
        world.store.add(report(10, outcome=Outcome.FAILED))
        await world.store.flush()
        world.database = world.database.reopen()
        store = ReportStore(storage=world.database, report_of=world.open.get, log=log())
        assert await store.find(Duty(9, DutyType.ATTESTER)) == report(9)
        assert await store.find(Duty(9, DutyType.PROPOSER)) is None

    simulate(main, seed="reports")


def test_all_that_waits_is_one_transaction() -> None:
    async def main() -> None:
        world = World()
        writes = 0
        write = world.database.write

        async def counted(function: object) -> object:
            nonlocal writes
            writes += 1
            return await write(function)  # type: ignore[arg-type]  # whatever it is

        world.database.write = counted  # type: ignore[method-assign,assignment]
        for slot in range(50):
            world.store.add(report(slot))
        await world.store.flush()
        await world.store.flush()
        assert writes == 1

    simulate(main, seed="reports")


def test_noted_duty_is_written_as_it_is_by_then_and_its_end_replaces_it() -> None:
    async def main() -> None:
        world, duty = World(), Duty(9, DutyType.ATTESTER)
        world.store.note(duty)
        world.open[duty] = msgspec.structs.replace(report(9), ended=False)
        await world.store.flush()
        found = await world.store.find(duty)
        assert found is not None
        assert not found.ended
        world.store.add(report(9))
        world.store.note(duty)  # does not take the end back
        await world.store.flush()
        assert await world.store.find(duty) == report(9)

    simulate(main, seed="reports")


def test_record_of_before_a_restart_is_not_replaced_by_what_was_heard_after_it() -> None:
    async def main() -> None:
        world, duty = World(), Duty(9, DutyType.ATTESTER)
        heard = msgspec.structs.replace(report(9), at_ms={Step.EXCHANGED: 1.0})
        world.store.add(report(9))
        await world.store.flush()
        world.store.add(heard)
        world.store.add(msgspec.structs.replace(heard, slot=10))
        await world.store.flush()
        assert await world.store.find(duty) == report(9)
        assert await world.store.find(Duty(10, DutyType.ATTESTER)) is not None

    simulate(main, seed="reports")


def test_full_disk_costs_nothing_while_there_is_memory() -> None:
    async def main() -> None:
        world = World()
        world.database.full = True
        for slot in range(WAITING_MAX + 10):
            world.store.add(report(slot))
        with pytest.raises(Transient):
            await world.store.flush()
        world.database.full = False
        await world.store.flush()
        assert await world.store.find(Duty(9, DutyType.ATTESTER)) is None  # the oldest
        assert await world.store.find(Duty(10, DutyType.ATTESTER)) == report(10)

    simulate(main, seed="reports")


def test_list_is_the_latest_in_order_and_can_be_narrowed() -> None:
    async def main() -> None:
        world = World()
        for slot in range(LISTED_MAX + 5):
            world.store.add(
                report(slot, outcome=Outcome.FAILED if slot % 100 == 7 else Outcome.DONE)
            )
        world.store.add(report(7, kind="proposer"))
        await world.store.flush()
        slots = [each.slot for each in await world.store.list(since_slot=0, failed=False)]
        assert slots == sorted([7, *range(LISTED_MAX + 5)])[-LISTED_MAX:]
        failed = await world.store.list(since_slot=100, failed=True)
        assert [each.slot for each in failed] == [107, 207, 307, 407, 507]
        blocks = await world.store.list(since_slot=0, failed=False, types=(DutyType.PROPOSER,))
        assert [each.name for each in blocks] == ["7/proposer"]

    simulate(main, seed="reports")


def test_old_records_are_deleted_by_type() -> None:
    async def main() -> None:
        world = World()
        for slot in (1, 2):
            world.store.add(report(slot))
            world.store.add(report(slot, kind="randao"))
        await world.store.flush()
        assert await world.store.delete_before(DutyType.ATTESTER, 2) == 1
        left = await world.store.list(since_slot=0, failed=False)
        assert [each.name for each in left] == ["1/randao", "2/attester", "2/randao"]

    simulate(main, seed="reports")


@pytest.mark.parametrize("rubbish", [b"\xc1", "text", None])
def test_record_that_cannot_be_read_is_as_good_as_none(rubbish: object) -> None:
    async def main() -> None:
        world = World()
        world.store.add(report(9))
        await world.store.flush()

        def spoil(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE duty_reports SET record = ?", (rubbish or b"",))

        await world.database.write(spoil)
        assert await world.store.find(Duty(9, DutyType.ATTESTER)) is None
        assert await world.store.list(since_slot=0, failed=False) == ()

    simulate(main, seed="reports")
