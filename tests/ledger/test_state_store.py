"""The newest two states are kept whole, all proofs stay, and a part is found by its hash."""

import sqlite3
from collections.abc import Callable

import pytest

from tetrarch.ledger.headers import BlockId
from tetrarch.ledger.state_chunks import hash_of
from tetrarch.ledger.state_store import (
    STEP,
    Proven,
    StateKept,
    list_states,
    part_of,
    proofs_to,
    put_proven,
)


@pytest.fixture
def connection() -> sqlite3.Connection:
    made = sqlite3.connect(":memory:")
    for statement in STEP:
        made.execute(statement)
    return made


def state(height: int, *chunks: bytes) -> StateKept:
    return StateKept(height, BlockId(bytes([height]) * 32), chunks)


Put = Callable[[Proven], None]


@pytest.fixture
def put(connection: sqlite3.Connection) -> Put:
    return lambda proven: put_proven(connection, proven)


def test_the_newest_two_are_there_with_their_chunks_in_order(
    connection: sqlite3.Connection, put: Put
) -> None:
    for height in (5, 9, 14):
        put(Proven((), state(height, b"%d a" % height, b"%d b" % height)))
    found = list_states(connection)
    assert [each.height for each in found] == [9, 14]
    assert found[1].block == bytes([14]) * 32
    assert found[1].chunks == (hash_of(b"14 a"), hash_of(b"14 b"))
    assert part_of(connection, hash_of(b"5 a")) is None
    assert part_of(connection, hash_of(b"9 b")) == b"9 b"


def test_a_chunk_of_two_states_is_there_as_long_as_one_is(
    connection: sqlite3.Connection, put: Put
) -> None:
    for height in (5, 9, 14):
        put(Proven((), state(height, b"same", b"%d" % height)))
    assert part_of(connection, hash_of(b"same")) == b"same"
    assert part_of(connection, hash_of(b"5")) is None


def test_a_state_is_written_once(connection: sqlite3.Connection, put: Put) -> None:
    for _ in range(2):
        put(Proven(((5, b"proof"),), state(5, b"a")))
    assert [each.chunks for each in list_states(connection)] == [(hash_of(b"a"),)]
    assert proofs_to(connection, 5) == (b"proof",)


def test_proofs_stay_in_order(connection: sqlite3.Connection, put: Put) -> None:
    put(Proven(((14, b"c"), (9, b"b"))))
    put(Proven(((5, b"a"),), state(5, b"x")))
    assert proofs_to(connection, 13) == (b"a", b"b")
    assert proofs_to(connection, 14) == (b"a", b"b", b"c")
    assert part_of(connection, hash_of(b"b")) == b"b"
    assert list_states(connection)[0].height == 5
