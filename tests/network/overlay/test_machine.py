"""A node's parts together: what it hears changes whom it links with, and who did wrong is in no view."""

from random import Random

from tests.network.overlay.support import BOTH, NOW_S, node_id, profile

from tetrarch.network.conduct import Fault
from tetrarch.network.overlay.addresses import NOWHERE
from tetrarch.network.overlay.known import KnownLimits
from tetrarch.network.overlay.layers.rings import Neighbours
from tetrarch.network.overlay.machine import OverlayMachine, OverlayRules
from tetrarch.network.overlay.profile import BLOCKS, NodeId, Profile
from tetrarch.network.overlay.topology import Gossip

OWN = profile(1000)


def machine(*, usable=lambda _: True, nodes_max: int = 1024, layers=None) -> OverlayMachine:
    rules = OverlayRules(
        interests=BOTH,
        limits=KnownLimits(nodes_max=nodes_max),
        **({} if layers is None else {"layers": layers}),
    )
    return OverlayMachine(OWN.node, rules, Random(1), usable=usable)


def test_gossip_is_taken_and_answered() -> None:
    one = machine()
    others = tuple(map(profile, range(10)))
    answer = one.hear_gossip(OWN, Gossip(profile(50), others[:4], others[4:]), now_s=NOW_S)
    assert set(one.nodes) == {node_id(50), *(each.node for each in others)}
    assert set(one.topology.view()) == set(one.nodes)
    assert answer is not None
    assert node_id(50) not in [each.node for each in answer]
    conduct = one.nodes.conduct(node_id(50))
    assert conduct is not None
    assert conduct.met_s == NOW_S


def test_who_is_put_aside_is_in_no_view_and_no_gossip_and_comes_back_into_both() -> None:
    one = machine()
    one.take_profiles(map(profile, range(5)), node_id(0), now_s=NOW_S)
    bad = node_id(3)
    one.nodes.met(node_id(0), now_s=NOW_S)
    one.nodes.report_fault(bad, Fault.INVALID_BLOCK, now_s=NOW_S)
    assert bad not in one.topology.view()
    for _, gossip in one.begin_round(OWN):
        assert bad not in [each.node for each in gossip]
    later_s = NOW_S + 2000
    one.nodes.hear(profile(3, time_s=later_s), node_id(0), now_s=later_s)
    assert bad in one.topology.view()


def test_a_node_without_an_address_hears_of_others_and_nobody_of_it() -> None:
    hidden = Profile(node_id(77), NOW_S, NOWHERE, BOTH, b"")
    one = machine()
    one.take_profiles(map(profile, range(10)), node_id(0), now_s=NOW_S)
    assert one.hear_gossip(OWN, Gossip(hidden, (), ()), now_s=NOW_S) is None, "no link, no answer"
    one.nodes.welcome(hidden.node, now_s=NOW_S)
    one.begin_round(OWN)
    answer = one.hear_gossip(OWN, Gossip(hidden, (), ()), now_s=NOW_S)
    assert answer is not None
    assert {each.node for each in answer} > {OWN.node}
    begun = one.begin_round(OWN)
    assert hidden.node not in [node for node, _ in begun]
    assert hidden not in [each for _, gossip in begun for each in gossip]


def test_items_go_to_linked_subscribers_only() -> None:
    down: set[NodeId] = set()
    one = machine(usable=lambda node: node not in down)
    others = [profile(number) for number in range(6)]
    deaf = profile(7, interests=())
    one.take_profiles([*others, deaf], node_id(0), now_s=NOW_S)
    assert set(one.links(BLOCKS)) == {each.node for each in others}
    down.add(node_id(2))
    assert set(one.links(BLOCKS)) == {each.node for each in others} - down
    near = one.rings.neighbours(BLOCKS)
    usable = one._usable_neighbours(BLOCKS)
    without = Neighbours(
        tuple(node for node in near.before if node not in down),
        tuple(node for node in near.after if node not in down),
    )
    assert usable == without


def test_neighbours_find_their_place_though_all_places_are_taken() -> None:
    one = machine(nodes_max=64)
    everybody = machine()
    for each in map(profile, range(300)):
        for of in (one, everybody):
            of.take_profiles([each], each.node, now_s=NOW_S)
    assert len(one.nodes.known) == 64
    assert one.rings.view() == everybody.rings.view()


def test_layers_are_chosen() -> None:
    one = machine(layers=("rings",))
    one.take_profiles(map(profile, range(50)), node_id(0), now_s=NOW_S)
    assert [layer.name for layer in one.topology.layers] == ["rings"]
    assert one.topology.view() == one.rings.view()
