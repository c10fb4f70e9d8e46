"""What the nodes share follows from their signed statements alone, and f liars cannot bend it."""

import struct
from dataclasses import replace
from hashlib import sha256
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrarch.consensus.messages import faulty_max, quorum
from tetrarch.consensus.priority import (
    NAMES_MAX,
    POINTS,
    SIGNED_SIZE_BYTES_MAX,
    TOPICS_MAX,
    BallotInvalid,
    PriorityCodec,
    SignedStatement,
    Statement,
    StatementForged,
    StatementInvalid,
    Topic,
    result_of,
)
from tetrarch.duties.types import Duty, DutyType
from tetrarch.errors import InputInvalid, InvariantBroken, PeerFault
from tetrarch.sim.identities import ModelIdentity, real_identities

DUTY = Duty(31, DutyType.INFO_SYNC)
CLUSTER = bytes(range(32))

names = st.sampled_from(["a", "b", "c", "d", "e"])
priorities = st.lists(names, unique=True, max_size=5).map(tuple)
topics = st.dictionaries(st.sampled_from(["x", "y"]), priorities, min_size=1).map(
    lambda found: tuple(Topic(name, found[name]) for name in sorted(found))
)
clusters = st.integers(3, 10).flatmap(
    lambda n: st.tuples(st.just(n), st.lists(topics, min_size=n, max_size=n))
)


def statement(source: int, *priorities: str, topic: str = "x", duty: Duty = DUTY) -> Statement:
    return Statement(duty, source, (Topic(topic, priorities),))


def codec(own: int = 0, *, node_count: int = 4, cluster_id: bytes = CLUSTER) -> PriorityCodec:
    return PriorityCodec(
        identity=ModelIdentity(seed=1, own_index=own),
        cluster_id=cluster_id,
        node_count=node_count,
    )


def signed(source: int, *priorities: str, **changes) -> SignedStatement:
    return codec(source).sign(statement(source, *priorities, **changes))


# The rule


def test_names_are_ordered_by_points_and_kept_from_a_quorum_on() -> None:
    result = result_of(
        [
            statement(0, "new", "old"),
            statement(1, "new", "old", "odd"),
            statement(2, "old"),
            statement(3, "old", "new"),
        ],
        node_count=4,
    )
    first, second = result.topics["x"]
    assert (first.name, first.points) == ("old", 4 * POINTS - 2)
    assert (second.name, second.points, second.sources) == ("new", 3 * POINTS - 1, (0, 1, 3))
    assert result.preferred("x") == "old"
    assert result.supporters("x", "new") == (0, 1, 3)
    assert result.supporters("x", "odd") == ()
    assert result.preferred("y") is None
    assert result.sources == (0, 1, 2, 3)


def test_equal_points_are_ordered_by_name_whoever_speaks_first() -> None:
    """The reference's sort was not stable: equal scores came out by the order of arrival."""
    said = [statement(0, "b", "a"), statement(1, "a", "b"), statement(2, "c", "b", "a")]
    said += [statement(3, "c", "a", "b")]
    orders = [said, said[::-1], said[2:] + said[:2]]
    results = [result_of(order, node_count=4) for order in orders]
    assert [each.name for each in results[0].topics["x"]] == ["a", "b"]
    assert results[0] == results[1] == results[2]


@given(clusters, st.randoms(use_true_random=False))
def test_order_of_statements_does_not_matter(cluster, rng: Random) -> None:
    node_count, said = cluster
    statements = [Statement(DUTY, source, topics) for source, topics in enumerate(said)]
    shuffled = statements[:]
    rng.shuffle(shuffled)
    first = result_of(statements, node_count=node_count)
    second = result_of(shuffled, node_count=node_count)
    assert first == second
    assert list(first.topics) == list(second.topics)


@given(clusters, st.data())
def test_f_liars_cannot_raise_what_honest_nodes_do_not_support(cluster, data) -> None:
    node_count, said = cluster
    faulty = faulty_max(node_count)
    liars = data.draw(st.sets(st.integers(0, node_count - 1), max_size=faulty))
    counted = data.draw(
        st.sets(st.integers(0, node_count - 1), min_size=quorum(node_count), max_size=node_count)
    )
    result = result_of(
        [Statement(DUTY, source, said[source]) for source in counted], node_count=node_count
    )
    for topic, kept in result.topics.items():
        for each in kept:
            honest = [
                source
                for source in counted - liars
                for stated in said[source]
                if stated.name == topic and each.name in stated.priorities
            ]
            assert len(each.sources) >= quorum(node_count)
            assert len(honest) >= quorum(node_count) - faulty


@given(clusters)
def test_what_all_state_is_kept_and_in_order_of_points(cluster) -> None:
    node_count, said = cluster
    result = result_of(
        [Statement(DUTY, source, topics) for source, topics in enumerate(said)],
        node_count=node_count,
    )
    for topic in ("x", "y"):
        lists = [{t.name: t.priorities for t in topics}.get(topic, ()) for topics in said]
        for name in set(lists[0]).intersection(*lists[1:]):
            assert result.supporters(topic, name) == tuple(range(node_count))
        kept = result.topics.get(topic, ())
        assert [each.points for each in kept] == sorted((e.points for e in kept), reverse=True)


def test_result_of_nonsense_is_refused() -> None:
    with pytest.raises(InvariantBroken):
        result_of([statement(0, "a"), statement(0, "b")], node_count=4)
    other = Duty(63, DutyType.INFO_SYNC)
    with pytest.raises(InvariantBroken):
        result_of([statement(0, "a"), statement(1, "b", duty=other)], node_count=4)


@pytest.mark.parametrize(
    ("topic", "stated"),
    [
        ("", ("a",)),
        ("t" * 33, ("a",)),
        ("t", ("a", "a")),
        ("t", ("",)),
        ("t", ("line\n",)),
        ("t", ("ä",)),
        ("t", tuple(f"{i}" for i in range(NAMES_MAX + 1))),
    ],
)
def test_topic_beyond_its_bounds_is_refused(topic: str, stated: tuple[str, ...]) -> None:
    with pytest.raises(InputInvalid):
        Topic(topic, stated)


@pytest.mark.parametrize(
    "topics",
    [
        (),
        (Topic("b", ()), Topic("a", ())),
        (Topic("a", ()), Topic("a", ())),
        tuple(Topic(f"{i}", ()) for i in range(TOPICS_MAX + 1)),
    ],
    ids=["none", "order", "twice", "many"],
)
def test_statement_beyond_its_bounds_is_refused(topics: tuple[Topic, ...]) -> None:
    with pytest.raises(InputInvalid):
        Statement(DUTY, 0, topics)


# Bytes


def test_layout_is_pinned() -> None:
    """Nodes of other versions read these bytes: they change with the domain's number only."""
    data = codec().encode(signed(0, "ab", "c", topic="v"))
    assert data[:-65].hex() == "000000000000001f0d00010176020261620163"
    ballot = codec().encode_ballot(DUTY, [signed(0, "a")])
    assert ballot[:13].hex() == "01000000000000001f0d01" + f"{len(ballot) - 13:04x}"


@given(topics)
def test_statement_comes_back(said: tuple[Topic, ...]) -> None:
    made = codec(2).sign(Statement(DUTY, 2, said))
    assert codec(0).decode(codec().encode(made)) == made


def test_largest_statement_fits_its_bound() -> None:
    long = tuple(f"{i:032d}" for i in range(NAMES_MAX))
    topics = tuple(Topic(f"{i:032d}", long) for i in range(TOPICS_MAX))
    made = codec().sign(Statement(DUTY, 0, topics))
    data = codec().encode(made)
    assert len(data) == SIGNED_SIZE_BYTES_MAX
    assert codec().decode(data) == made
    with pytest.raises(StatementInvalid):
        codec().decode(b"\0" + data)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_statement_or_a_fault(data: bytes) -> None:
    with pytest.raises(PeerFault):
        codec().decode(data)
    with pytest.raises(BallotInvalid):
        codec().decode_ballot(DUTY, data)


@given(st.integers(0), st.integers(1, 255))
def test_changed_byte_is_a_fault(position: int, change: int) -> None:
    data = bytearray(codec().encode(signed(1, "a", "b")))
    data[position % len(data)] ^= change
    with pytest.raises(PeerFault):
        codec().decode(bytes(data))


def test_statement_of_another_cluster_or_signed_by_another_is_forged() -> None:
    data = codec().encode(signed(1, "a"))
    with pytest.raises(StatementForged):
        codec(cluster_id=bytes(32)).decode(data)
    stolen = SignedStatement(statement(1, "a"), codec(2).sign(statement(1, "a")).signature)
    with pytest.raises(StatementForged):
        codec().decode(codec().encode(stolen))


def test_bytes_behind_a_statement_are_a_fault_though_signed() -> None:
    body = codec().encode(signed(1, "a"))[:-65]
    identity = ModelIdentity(seed=1, own_index=1)
    for more, right in ((b"", True), (b"\0", False)):
        digest = sha256(b"tetrarch/prio/1\0" + CLUSTER + body + more).digest()
        data = body + more + identity.sign(digest)
        if right:
            assert codec().decode(data) == signed(1, "a")
        else:
            with pytest.raises(StatementInvalid):
                codec().decode(data)


def test_source_outside_the_cluster_is_refused() -> None:
    far = PriorityCodec(
        identity=ModelIdentity(seed=1, own_index=4), cluster_id=CLUSTER, node_count=5
    )
    with pytest.raises(StatementInvalid):
        codec().decode(far.encode(far.sign(statement(4, "a"))))


def test_ballot_comes_back_in_order_of_sources() -> None:
    made = [signed(source, "a") for source in (2, 0, 3)]
    ballot = codec().encode_ballot(DUTY, made)
    assert ballot == codec().encode_ballot(DUTY, made[::-1])
    back = codec().decode_ballot(DUTY, ballot)
    assert [each.statement.source for each in back] == [0, 2, 3]
    with pytest.raises(InvariantBroken):
        codec().encode_ballot(Duty(63, DutyType.INFO_SYNC), made)


def ballot_of(*statements: SignedStatement, duty: Duty = DUTY, version: int = 1) -> bytes:
    """In the given order and without any rule."""
    parts = [struct.pack(">BQBB", version, duty.slot, duty.type, len(statements))]
    for each in statements:
        data = codec().encode(each)
        parts += [len(data).to_bytes(2, "big"), data]
    return b"".join(parts)


OTHER = Duty(63, DutyType.INFO_SYNC)
ALL = [signed(source, "a") for source in range(4)]


@pytest.mark.parametrize(
    "ballot",
    [
        ballot_of(*ALL[:2]),
        ballot_of(ALL[0], ALL[1], ALL[1]),
        ballot_of(ALL[2], ALL[1], ALL[0]),
        ballot_of(*ALL[:2], signed(2, "a", duty=OTHER)),
        ballot_of(*(signed(i, "a", duty=OTHER) for i in range(3)), duty=OTHER),
        ballot_of(*ALL, duty=OTHER),
        ballot_of(*ALL, version=2),
        ballot_of(*ALL) + b"\0",
        ballot_of(*ALL)[:-1],
        ballot_of(*ALL[:2], replace(ALL[2], signature=bytes(65))),
        b"",
    ],
    ids=[
        "few",
        "twice",
        "order",
        "old",
        "duty",
        "head",
        "version",
        "more",
        "cut",
        "forged",
        "empty",
    ],
)
def test_ballot_that_breaks_a_rule_is_refused(ballot: bytes) -> None:
    assert codec().decode_ballot(DUTY, ballot_of(*ALL[:3]))
    with pytest.raises(BallotInvalid):
        codec().decode_ballot(DUTY, ballot)


def test_real_signatures_are_made_and_checked() -> None:
    identity = real_identities(1, 4)
    first, second = (
        PriorityCodec(identity=identity(own), cluster_id=CLUSTER, node_count=4) for own in (0, 1)
    )
    made = first.sign(statement(0, "a"))
    assert second.decode(first.encode(made)) == made
    with pytest.raises(StatementForged):
        second.decode(first.encode(replace(made, statement=statement(0, "b"))))
