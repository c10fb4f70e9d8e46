"""The set of known nodes is bounded, and no crowd of them fills it."""

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.network.overlay.support import BOTH, NOW_S, node_id, profile

from tetrarch.network.overlay.known import Known, KnownLimits, Taken
from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS, NodeId, Profile, ring_position


def known_of(*profiles: Profile, limits: KnownLimits | None = None) -> Known:
    known = Known(
        limits or KnownLimits(),
        Random(1),
        held=lambda _: False,
        took=lambda _: None,
        lost=lambda _: None,
    )
    for each in profiles:
        known.take(each, each.node)
    return known


def test_the_newer_profile_stays() -> None:
    known = known_of(profile(1))
    introducer = node_id(9)
    assert known.take(profile(1, time_s=NOW_S), introducer) is Taken.OLD
    assert known.take(profile(1, time_s=NOW_S - 1), introducer) is Taken.OLD
    assert known.take(profile(1, time_s=NOW_S + 1), introducer) is Taken.RENEWED
    assert known.profiles[node_id(1)].time_s == NOW_S + 1


def test_a_network_has_only_so_many_places() -> None:
    known = known_of(limits=KnownLimits(of_group_max=2))
    for number, expected in ((1, Taken.NEW), (2, Taken.NEW), (3, Taken.GROUP_FULL)):
        assert known.take(profile(number, ip=f"20.0.0.{number}"), node_id(number)) is expected
    known.remove(node_id(1))
    assert known.take(profile(3, ip="20.0.0.3"), node_id(3)) is Taken.NEW
    assert known.take(profile(4, ip="20.0.1.4"), node_id(4)) is Taken.NEW


def test_nobody_moves_into_a_full_network() -> None:
    known = known_of(
        profile(1, ip="20.0.0.1"), profile(2, ip="20.0.1.1"), limits=KnownLimits(of_group_max=1)
    )
    moved = profile(2, ip="20.0.0.2", time_s=NOW_S + 1)
    assert known.take(moved, node_id(2)) is Taken.GROUP_FULL
    elsewhere = profile(2, ip="20.0.2.2", time_s=NOW_S + 1)
    assert known.take(elsewhere, node_id(2)) is Taken.RENEWED
    assert known.take(profile(3, ip="20.0.1.3"), node_id(3)) is Taken.NEW, "it left that one"


def test_one_introducer_fills_only_a_part_until_its_nodes_are_met() -> None:
    known = known_of(limits=KnownLimits(of_introducer_max=2))
    talker = node_id(99)
    taken = [known.take(profile(number), talker) for number in (1, 2, 3)]
    assert taken == [Taken.NEW, Taken.NEW, Taken.INTRODUCER_FULL]
    assert known.take(profile(3), node_id(3)) is Taken.NEW, "it came itself"
    assert known.take(profile(99), talker) is Taken.NEW, "it may always speak of itself"
    known.met(node_id(1))
    assert known.take(profile(4), talker) is Taken.NEW
    assert known.take(profile(5), talker) is Taken.INTRODUCER_FULL
    known.remove(node_id(2))
    assert known.take(profile(5), talker) is Taken.NEW


def test_where_all_places_are_taken_the_silent_go_first_and_those_of_views_never() -> None:
    held = {node_id(1)}
    lost: list[NodeId] = []
    known = Known(
        KnownLimits(nodes_max=3, silent_s=60),
        Random(1),
        held=lambda node: node in held,
        took=lambda _: None,
        lost=lost.append,
    )
    for number, age_s in ((1, 500), (2, 30), (3, 10)):
        known.take(profile(number, time_s=NOW_S - age_s), node_id(number))
    assert known.take(profile(4), node_id(4)) is Taken.FULL, "nobody is silent but whom a view has"
    assert known.take(profile(4), node_id(4), wanted=True) is Taken.NEW
    assert lost == [node_id(2)]
    assert known.take(profile(5, time_s=NOW_S + 61), node_id(5)) is Taken.NEW
    assert lost == [node_id(2), node_id(3)]


def test_a_renewed_profile_may_want_something_else() -> None:
    told: list[int] = []
    known = Known(
        KnownLimits(),
        Random(1),
        held=lambda _: False,
        took=lambda each: told.append(each.time_s),
        lost=lambda _: None,
    )
    known.take(profile(1), node_id(1))
    known.take(profile(1, time_s=NOW_S + 1), node_id(1))
    assert told == [NOW_S]
    known.take(profile(1, time_s=NOW_S + 2, interests=((BLOCKS, 5),)), node_id(1))
    assert told == [NOW_S, NOW_S + 2]
    assert (len(known.ring(FRAGMENTS)), len(known.ring(BLOCKS))) == (0, 1)
    known.remove(node_id(1))
    assert (len(known.ring(BLOCKS)), len(known)) == (0, 0)


class KnownMachine(RuleBasedStateMachine):
    """Whatever happens, bounds hold and all its books agree."""

    LIMITS = KnownLimits(nodes_max=6, of_group_max=2, of_introducer_max=3, silent_s=2)

    def __init__(self) -> None:
        super().__init__()
        self.here: set[NodeId] = set()
        self.held: set[NodeId] = set()
        self.known = Known(
            self.LIMITS,
            Random(1),
            held=lambda node: node in self.held,
            took=lambda each: self.here.add(each.node),
            lost=self.here.remove,
        )

    @rule(
        number=st.integers(1, 12),
        group=st.integers(0, 4),
        time_s=st.integers(NOW_S, NOW_S + 9),
        introducer=st.integers(1, 12),
        interests=st.sampled_from([BOTH, BOTH[:1], ()]),
        wanted=st.booleans(),
    )
    def take(self, number, group, time_s, introducer, interests, wanted) -> None:
        said = profile(number, time_s=time_s, ip=f"20.0.{group}.{number}", interests=interests)
        taken = self.known.take(said, node_id(introducer), wanted=wanted)
        is_here = self.known.profiles.get(said.node) == said
        assert is_here == (taken in (Taken.NEW, Taken.RENEWED)) or taken is Taken.OLD

    @rule(number=st.integers(1, 12))
    def remove(self, number) -> None:
        self.known.remove(node_id(number))

    @rule(number=st.integers(1, 12))
    def meet(self, number) -> None:
        self.known.met(node_id(number))

    @rule(number=st.integers(1, 12))
    def hold(self, number) -> None:
        self.held ^= {node_id(number)}

    @invariant()
    def books_agree(self) -> None:
        profiles = self.known.profiles
        assert self.here == set(profiles) == set(self.known) == set(self.known.sample(100))
        assert len(profiles) <= self.LIMITS.nodes_max
        groups = [each.address.group for each in profiles.values()]
        assert all(groups.count(group) <= self.LIMITS.of_group_max for group in groups)
        for topic in (FRAGMENTS, BLOCKS):
            subscribers = {node for node, each in profiles.items() if topic in each.topics}
            ring = self.known.ring(topic)
            somebody = node_id(999)
            position = ring_position(topic, somebody)
            assert set(ring.successors(position, somebody, 100)) == subscribers


TestKnownMachine = KnownMachine.TestCase
TestKnownMachine.settings = settings(max_examples=60, deadline=None)
