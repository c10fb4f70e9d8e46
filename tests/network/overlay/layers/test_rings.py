"""Neighbours are the true ones among all that are known: the reference kept the extremes instead."""

from hypothesis import given
from hypothesis import strategies as st
from tests.network.overlay.support import known_of, node_id, profile

from tetrarch.network.overlay.layers.rings import GOSSIP_EACH_SIDE, Neighbours, Rings
from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS, RING_SIZE, NodeId, ring_position

OWN = node_id(1000)
TOPICS = (FRAGMENTS, BLOCKS)


def nearest(topic, node, others, sign: int, count: int) -> tuple[NodeId, ...]:
    """By definition: sorted by the way to go."""
    own = ring_position(topic, node)
    ordered = sorted(others, key=lambda each: sign * (ring_position(topic, each) - own) % RING_SIZE)
    return tuple(ordered[:count])


@given(st.sets(st.integers(0, 99), max_size=30), st.data())
def test_neighbours_are_the_nearest_that_are_known(numbers, data) -> None:
    known = known_of(*map(profile, sorted(numbers)))
    rings = Rings(OWN, TOPICS, known)
    assert rings.view() == tuple(dict.fromkeys(rings.view()))
    for number in data.draw(st.lists(st.sampled_from(sorted(numbers) or [0]), max_size=5)):
        known.remove(node_id(number))
        rings.lost(node_id(number))
        numbers.discard(number)
    nodes = [node_id(number) for number in sorted(numbers)]
    for topic in TOPICS:
        expected = Neighbours(nearest(topic, OWN, nodes, -1, 2), nearest(topic, OWN, nodes, 1, 2))
        assert rings.neighbours(topic) == expected
    assert all(rings.holds(node) == (node in rings.view()) for node in nodes)


@given(st.sets(st.integers(0, 99), min_size=1, max_size=30), st.integers(100, 199))
def test_who_is_wanted_enters_the_view_and_nobody_else(numbers, number) -> None:
    known = known_of(*map(profile, sorted(numbers)))
    rings = Rings(OWN, TOPICS, known)
    wanted = rings.wants(profile(number))
    known.take(profile(number), node_id(number))
    rings.took(profile(number))
    assert wanted == (node_id(number) in rings.view())


def test_only_subscribers_of_a_topic_stand_on_its_ring() -> None:
    known = known_of(profile(1, interests=((BLOCKS, 3),)), profile(2))
    rings = Rings(OWN, TOPICS, known)
    assert rings.neighbours(FRAGMENTS).after == (node_id(2),)
    assert set(rings.neighbours(BLOCKS).after) == {node_id(1), node_id(2)}
    of_one = Rings(OWN, (BLOCKS,), known)
    assert of_one.neighbours(FRAGMENTS) == Neighbours((), ())
    assert not of_one.wants(profile(3, interests=((FRAGMENTS, 3),)))


def test_partners_are_all_neighbours_in_turn() -> None:
    known = known_of(*map(profile, range(40)))
    rings = Rings(OWN, TOPICS, known)
    view = rings.view()
    assert {rings.partner() for _ in view} == set(view)
    assert Rings(OWN, TOPICS, known_of()).partner() is None


@given(st.sets(st.integers(0, 99), max_size=40), st.integers(100, 120))
def test_a_recipient_hears_of_those_near_itself(numbers, number) -> None:
    recipient = profile(number)
    known = known_of(recipient, *map(profile, sorted(numbers)))
    told = set(Rings(OWN, TOPICS, known).gossip_for(recipient))
    nodes = [node_id(each) for each in sorted(numbers)]
    expected = {
        node
        for topic in TOPICS
        for sign in (-1, 1)
        for node in nearest(topic, recipient.node, nodes, sign, GOSSIP_EACH_SIDE)
    }
    assert told == expected


def test_a_recipient_that_subscribes_to_nothing_hears_nothing() -> None:
    rings = Rings(OWN, TOPICS, known_of(*map(profile, range(5))))
    assert rings.gossip_for(profile(9, interests=())) == ()
