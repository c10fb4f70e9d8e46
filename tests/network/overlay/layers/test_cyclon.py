"""Contacts are swapped, not copied: nobody gathers more than others, and the old are dropped first."""

from collections import Counter
from random import Random

from tests.network.overlay.support import NOW_S, known_of, node_id, profile

from tetrarch.network.overlay.layers.cyclon import SWAP_MAX, Cyclon

OWN = node_id(1000)


def filled(count: int, *, view_max: int = 20) -> Cyclon:
    known = known_of(*(profile(number, time_s=NOW_S + number) for number in range(count)))
    layer = Cyclon(OWN, known, Random(1), view_max=view_max)
    for each in known.profiles.values():
        layer.took(each)
    return layer


def test_the_partner_is_the_one_that_was_silent_for_longest() -> None:
    assert filled(10).partner() == node_id(0)
    assert filled(0).partner() is None


def test_a_view_with_room_takes_others_that_are_known() -> None:
    layer = filled(5)
    for _ in range(20):
        partner = layer.partner()
        assert partner is not None
        assert len(layer.view()) == 5
        layer.begin(partner)
    layer = filled(30)
    layer.begin(node_id(0))
    layer.partner()
    assert len(layer.view()) == 20


def test_who_is_asked_leaves_until_it_answers() -> None:
    layer = filled(20)
    given = layer.begin(node_id(0))
    assert len(given) == SWAP_MAX - 1
    assert node_id(0) not in layer.view()
    assert node_id(0) not in given
    assert len(layer.view()) == 19


def test_what_comes_takes_the_place_of_what_was_given() -> None:
    layer = filled(30)
    before = set(layer.view())
    given = layer.answer(node_id(25))
    received = [node_id(number) for number in range(20, 28)]
    layer.merge(node_id(25), received)
    assert len(layer.view()) == 20
    assert set(layer.view()) == before - set(given) | set(received)


def test_only_as_much_comes_as_was_given() -> None:
    layer = filled(30)
    layer.merge(node_id(25), [node_id(number) for number in range(20, 30)])
    assert set(layer.view()) == {node_id(number) for number in range(20)}


def test_strangers_and_ourselves_do_not_enter() -> None:
    layer = filled(3)
    layer.merge(node_id(1), [OWN, node_id(77), node_id(2)])
    assert set(layer.view()) == {node_id(number) for number in range(3)}


def test_no_two_contacts_are_in_one_network() -> None:
    """Its members may come one by one or all at once: one of them is in the view."""
    crowd = [profile(number, ip=f"30.0.0.{number}") for number in range(100, 108)]
    known = known_of(*map(profile, range(5)), *crowd)
    layer = Cyclon(OWN, known, Random(1))
    for each in (*crowd[:4], *map(profile, range(5))):
        layer.took(each)
    layer.merge(node_id(1), [each.node for each in crowd])
    assert len(layer.view()) == 6
    layer.lost(crowd[0].node)
    layer.merge(node_id(1), [each.node for each in crowd[4:]])
    assert len(layer.view()) == 6


def test_in_a_whole_network_nobody_is_known_to_many_more_than_others() -> None:
    """In-degrees stay near the view's size, as in the paper (its section 5.2)."""
    known = known_of(*map(profile, range(100)))
    layers = {}
    for number in range(100):
        layers[node_id(number)] = layer = Cyclon(node_id(number), known, Random(number))
        # All begin with the same contacts: the worst of starts.
        for other in range(21):
            if other != number:
                layer.took(profile(other))
    draw = Random(7)
    for _ in range(40):
        for node, layer in layers.items():
            if not layer.view():
                continue
            partner = draw.choice(layer.view())
            given = layer.begin(partner)
            back = layers[partner].answer(node)
            layers[partner].merge(node, [*given, node])
            layer.merge(partner, back)
    degrees = Counter(each for layer in layers.values() for each in layer.view())
    assert len(degrees) == 100
    assert max(degrees.values()) < 40
    assert min(degrees.values()) > 5
