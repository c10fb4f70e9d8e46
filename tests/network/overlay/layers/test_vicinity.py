"""Nodes of like interests, most alike first: the reference took the least alike."""

from hypothesis import given
from hypothesis import strategies as st
from tests.network.overlay.support import NOW_S, known_of, node_id, profile

from tetrarch.network.overlay.layers.vicinity import GOSSIP_MAX, Vicinity, proximity
from tetrarch.network.overlay.profile import Topic

OWN = node_id(1000)
A, B, C = (Topic(letter * 32) for letter in (b"a", b"b", b"c"))
OURS = ((A, 5), (B, 3))


def test_proximity_is_what_both_want() -> None:
    assert proximity(dict(OURS), ((A, 5), (B, 3))) == 8
    assert proximity(dict(OURS), ((A, 1), (C, 200))) == 1
    assert proximity(dict(OURS), ()) == 0
    theirs = ((A, 2), (B, 9))
    assert proximity(dict(OURS), theirs) == proximity(dict(theirs), OURS)


WISHES = st.lists(
    st.tuples(st.sampled_from([A, B, C]), st.integers(0, 6)), unique_by=lambda each: each[0]
).map(tuple)


@given(st.data())
def test_the_view_is_the_head_of_the_order_of_all(data) -> None:
    known = known_of()
    layer = Vicinity(OWN, OURS, known, view_max=3)
    here: dict[int, tuple[tuple[Topic, int], ...]] = {}
    for step in range(data.draw(st.integers(0, 40))):
        number = data.draw(st.integers(0, 14))
        if number in here and data.draw(st.booleans()):
            del here[number]
            known.remove(node_id(number))
            layer.lost(node_id(number))
            continue
        wishes = data.draw(WISHES)
        said = profile(number, interests=wishes, time_s=NOW_S + step)
        wanted = number not in here and layer.wants(said)
        entered = number not in here
        here[number] = wishes
        known.take(said, said.node)
        layer.took(said)
        if entered:
            assert wanted == layer.holds(said.node)
    view = layer.view()
    near = {node_id(number): proximity(dict(OURS), wishes) for number, wishes in here.items()}
    assert len(view) == min(3, len(here)) == len(set(view))
    assert [near[node] for node in view] == sorted(near.values(), reverse=True)[:3]
    again = Vicinity(OWN, OURS, known, view_max=3)
    for each in known.profiles.values():
        again.took(each)
    assert again.view() == view, "it depends on who is known, not on the way there"


def test_equals_do_not_all_choose_the_same() -> None:
    known = known_of(*map(profile, range(40)))
    views = set()
    for number in range(1000, 1010):
        layer = Vicinity(node_id(number), (), known, view_max=5)
        for each in known.profiles.values():
            layer.took(each)
        views.add(layer.view())
    assert len(views) == 10


def test_a_recipient_hears_of_those_nearest_to_itself() -> None:
    alike = [profile(number, interests=((C, 5),)) for number in range(GOSSIP_MAX)]
    others = [profile(100 + number, interests=((A, 5),)) for number in range(GOSSIP_MAX)]
    recipient = profile(50, interests=((C, 5),))
    known = known_of(recipient, *alike, *others)
    layer = Vicinity(OWN, (*OURS, (C, 1)), known, view_max=40)
    for each in known.profiles.values():
        layer.took(each)
    assert set(layer.gossip_for(recipient)) == {each.node for each in alike}


def test_partners_are_all_in_turn() -> None:
    known = known_of(*map(profile, range(5)))
    layer = Vicinity(OWN, OURS, known)
    assert layer.partner() is None
    for each in known.profiles.values():
        layer.took(each)
    assert {layer.partner() for _ in range(5)} == set(layer.view())
