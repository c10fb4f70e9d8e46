"""What the cluster does by its nodes' statements: a feature needs all, a builder all that are there."""

from hypothesis import given
from hypothesis import strategies as st

from tetrarch.consensus.priority import Statement, Topic
from tetrarch.duties.features import (
    BUILDER,
    FEATURES,
    PROPOSAL,
    Agreed,
    FixedFeatures,
    agreed_of,
    topics_of,
)
from tetrarch.duties.types import Duty, DutyType
from tetrarch.network.versions import Versions

DUTY = Duty(31, DutyType.INFO_SYNC)
OLD = Versions(protocol_min=1, protocol=1)
NEW = Versions(protocol_min=1, protocol=2, features=("fast", "small"))


def said(*nodes: tuple[int, Versions, bool]) -> list[Statement]:
    return [
        Statement(DUTY, source, topics_of(versions, builder_api=builder))
        for source, versions, builder in nodes
    ]


def agreed(*nodes: tuple[int, Versions, bool], node_count: int = 4) -> Agreed:
    return agreed_of(said(*nodes), node_count=node_count)


def test_upgrade_of_node_after_node_changes_what_is_sent_with_the_last_one() -> None:
    for updated in range(5):
        nodes = [(i, NEW if i < updated else OLD, False) for i in range(4)]
        found = agreed(*nodes)
        assert found.features == (("fast", "small") if updated == 4 else ())
        # A version is for display: the best that a quorum speaks.
        assert found.version == ("2" if updated == 4 else "1")
        behind = tuple(range(updated, 4))
        expected = {"fast": behind, "small": behind} if 0 < updated < 4 else {}
        assert found.without_feature == expected


def test_feature_needs_the_nodes_that_are_away_too() -> None:
    found = agreed(*((i, NEW, False) for i in range(3)))
    assert found.features == ()
    assert found.without_feature == {"fast": (3,), "small": (3,)}


def test_builder_needs_all_that_are_there() -> None:
    assert agreed(*((i, NEW, True) for i in range(4))).builder_api
    assert agreed(*((i, NEW, True) for i in range(3))).builder_api
    differing = agreed(*((i, NEW, i != 2) for i in range(4)))
    assert not differing.builder_api
    assert differing.builder_differs
    assert differing.with_builder == (0, 1, 3)
    nobody = agreed(*((i, NEW, False) for i in range(4)))
    assert not nobody.builder_api
    assert not nobody.builder_differs


def test_statement_without_topics_that_are_known_supports_nothing() -> None:
    strange = Statement(DUTY, 3, (Topic("colour", ("blue",)),))
    found = agreed_of([*said(*((i, NEW, True) for i in range(3))), strange], node_count=4)
    assert (found.features, found.builder_api, found.version) == ((), False, "2")


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=3, max_size=4))
def test_one_honest_node_that_does_not_take_or_want_something_is_enough(nodes) -> None:
    found = agreed(*((i, NEW if new else OLD, builder) for i, (new, builder) in enumerate(nodes)))
    assert bool(found.features) == (len(nodes) == 4 and all(new for new, _ in nodes))
    assert found.builder_api == all(builder for _, builder in nodes)


def test_own_topics_name_the_preferred_first() -> None:
    topics = {t.name: t.priorities for t in topics_of(NEW, builder_api=True)}
    assert topics == {
        FEATURES: ("fast", "small"),
        PROPOSAL: (BUILDER, "full"),
        "version": ("2", "1"),
    }


def test_fixed_features_are_all_or_those_that_are_named() -> None:
    assert FixedFeatures().may_send("any")
    assert FixedFeatures(features=("one",)).takes("one")
    assert not FixedFeatures(features=("one",)).may_send("other")
