"""Neighbours on a ring, held against a sort of all distances."""

from hypothesis import given
from hypothesis import strategies as st
from tests.network.overlay.support import node_id

from tetrarch.network.overlay.profile import RING_SIZE, NodeId
from tetrarch.network.overlay.ring import Ring

PLACES = st.dictionaries(
    st.integers(0, 40).map(node_id), st.integers(0, RING_SIZE - 1), min_size=1, max_size=20
)


@given(PLACES, st.integers(0, RING_SIZE - 1), st.integers(0, 6))
def test_neighbours_are_the_nearest_on_each_side(places, position, count) -> None:
    ring = Ring()
    for node, place in places.items():
        ring.add(place, node)
    asked = node_id(50)

    def by_distance(sign: int) -> tuple[NodeId, ...]:
        def key(node):
            # A node at the very place of the one that asks stands after it iff its id does.
            distance = sign * (places[node] - position) % RING_SIZE
            past = distance == 0 and (node > asked) != (sign > 0)
            return (distance + past * RING_SIZE, sign * int.from_bytes(node, "big"))

        return tuple(sorted(places, key=key)[:count])

    assert ring.successors(position, asked, count) == by_distance(1)
    assert ring.predecessors(position, asked, count) == by_distance(-1)


@given(PLACES, st.data())
def test_who_is_removed_is_no_neighbour(places, data) -> None:
    ring = Ring()
    for node, place in places.items():
        ring.add(place, node)
    gone = data.draw(st.sampled_from(sorted(places)))
    ring.remove(places[gone], gone)
    assert len(ring) == len(places) - 1
    rest = set(places) - {gone}
    assert set(ring.successors(places[gone], gone, 100)) == rest
    assert set(ring.predecessors(places[gone], gone, 100)) == rest


def test_nobody_is_a_neighbour_of_himself() -> None:
    ring = Ring()
    ring.add(5, node_id(1))
    assert ring.successors(5, node_id(1), 2) == ()
    ring.add(3, node_id(2))
    assert ring.successors(5, node_id(1), 2) == ring.predecessors(5, node_id(1), 2) == (node_id(2),)
