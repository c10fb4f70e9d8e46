"""Operators' nodes find each other, and nobody else hears who they are."""

from tests.network.overlay.support import NOW_S, address, known_of, node_id, profile

from tetrarch.network.overlay.layers.named import Name
from tetrarch.network.overlay.layers.privileged import Privileged

NAMES = [
    Name(node=node_id(1)),
    Name(address=address("20.0.2.1")),
    Name(node=node_id(3), address=address("20.0.3.1")),
]


def layer_of(*numbers: int, view_max: int = 20) -> Privileged:
    known = known_of(*map(profile, numbers))
    layer = Privileged(NAMES, known, view_max=view_max)
    for each in known.profiles.values():
        layer.took(each)
    return layer


def test_those_that_were_named_are_in_the_view_by_id_or_address() -> None:
    layer = layer_of(5, 3, 2, 1)
    assert layer.view() == (node_id(1), node_id(2), node_id(3))
    assert layer.holds(node_id(2))
    assert not layer.holds(node_id(5))
    assert layer_of(5).view() == ()
    assert layer_of(1, 2, 3, view_max=2).view() == (node_id(1), node_id(2))


def test_a_name_with_both_means_both() -> None:
    layer = layer_of()
    elsewhere = profile(3, ip="20.0.9.1")
    assert not layer.wants(elsewhere)
    layer.took(elsewhere)
    assert layer.view() == ()
    assert layer.wants(profile(3))


def test_who_moves_or_is_lost_leaves() -> None:
    layer = layer_of(1, 2)
    layer.took(profile(2, ip="20.0.9.1", time_s=NOW_S + 1))
    assert layer.view() == (node_id(1),)
    layer.lost(node_id(1))
    assert layer.view() == ()


def test_nobody_takes_the_name_of_who_has_it() -> None:
    layer = layer_of(2)
    layer.took(profile(8, ip="20.0.2.1"))
    assert layer.view() == (node_id(2),)


def test_they_are_told_of_each_other_and_others_are_not() -> None:
    layer = layer_of(1, 2, 3, 4)
    assert set(layer.gossip_for(profile(1))) == {node_id(1), node_id(2), node_id(3)}
    assert layer.gossip_for(profile(4)) == ()


def test_partners_in_turn() -> None:
    layer = layer_of(1, 2)
    assert {layer.partner() for _ in range(2)} == {node_id(1), node_id(2)}
    assert layer_of().partner() is None


def test_others_may_be_named_while_it_runs() -> None:
    layer = layer_of(1, 5)
    assert layer.view() == (node_id(1),)
    layer.rename([Name(node=node_id(5)), Name(node=node_id(7))])
    assert layer.view() == (node_id(5),)
    assert layer.wants(profile(7))
    assert not layer.wants(profile(1))
