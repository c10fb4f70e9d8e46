"""Which item goes to whom, and what is asked of whom."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.network.overlay.support import node_id

from tetrarch.network.overlay.layers.rings import Neighbours
from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS, NodeId
from tetrarch.network.overlay.spreading import (
    ANNOUNCERS_MAX,
    ASKED_MAX,
    OWED_MAX,
    OWED_OF_PEER_MAX,
    REMEMBERED_MAX,
    Announce,
    Ask,
    ItemId,
    Send,
    Spreading,
    SpreadRules,
    Withheld,
)

RULES = SpreadRules()
BEFORE, BEFORE2, AFTER, AFTER2 = (node_id(number) for number in range(1, 5))
OTHERS = [node_id(number) for number in range(10, 30)]
NEAR = Neighbours((BEFORE, BEFORE2), (AFTER, AFTER2))
SMALL, LARGE = RULES.sent_max_bytes, RULES.sent_max_bytes + 1


def item(number: int) -> ItemId:
    return ItemId(number.to_bytes(32, "big"))


def spreading(near: Neighbours = NEAR, links: list[NodeId] | None = None) -> Spreading:
    linked = [*near.before, *near.after, *(OTHERS if links is None else links)]
    return Spreading(
        RULES, Random(1), neighbours=lambda _: near, links=lambda _: dict.fromkeys(linked)
    )


def peers(effects) -> list[NodeId]:
    return [effect.peer for effect in effects]


def test_what_is_ours_goes_both_ways_and_across() -> None:
    effects = spreading().publish(BLOCKS, item(1), SMALL, now_s=0)
    assert all(isinstance(effect, Send) for effect in effects)
    assert peers(effects)[:2] == [BEFORE, AFTER]
    assert len(effects) == 2 + RULES.shortcuts_of_sent


def test_what_comes_along_the_ring_goes_on_in_its_direction() -> None:
    for source, onward in ((BEFORE, AFTER), (BEFORE2, AFTER), (AFTER, BEFORE), (AFTER2, BEFORE)):
        effects = spreading().received(source, BLOCKS, item(1), SMALL, now_s=0)
        assert peers(effects)[0] == onward
        assert len(effects) == 1 + RULES.shortcuts_of_sent


def test_what_comes_across_goes_both_ways_and_not_back() -> None:
    effects = spreading().received(OTHERS[0], BLOCKS, item(1), SMALL, now_s=0)
    assert peers(effects)[:2] == [BEFORE, AFTER]
    assert OTHERS[0] not in peers(effects)


def test_on_a_small_ring_who_stands_on_both_sides_is_on_the_nearer() -> None:
    a, b = node_id(1), node_id(2)
    of_three = Neighbours((a, b), (b, a))
    assert peers(spreading(of_three, []).received(a, BLOCKS, item(1), SMALL, now_s=0)) == [b]
    of_two = Neighbours((a,), (a,))
    assert peers(spreading(of_two, []).received(a, BLOCKS, item(1), SMALL, now_s=0)) == []
    assert peers(spreading(of_two, []).publish(BLOCKS, item(1), SMALL, now_s=0)) == [a]
    assert spreading(Neighbours((), ()), []).publish(BLOCKS, item(1), SMALL, now_s=0) == []


def test_what_is_large_is_announced() -> None:
    effects = spreading().publish(BLOCKS, item(1), LARGE, now_s=0)
    assert all(isinstance(effect, Announce) for effect in effects)
    assert len(effects) == 2 + RULES.shortcuts_of_announced


def test_what_is_here_is_given_on_once() -> None:
    one = spreading()
    assert one.received(BEFORE, BLOCKS, item(1), SMALL, now_s=0)
    assert one.received(AFTER2, BLOCKS, item(1), SMALL, now_s=0) == []
    assert one.has(item(1))
    assert not one.has(item(2))


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_nothing_goes_to_a_peer_that_has_it(data) -> None:
    """Over any course of events: at most once per link, counting both ways."""
    one = spreading()
    everybody = [*NEAR.before, *NEAR.after, *OTHERS]
    has: set[tuple[NodeId, ItemId]] = set()
    now_s = 0.0
    for _ in range(data.draw(st.integers(1, 40))):
        now_s += data.draw(st.sampled_from([0.0, 0.3, 1.0]))
        peer = data.draw(st.sampled_from(everybody))
        number = item(data.draw(st.integers(0, 3)))
        size_bytes = data.draw(st.sampled_from([SMALL, LARGE]))
        match data.draw(st.sampled_from(["publish", "received", "announced", "tick"])):
            case "publish" if not one.has(number):
                effects = one.publish(BLOCKS, number, size_bytes, now_s=now_s)
            case "received":
                has.add((peer, number))
                effects = one.received(peer, BLOCKS, number, size_bytes, now_s=now_s)
            case "announced":
                has.add((peer, number))
                effects = one.announced(peer, BLOCKS, [number], now_s=now_s)
            case _:
                effects = one.tick(now_s=now_s)
        for effect in effects:
            if isinstance(effect, Withheld):
                has.discard((effect.peer, effect.item))  # it only said so
            if isinstance(effect, Send | Announce):
                items = effect.items if isinstance(effect, Announce) else (effect.item,)
                for each in items:
                    assert (effect.peer, each) not in has
                    has.add((effect.peer, each))
                    assert one.has(each)


def test_what_is_announced_is_asked_for_once() -> None:
    one = spreading()
    assert one.announced(BEFORE, BLOCKS, [item(1), item(2)], now_s=0) == [
        Ask(BEFORE, BLOCKS, item(1)),
        Ask(BEFORE, BLOCKS, item(2)),
    ]
    assert one.announced(AFTER, BLOCKS, [item(1)], now_s=0.1) == []
    one.received(BEFORE, BLOCKS, item(1), LARGE, now_s=0.2)
    assert one.announced(OTHERS[0], BLOCKS, [item(1)], now_s=0.3) == []


def test_who_announced_gets_no_announcement_back() -> None:
    one = spreading(links=[])
    one.announced(BEFORE, BLOCKS, [item(1)], now_s=0)
    one.announced(AFTER, BLOCKS, [item(1)], now_s=0)
    told = peers(one.received(BEFORE, BLOCKS, item(1), LARGE, now_s=0.2))
    assert set(told) == {BEFORE2, AFTER2}


def test_who_does_not_send_is_reported_and_the_next_is_asked() -> None:
    one = spreading()
    one.announced(BEFORE, BLOCKS, [item(1)], now_s=0)
    one.announced(AFTER, BLOCKS, [item(1)], now_s=0.1)
    assert one.tick(now_s=0.4) == []
    assert one.tick(now_s=0.5) == [Ask(AFTER, BLOCKS, item(1))]
    assert one.tick(now_s=1.0) == []
    assert one.announced(BEFORE, BLOCKS, [item(1)], now_s=1.1) == [Ask(BEFORE, BLOCKS, item(1))]


def test_what_never_comes_is_withheld_and_what_comes_late_is_not() -> None:
    one = spreading()
    one.announced(BEFORE, BLOCKS, [item(1)], now_s=0)
    one.announced(AFTER, BLOCKS, [item(1)], now_s=0.1)
    one.tick(now_s=0.5)
    one.received(AFTER, BLOCKS, item(1), LARGE, now_s=29)  # a slow link
    blamed = [each for each in one.tick(now_s=30) if isinstance(each, Withheld)]
    assert blamed == [Withheld(BEFORE, item(1))]
    assert not [each for each in one.tick(now_s=31) if isinstance(each, Withheld)]
    one.tick(now_s=60)
    assert not one.busy


def test_who_is_asked_twice_owes_it_since_the_first_time() -> None:
    one = spreading()
    one.announced(BEFORE, BLOCKS, [item(1)], now_s=0)
    one.tick(now_s=20)
    one.announced(BEFORE, BLOCKS, [item(1)], now_s=20)
    assert one.tick(now_s=30) == [Withheld(BEFORE, item(1))]


def test_who_is_gone_owes_nothing_and_others_are_asked_at_once() -> None:
    one = spreading()
    one.announced(BEFORE, BLOCKS, [item(1)], now_s=100)
    one.announced(AFTER, BLOCKS, [item(1)], now_s=100)
    one.left(BEFORE)
    assert one.tick(now_s=100.1) == [Ask(AFTER, BLOCKS, item(1))]
    one.left(AFTER)
    assert one.tick(now_s=200) == []
    assert not one.busy


def test_what_is_owed_is_bounded() -> None:
    one = spreading()
    peers_ = [node_id(1000 + number) for number in range(OWED_MAX // OWED_OF_PEER_MAX + 2)]
    for place, peer in enumerate(peers_):
        first = place * OWED_OF_PEER_MAX
        for number in range(first, first + OWED_OF_PEER_MAX):
            one.announced(peer, BLOCKS, [item(number)], now_s=0)
            one.tick(now_s=1)  # nobody else has it
    blamed = [each for each in one.tick(now_s=30) if isinstance(each, Withheld)]
    assert len(blamed) == OWED_MAX


def test_who_announces_much_and_sends_nothing_leaves_room_for_others() -> None:
    one = spreading()
    items = [item(number) for number in range(OWED_OF_PEER_MAX + 10)]
    asked = one.announced(BEFORE, BLOCKS, items, now_s=0)
    assert len(asked) == OWED_OF_PEER_MAX
    assert one.announced(BEFORE, BLOCKS, [item(9999)], now_s=0) == []
    assert one.announced(AFTER, BLOCKS, [item(9999)], now_s=0) == [Ask(AFTER, BLOCKS, item(9999))]
    one.received(BEFORE, BLOCKS, item(0), LARGE, now_s=0.1)
    again = one.announced(BEFORE, BLOCKS, [item(5555), item(5556)], now_s=0.2)
    assert again == [Ask(BEFORE, BLOCKS, item(5555))]


def test_what_was_sent_and_not_valid_is_not_owed() -> None:
    one = spreading()
    one.announced(BEFORE, BLOCKS, [item(1)], now_s=0)
    one.refused(BEFORE, item(1))
    assert not one.busy


def test_what_came_and_was_not_valid_may_be_asked_for_again() -> None:
    one = spreading()
    one.announced(BEFORE, BLOCKS, [item(1)], now_s=0)
    one.refused(BEFORE, item(1))
    assert one.announced(AFTER, BLOCKS, [item(1)], now_s=0.1) == [Ask(AFTER, BLOCKS, item(1))]


def test_what_is_new_of_late_is_told_to_others_for_a_while() -> None:
    one = spreading()
    had = set(peers(one.publish(BLOCKS, item(1), SMALL, now_s=0)))
    one.publish(FRAGMENTS, item(2), SMALL, now_s=0)
    told: list[NodeId] = []
    for second in range(8):
        effects = one.tick(now_s=float(second))
        assert one.tick(now_s=second + 0.5) == []
        for effect in effects:
            assert isinstance(effect, Announce)
            if effect.items == (item(1),):
                assert effect.topic == BLOCKS
                told.append(effect.peer)
    assert len(told) == len(set(told))
    assert not had & set(told)
    assert RULES.late_to < len(told) <= RULES.late_to * 6
    assert not one.busy


def test_what_is_remembered_is_bounded() -> None:
    one = spreading(Neighbours((), ()), [])
    for number in range(REMEMBERED_MAX + 10):
        one.publish(BLOCKS, item(number), SMALL, now_s=0)
    assert not one.has(item(9))
    assert one.has(item(10))
    for number in range(ASKED_MAX + 10):
        peer = OTHERS[number // OWED_OF_PEER_MAX]
        one.announced(peer, BLOCKS, [item(10**6 + number)], now_s=0)
    assert one.announced(BEFORE, BLOCKS, [item(5)], now_s=0) == [], (
        "until some came or were given up"
    )
    for peer in OTHERS:
        one.announced(peer, BLOCKS, [item(10**6)], now_s=0)
    assert len(one._asked[item(10**6)].others) == ANNOUNCERS_MAX
