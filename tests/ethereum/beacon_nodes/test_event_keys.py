"""Equal events of several nodes are one; reorgs are read strictly."""

import pytest

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.beacon_node.ports import BeaconEvent
from tetrarch.ethereum.beacon_nodes.event_keys import (
    SEEN_MAX,
    Head,
    Reorg,
    SeenEvents,
    event_key,
    parse_head,
    parse_reorg,
    slot_of,
)


def event(topic: str, **fields: object) -> BeaconEvent:
    return BeaconEvent(topic=topic, data=fields)


def test_what_differs_between_nodes_does_not_make_another_event() -> None:
    one = event("head", slot="5", block="0x01", execution_optimistic=True)
    same = event("head", execution_optimistic=False, block="0x01", slot="5")
    assert event_key(one) == event_key(same)
    assert event_key(one) != event_key(event("head", slot="5", block="0x02"))
    assert event_key(one) != event_key(event("block", slot="5", block="0x01"))


def test_one_node_cannot_change_on_what_duties_depend_with_the_head_of_another() -> None:
    roots = {"previous_duty_dependent_root": "0x01", "current_duty_dependent_root": "0x02"}
    honest = event("head", slot="5", block="0x01", **roots)
    lie = event("head", slot="5", block="0x01", **{**roots, "current_duty_dependent_root": "0x03"})
    assert event_key(honest) != event_key(lie)


def test_unknown_or_incomplete_events_are_told_apart_by_all_they_say() -> None:
    assert event_key(event("new", a=1, b=2)) == event_key(event("new", b=2, a=1))
    assert event_key(event("new", a=1)) != event_key(event("new", a=2))
    assert event_key(event("head", slot="5")) != event_key(event("head", slot="6"))


def test_memory_of_events_is_bounded() -> None:
    seen = SeenEvents()
    for number in range(SEEN_MAX + 1):
        assert seen.passes(event("head", slot=str(number), block="0x01"), node=0)
    assert not seen.passes(event("head", slot=str(SEEN_MAX), block="0x01"), node=1)
    assert seen.passes(event("head", slot="0", block="0x01"), node=1), "forgotten"


def test_event_passes_once_when_enough_different_nodes_told_of_it() -> None:
    seen, head = SeenEvents(), event("head", slot="5", block="0x01")
    tellers = [seen.passes(head, node=node, needed=2) for node in (0, 0, 1, 2, 1)]
    assert tellers == [False, False, True, False, False]


@pytest.mark.parametrize("fields", [{}, {"slot": "5"}, {"slot": "x", "depth": "1"}, {"depth": []}])
def test_malformed_reorg_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(InputInvalid):
        parse_reorg(event("chain_reorg", **fields))


def test_head_names_what_duties_depend_on() -> None:
    roots = {
        "previous_duty_dependent_root": "0x" + "01" * 32,
        "current_duty_dependent_root": "0x" + "02" * 32,
    }
    assert parse_head(event("head", slot="9", **roots)) == Head(9, b"\1" * 32, b"\2" * 32)
    with pytest.raises(InputInvalid):
        parse_head(event("head", slot="9", block="0x01"))


def test_reorg_reaches_back_as_deep_as_it_says() -> None:
    assert parse_reorg(event("chain_reorg", slot="9", depth="2")) == Reorg(9, 7)
    assert parse_reorg(event("chain_reorg", slot="9", depth="99")) == Reorg(9, 0)
    assert slot_of(event("head", slot="7")) == 7
    assert slot_of(event("finalized_checkpoint", epoch="7")) is None
