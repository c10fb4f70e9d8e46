"""A counter tells the newest state from every other, whatever the machine did between two steps."""

import pytest
from msgspec.structs import replace
from tests.election.support import configuration, signed

from tetrarch.election import promises as rules
from tetrarch.election import voter, witnesses
from tetrarch.election.counting import CounterMoved, Counting, must_count

C = configuration()
BORN = voter.born(C, 0, b"b" * 32)
RESERVATION = signed(rules.reservation(rules.born(1, b"o" * 32), C))


class PowerFailed(Exception):
    """Between two steps."""


class Counter:
    """``breaks``: it fails before its next advance."""

    def __init__(self, value: int = 7) -> None:
        self.value = value
        self.breaks = False

    def read(self) -> int:
        return self.value

    def advance(self) -> int:
        if self.breaks:
            self.breaks = False
            raise PowerFailed
        self.value += 1
        return self.value


class Disk:
    """States are their counts: which of them are there."""

    def __init__(self) -> None:
        self.counts: list[int] = []


def changed(**promises: object) -> voter.Sealed:
    return replace(BORN, promises=replace(BORN.promises, **promises))


def test_what_the_others_would_be_asked_for_is_counted() -> None:
    registry = witnesses.keep(BORN.registry, RESERVATION)
    assert not isinstance(registry, witnesses.Kept)
    for after in (
        replace(BORN, registry=registry),
        changed(asked_to=8),
        changed(boot=b"n" * 32),
        changed(incarnation=2),
    ):
        assert must_count(BORN, after)
        assert not must_count(after, after)


def test_votes_and_leases_are_not_counted() -> None:
    assert not must_count(BORN, changed(granted_to_ms=5, vacated=True, reserved_to=8))


def test_counted_state_is_on_the_disk_before_the_counter_moves() -> None:
    counter, disk = Counter(), Disk()
    counting = Counting(counter, 7)

    def store(count: int) -> None:
        assert counter.value == 7, "if it fails now, the state is not the newest"
        disk.counts.append(count)

    counting.seal(store, counted=True)
    assert (disk.counts, counter.value) == ([8], 8)
    counting.seal(disk.counts.append, counted=False)
    assert (disk.counts, counter.value) == ([8, 8], 8)


def test_only_the_newest_counted_state_is_the_newest() -> None:
    counter, disk = Counter(), Disk()
    counting = Counting(counter, 7)
    for _ in range(3):
        counting.seal(disk.counts.append, counted=True)
    assert [Counting(counter, count).is_newest() for count in (7, *disk.counts)] == [
        *(False, False, False, True)
    ]
    assert not Counting(counter, 12).is_newest(), "of another counter"


def test_state_that_was_sealed_but_not_counted_is_counted_then() -> None:
    counter, disk = Counter(), Disk()
    counter.breaks = True
    with pytest.raises(PowerFailed):
        Counting(counter, 7).seal(disk.counts.append, counted=True)
    assert (disk.counts, counter.value) == ([8], 7)
    assert Counting(counter, 8).is_newest()
    assert counter.value == 8
    assert not Counting(counter, 7).is_newest(), "the one before it is old from now on"


def test_a_state_may_be_sealed_again_after_the_counter_failed() -> None:
    counter, disk = Counter(), Disk()
    counting = Counting(counter, 7)
    counter.breaks = True
    with pytest.raises(PowerFailed):
        counting.seal(disk.counts.append, counted=True)
    counting.seal(disk.counts.append, counted=True)
    assert (disk.counts, counter.value) == ([8, 8], 8)


def test_two_copies_notice_each_other_and_neither_goes_on() -> None:
    counter, one, other = Counter(), Disk(), Disk()
    first, second = Counting(counter, 7), Counting(counter, 7)
    assert first.is_newest()
    assert second.is_newest()
    first.seal(one.counts.append, counted=True)
    with pytest.raises(CounterMoved):
        second.seal(other.counts.append, counted=True)
    with pytest.raises(CounterMoved):
        first.seal(one.counts.append, counted=True)
    states = (*one.counts, *other.counts)
    assert [Counting(counter, count).is_newest() for count in states] == [False] * len(states)


def test_life_from_an_older_state_is_counted_from_where_the_counter_is() -> None:
    counter, disk = Counter(), Disk()
    counting = Counting(counter, 5)
    assert not counting.is_newest()
    counting.seal(disk.counts.append, counted=True)
    assert Counting(counter, 8).is_newest()
