"""What became of each event is said once, in its order, by whoever holds its handle; nothing to come is lost."""

import pytest

from tetrarch.errors import InvariantBroken
from tetrarch.leadership.logs import (
    REASON_LENGTH_MAX,
    Handle,
    Logs,
    MadeBlock,
    ScheduleFull,
    Status,
)
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.headers import BlockId

DATE = BlockDate(3, 7)


def made(number: int = 1) -> MadeBlock:
    return MadeBlock(BlockId(bytes([number]) * 32), BlockId(bytes(32)), 9)


def added(logs: Logs, date: BlockDate = DATE, leader: int = 1) -> Handle:
    handle = logs.add(leader, date, scheduled_s=100.0, now_s=50.0)
    assert handle is not None
    return handle


def standing(handle: Handle) -> Status:
    return handle.entry.status


def test_a_block_is_made_and_accepted() -> None:
    logs = Logs()
    handle = added(logs)
    assert standing(handle) is Status.PENDING
    assert [entry.date for entry in logs.to_come()] == [DATE]
    handle.wake(100.25)
    assert (standing(handle), handle.entry.late_s) == (Status.WOKEN, 0.25)
    handle.made(made(), 100.5)
    assert (standing(handle), handle.entry.finished_s) == (Status.MADE, 100.5)
    assert logs.to_come() == []
    later = logs.handle_of(made().block)
    assert later is not None
    later.accepted()
    assert standing(handle) is Status.ACCEPTED
    assert handle.entry.made == made()


def test_a_reorganisation_orphans_and_accepts_again() -> None:
    logs = Logs()
    handle = added(logs)
    handle.wake(100.0)
    handle.made(made(), 100.5)
    for step, status in ((handle.orphaned, Status.ORPHANED), (handle.accepted, Status.ACCEPTED)):
        step()
        assert standing(handle) is status


def test_what_never_counted_is_orphaned_once_another_is_final() -> None:
    logs = Logs()
    handles = [added(logs, BlockDate(3, number)) for number in range(4)]
    for number, handle in enumerate(handles):
        handle.wake(100.0)
        handle.made(MadeBlock(made(number).block, made().parent, 8 + number), 100.5)
    handles[1].accepted()
    logs.lost(9, {made(2).block})
    assert [standing(handle) for handle in handles] == [
        Status.ORPHANED,
        Status.ACCEPTED,
        Status.MADE,
        Status.MADE,
    ], "it counted; it may count yet"
    logs.lost(10, {made(2).block})
    assert standing(handles[2]) is Status.MADE, "the chain says that it is accepted"


@pytest.mark.parametrize("is_woken", [False, True])
def test_what_came_to_nothing_says_why(is_woken: bool) -> None:
    logs = Logs()
    handle = added(logs)
    if is_woken:
        handle.wake(100.0)
    handle.reject("x" * 1000, 101.0)
    (entry,) = logs
    assert (entry.status, len(entry.reason)) == (Status.REJECTED, REASON_LENGTH_MAX)


def test_everything_is_said_in_its_turn() -> None:
    logs = Logs()
    handle = added(logs)
    for early in (handle.accepted, handle.orphaned, lambda: handle.made(made(), 1.0)):
        with pytest.raises(InvariantBroken):
            early()
    handle.wake(100.0)
    with pytest.raises(InvariantBroken):
        handle.wake(100.0)
    handle.made(made(), 100.5)
    for late in (lambda: handle.reject("late", 1.0), lambda: handle.made(made(), 1.0)):
        with pytest.raises(InvariantBroken):
            late()


def test_a_second_trigger_adds_nothing() -> None:
    """The reference's first design scheduled each event again."""
    logs = Logs()
    handle = added(logs)
    assert logs.add(1, DATE, scheduled_s=100.0, now_s=60.0) is None
    handle.wake(100.0)
    handle.reject("why", 101.0)
    assert logs.add(1, DATE, scheduled_s=100.0, now_s=60.0) is None
    assert len(list(logs)) == 1


def test_two_leaders_of_one_date_have_entries_of_their_own() -> None:
    logs = Logs()
    added(logs, leader=2)
    added(logs, leader=1)
    assert [(entry.leader, entry.date) for entry in logs] == [(1, DATE), (2, DATE)]


def test_what_ended_makes_room_and_what_is_to_come_does_not() -> None:
    logs = Logs(to_come_max=3, ended_max=2)
    handles = [added(logs, BlockDate(0, slot)) for slot in range(3)]
    with pytest.raises(ScheduleFull, match="maximum=3"):
        added(logs, BlockDate(0, 3))
    for number, handle in enumerate(handles):
        handle.wake(100.0)
        handle.made(made(number), 100.5)
    added(logs, BlockDate(0, 3))
    assert [entry.date.slot for entry in logs] == [1, 2, 3]
    assert logs.handle_of(made(0).block) is None
    assert logs.handle_of(made(2).block) is not None


def test_of_a_leader_that_is_gone_nothing_is_to_come() -> None:
    logs = Logs()
    for leader, slot in ((1, 0), (1, 1), (2, 0)):
        added(logs, BlockDate(0, slot), leader)
    done = added(logs, BlockDate(0, 9), 1)
    done.wake(100.0)
    done.reject("why", 101.0)
    assert logs.drop(1) == 2
    assert [(entry.leader, entry.date.slot) for entry in logs] == [(2, 0), (1, 9)]


def test_an_entry_that_was_not_woken_is_not_late() -> None:
    assert added(Logs()).entry.late_s is None


def test_the_next_to_wake_is_the_earliest_that_waits() -> None:
    logs = Logs()
    for slot in (5, 3, 4):
        logs.add(1, BlockDate(0, slot), scheduled_s=float(slot), now_s=0.0)
    seen = []
    while (handle := logs.next_pending()) is not None:
        seen.append(handle.entry.date.slot)
        handle.wake(9.0)
    assert seen == [3, 4, 5]
    logs.add(2, BlockDate(1, 0), scheduled_s=20.0, now_s=0.0)
    logs.drop(2)
    assert logs.next_pending() is None


def test_an_epoch_that_others_lead_is_dropped_but_for_what_was_woken() -> None:
    logs = Logs()
    handles = [added(logs, BlockDate(epoch, slot)) for epoch in (1, 2) for slot in (1, 2)]
    handles[2].wake(100.0)
    assert logs.drop_epoch(2) == 1
    assert [entry.date for entry in logs.to_come()] == [
        BlockDate(1, 1),
        BlockDate(1, 2),
        BlockDate(2, 1),
    ]
    assert added(logs, BlockDate(2, 2)).entry.status is Status.PENDING, "it may come again"
