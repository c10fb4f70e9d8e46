"""Vectors and lists: packing, offsets, limits, and the path of what is refused."""

import pytest
from remerkleable.basic import boolean as oracle_boolean
from remerkleable.basic import uint8 as oracle_uint8
from remerkleable.basic import uint64 as oracle_uint64
from remerkleable.complex import List as OracleList
from remerkleable.complex import Vector as OracleVector

from tetrarch.errors import InvariantBroken
from tetrarch.ssz.basic import ByteList, boolean, bytes4, uint8, uint64, uint256
from tetrarch.ssz.descriptor import SszInvalid
from tetrarch.ssz.sequence import List, Vector

LISTS = List(List(uint8, 3), 4)  # variable-size elements


@pytest.mark.parametrize(
    ("element", "oracle"),
    [(uint8, oracle_uint8), (uint64, oracle_uint64), (boolean, oracle_boolean)],
)
@pytest.mark.parametrize("count", [1, 3, 4, 5, 31, 32, 33, 65])
def test_basic_elements_are_packed_as_oracle_does(element, oracle, count):
    values = tuple(element.from_json(i % 2 == 0 if element is boolean else i) for i in range(count))
    for kind, theirs in (
        (Vector(element, count), OracleVector[oracle, count](values)),
        (List(element, 100), OracleList[oracle, 100](values)),
    ):
        assert kind.encode(values) == theirs.encode_bytes()
        assert kind.decode(theirs.encode_bytes()) == values
        assert kind.hash_tree_root(values) == bytes(theirs.hash_tree_root())


def test_values_are_tuples_and_lists_are_taken():
    kind = List(uint64, 3)
    assert kind.coerce([1, 2]) == (1, 2)
    assert kind.encode([1, 2]) == kind.encode((1, 2))
    assert kind.from_json(["1", 2]) == (1, 2)
    assert kind.to_json((1, 2)) == ["1", "2"]
    assert Vector(uint256, 2).default() == (0, 0)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x04", "too short"),
        (b"\x00\x00\x00\x00", "first offset"),
        (b"\x05\x00\x00\x00\x00", "first offset"),
        (b"\x08\x00\x00\x00", "first offset"),
        (b"\x08\x00\x00\x00\x07\x00\x00\x00", "offsets decrease"),
        (b"\x08\x00\x00\x00\x09\x00\x00\x00", "offsets decrease"),
        (b"\x14\x00\x00\x00" * 5, "over the limit"),
        (b"\x04\x00\x00\x00abcd", "over the limit"),
    ],
)
def test_malformed_offsets_are_refused(data, reason):
    with pytest.raises(SszInvalid, match=reason):
        LISTS.decode(data)


def test_error_names_element():
    with pytest.raises(SszInvalid) as caught:
        LISTS.decode(b"\x08\x00\x00\x00\x08\x00\x00\x00abcd")
    assert caught.value.path == "[1]"
    with pytest.raises(SszInvalid) as caught:
        List(boolean, 4).decode(b"\x00\x01\x02")
    assert caught.value.path == "[2]"
    with pytest.raises(SszInvalid) as caught:
        List(List(uint8, 2), 2).from_json([["1"], ["1", "x"]])
    assert caught.value.path == "[1][1]"


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (List(uint64, 2), bytes(24)),
        (List(uint64, 2), bytes(9)),
        (Vector(uint64, 2), bytes(8)),
        (Vector(ByteList(4), 2), b""),
        (Vector(ByteList(4), 2), b"\x04\x00\x00\x00"),
    ],
)
def test_wrong_counts_are_refused(kind, data):
    with pytest.raises(SszInvalid):
        kind.decode(data)


def test_wrong_values_are_refused():
    for value in ((1, 2, 3), "12", None, {1}, (2**64,)):
        with pytest.raises(SszInvalid):
            List(uint64, 2).coerce(value)
    refused: tuple[object, ...] = ({}, "[]", ["1", "2", "3"], None)
    for json in refused:
        with pytest.raises(SszInvalid):
            List(uint64, 2).from_json(json)
    with pytest.raises(SszInvalid):
        Vector(bytes4, 2).coerce((b"abcd",))
    with pytest.raises(InvariantBroken):
        Vector(uint64, 0)
