"""What goes into gossip for whom, and who answers whom."""

from random import Random

from tests.network.overlay.support import BOTH, NOW_S, known_of, node_id, profile

from tetrarch.network.overlay.known import Known, KnownLimits
from tetrarch.network.overlay.layers.cyclon import SWAP_MAX, Cyclon
from tetrarch.network.overlay.layers.rings import Rings
from tetrarch.network.overlay.layers.vicinity import Vicinity
from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS, NodeId, Profile
from tetrarch.network.overlay.topology import PROFILES_MAX, Gossip, Topology

OWN = profile(1000)


class Side:
    """A topology that hears whatever is gossiped."""

    def __init__(self, number: int, *known: Profile) -> None:
        self.own = profile(number)
        self.known = Known(
            KnownLimits(),
            Random(number),
            held=lambda _: False,
            took=self._took,
            lost=self._lost,
        )
        self.cyclon = Cyclon(self.own.node, self.known, Random(number))
        self.topology = Topology(
            self.known,
            [
                Rings(self.own.node, (FRAGMENTS, BLOCKS), self.known),
                Vicinity(self.own.node, BOTH, self.known),
                self.cyclon,
            ],
            swapping=self.cyclon,
        )
        for each in known:
            self.known.take(each, each.node)

    def _took(self, profile: Profile) -> None:
        self.topology.took(profile)

    def _lost(self, node: NodeId) -> None:
        self.topology.lost(node)

    def hear(self, gossip: Gossip) -> Gossip | None:
        for each in gossip:
            if each.node != self.own.node:
                self.known.take(each, gossip.own.node)
        return self.topology.hear(self.own, gossip)


def test_a_message_is_bounded_names_nobody_twice_and_not_its_recipient() -> None:
    side = Side(1000, *map(profile, range(200)))
    begun = side.topology.begin_round(OWN)
    assert 1 <= len(begun) <= 3
    assert sum(bool(gossip.swapped) for _, gossip in begun) == 1
    for partner, gossip in begun:
        told = [each.node for each in gossip]
        assert told[0] == OWN.node
        assert len(told) == len(set(told)) <= PROFILES_MAX
        assert partner not in told
        assert len(told) > 10


def test_two_exchange_once_and_then_are_silent() -> None:
    one = Side(1, profile(2))
    other = Side(2, *map(profile, range(20, 30)))
    ((partner, gossip),) = one.topology.begin_round(one.own)
    assert partner == other.own.node
    answer = other.hear(gossip)
    assert answer is not None
    assert one.own.node in other.known
    assert one.hear(answer) is None
    assert any(node_id(number) in one.known for number in range(20, 30))
    assert other.hear(Gossip(one.own, (), ())) is not None, "a new exchange"


def test_who_begins_at_the_same_time_is_answered_by_what_we_began() -> None:
    one, other = Side(1, profile(2)), Side(2, profile(1))
    ((_, first),) = one.topology.begin_round(one.own)
    ((_, second),) = other.topology.begin_round(other.own)
    assert other.hear(first) is None
    assert one.hear(second) is None


def test_who_begins_gives_itself() -> None:
    one, other = Side(1, *map(profile, range(10, 40))), Side(2, *map(profile, range(40, 70)))
    assert len(other.cyclon.view()) == 20
    gossip = Gossip(one.own, tuple(map(profile, range(10, 17))), ())
    answer = other.hear(gossip)
    assert answer is not None
    assert len(answer.swapped) == SWAP_MAX
    assert {one.own.node, *(node_id(number) for number in range(10, 17))} <= {*other.cyclon.view()}
    assert not {each.node for each in answer.swapped} & set(other.cyclon.view())


def test_nobody_is_answered_who_is_not_known() -> None:
    side = Side(1, *map(profile, range(10, 20)))
    stranger = Gossip(profile(77, time_s=NOW_S), (), ())
    assert side.topology.hear(side.own, stranger) is None
    answer = side.topology.hear(side.own, stranger, is_guest=True)
    assert answer is not None
    assert len(list(answer)) > 5
    assert node_id(77) not in [node for node, _ in side.topology.begin_round(side.own)]


def test_without_the_layer_that_swaps_the_others_gossip() -> None:
    known = known_of(*map(profile, range(30)))
    rings = Rings(OWN.node, (FRAGMENTS, BLOCKS), known)
    topology = Topology(known, [rings])
    ((partner, gossip),) = topology.begin_round(OWN)
    assert partner in rings.view()
    assert gossip.swapped == ()
    assert gossip.others
    assert topology.view() == rings.view()


def test_alone_nobody_is_gossiped_with() -> None:
    side = Side(1)
    assert side.topology.begin_round(side.own) == []
    assert side.topology.view() == ()


def test_who_asks_without_end_is_answered_twice_in_a_round() -> None:
    side = Side(1, *map(profile, range(10, 40)))
    side.topology.begin_round(side.own)
    asked = [side.hear(Gossip(profile(77, time_s=NOW_S + n), (), ())) for n in range(10)]
    assert [answer is not None for answer in asked] == [True, True] + [False] * 8
    side.topology.begin_round(side.own)
    assert side.hear(Gossip(profile(77, time_s=NOW_S + 20), (), ())) is not None


def test_a_new_link_begins_an_exchange_with_whom_is_not_known_yet() -> None:
    one, other = Side(1), Side(2, *map(profile, range(20, 30)))
    gossip = one.topology.begin(one.own, other.own.node)
    assert list(gossip) == [one.own]
    answer = other.hear(gossip)
    assert answer is not None
    assert one.hear(answer) is None
    assert len(one.known) > 5


def test_who_linked_say_who_they_are_and_no_more() -> None:
    one = Side(1, *map(profile, range(2, 30)))
    other = Side(2, profile(1), *map(profile, range(20, 50)))
    greetings = [
        side.topology.begin(side.own, peer.own.node) for side, peer in ((one, other), (other, one))
    ]
    assert [list(each) for each in greetings] == [[one.own], [other.own]]
    assert one.hear(greetings[1]) is None
    assert other.hear(greetings[0]) is None


def test_a_newcomer_asks_for_more_at_once_and_once() -> None:
    one, other = Side(1, profile(2)), Side(2, profile(1), *map(profile, range(20, 50)))
    greetings = [
        side.topology.begin(side.own, peer.own.node) for side, peer in ((one, other), (other, one))
    ]
    question = one.hear(greetings[1])
    assert question is not None
    assert other.hear(greetings[0]) is None, "it knows enough"
    answer = other.hear(question)
    assert answer is not None
    assert one.hear(answer) is None, "no more than once for a link"
    assert len(one.known) > 5


def test_no_more_is_told_than_a_message_holds() -> None:
    class Talker(Rings):
        def gossip_for(self, recipient: Profile) -> tuple[NodeId, ...]:
            del recipient
            return tuple(known)

    known = known_of(*map(profile, range(200)))
    topology = Topology(known, [Talker(OWN.node, (BLOCKS,), known)])
    ((_, gossip),) = topology.begin_round(OWN)
    assert len(list(gossip)) == PROFILES_MAX
