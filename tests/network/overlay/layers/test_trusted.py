"""Some links always go to whom the operator believes."""

from tests.network.overlay.support import node_id, profile

from tetrarch.network.overlay.layers.named import Name
from tetrarch.network.overlay.layers.trusted import ROUNDS_BETWEEN, Trusted


def test_the_first_of_them_are_linked_and_all_of_them_kept() -> None:
    layer = Trusted([Name(node=node_id(number)) for number in range(6)], view_max=4)
    for number in (9, 5, 4, 3, 2, 1):
        layer.took(profile(number))
    assert layer.view() == tuple(node_id(number) for number in (1, 2, 3, 4))
    assert layer.holds(node_id(5))
    assert not layer.holds(node_id(9))
    assert layer.wants(profile(0))
    assert profile(0) in layer
    assert profile(9) not in layer
    layer.lost(node_id(2))
    assert layer.view() == tuple(node_id(number) for number in (1, 3, 4, 5))


def test_nobody_is_told_whom_we_believe() -> None:
    layer = Trusted([Name(node=node_id(1))])
    layer.took(profile(1))
    assert layer.gossip_for(profile(1)) == ()


def test_they_are_gossiped_with_now_and_then() -> None:
    layer = Trusted([Name(node=node_id(number)) for number in range(2)])
    for number in range(2):
        layer.took(profile(number))
    partners = [layer.partner() for _ in range(2 * ROUNDS_BETWEEN)]
    assert partners.count(None) == 2 * ROUNDS_BETWEEN - 2
    assert {node_id(0), node_id(1)} < set(partners)
