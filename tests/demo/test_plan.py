"""What is done to the demo's nodes, and which misses that excuses."""

import pytest

from tetrarch.demo.plan import Action, Outage, PlannedEvent, excused_slots, parse_events
from tetrarch.errors import ConfigInvalid


@pytest.mark.parametrize("text", ["3@slot5", "3@5"])
def test_event_is_a_node_at_a_slot(text: str) -> None:
    assert parse_events([text], Action.KILL, node_count=4) == [PlannedEvent(5, 3, Action.KILL)]


@pytest.mark.parametrize("text", ["", "3", "3@", "@5", "3@slot", "-1@5", "3@-5", "3 @5", "x@5"])
def test_other_forms_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigInvalid) as raised:
        parse_events([text], Action.RESTART, node_count=4)
    assert "--restart" in str(raised.value)
    assert "3@slot5" in str(raised.value)


def test_node_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(ConfigInvalid) as raised:
        parse_events(["4@slot5"], Action.KILL, node_count=4)
    assert "0..3" in str(raised.value)


def excused(*outages: Outage, slot_count: int = 32) -> set[int]:
    return set(
        excused_slots(outages, node_count=4, threshold=3, slots_per_epoch=8, slot_count=slot_count)
    )


def test_one_dead_node_excuses_the_slot_of_its_death_alone() -> None:
    assert excused(Outage(3, 5, None)) == {5}
    assert excused(Outage(3, 5, 9)) == {5}


def test_nothing_is_excused_without_an_outage() -> None:
    assert excused() == set()


def test_two_dead_nodes_excuse_until_an_epoch_after_the_return() -> None:
    assert excused(Outage(2, 5, 9), Outage(3, 6, 9)) == {5, *range(6, 9 + 8)}


def test_nodes_that_never_return_excuse_the_rest() -> None:
    assert excused(Outage(2, 5, None), Outage(3, 6, None)) == set(range(5, 32))


def test_outages_one_after_the_other_never_break_the_quorum() -> None:
    assert excused(Outage(2, 5, 9), Outage(3, 9, 12)) == {5, 9}


def test_node_killed_twice_is_one_dead_node() -> None:
    assert excused(Outage(2, 5, 9), Outage(2, 6, 9)) == {5, 6}


def test_slots_after_the_end_are_not_counted() -> None:
    assert excused(Outage(2, 40, None), Outage(3, 30, None)) == {30}
