"""Containers: immutable records, paths in errors, and hostile bytes."""

import copy
from types import SimpleNamespace

import pytest

from tetrarch.ssz.basic import ByteList, boolean, bytes32, uint64
from tetrarch.ssz.bits import Bitlist
from tetrarch.ssz.container import Container
from tetrarch.ssz.descriptor import SszInvalid
from tetrarch.ssz.sequence import List

POINT = Container("Point", {"x": uint64, "flag": boolean})
SHAPE = Container(
    "Shape",
    {"name": ByteList(8), "root": bytes32, "points": List(POINT, 4), "bits": Bitlist(9)},
)
FIXED_PART = 4 + 32 + 4 + 4


def shape():
    points = [POINT(x=1, flag=True), POINT(x=2, flag=False)]
    return SHAPE(name=b"abc", root=b"r" * 32, points=points, bits=[True])


def test_record_is_immutable_and_equal_by_content():
    one, two = shape(), shape()
    assert one == two
    assert hash(one) == hash(two)
    assert one != one.replace(name=b"x")
    assert POINT(x=1, flag=True) != (1, True)
    assert isinstance(one.points, tuple)
    with pytest.raises(AttributeError):
        one.name = b"x"
    with pytest.raises(AttributeError):
        del one.name
    assert "Shape" in repr(one)
    assert copy.copy(one) is one
    assert copy.deepcopy([one, one.bits]) == [one, one.bits]


def test_replace_changes_one_field_and_root():
    one = shape()
    root = one.hash_tree_root()
    other = one.replace(root=bytes(32))
    assert (other.root, other.name) == (bytes(32), b"abc")
    assert other.hash_tree_root() != root == one.hash_tree_root()


def test_building_checks_every_field():
    for fields in ({}, {"x": 1}, {"x": 1, "flag": True, "y": 2}, {"x": -1, "flag": True}):
        with pytest.raises(SszInvalid):
            POINT(**fields)
    with pytest.raises(SszInvalid) as caught:
        shape().replace(points=[POINT(x=1, flag=True), SHAPE.default()])
    assert caught.value.path == "points[1]"


def test_round_trips():
    one = shape()
    assert SHAPE.decode(one.encode()) == one
    assert SHAPE.from_json(one.to_json()) == one
    assert SHAPE.from_json({**one.to_json(), "future": 1}) == one


def test_mutable_object_with_same_attributes_is_accepted():
    one = shape()
    loose = SimpleNamespace(name=one.name, root=one.root, points=list(one.points), bits=one.bits)
    assert SHAPE.encode(loose) == one.encode()
    assert SHAPE.hash_tree_root(loose) == one.hash_tree_root()
    loose.points.pop()
    assert SHAPE.hash_tree_root(loose) != one.hash_tree_root()


def with_offset(place: int, value: int) -> bytes:
    data = bytearray(shape().encode())
    data[place : place + 4] = value.to_bytes(4, "little")
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (b"", ""),
        (bytes(FIXED_PART - 1), ""),
        (with_offset(0, FIXED_PART - 1), ""),
        (with_offset(0, FIXED_PART + 1), ""),
        (with_offset(36, FIXED_PART - 1), "name"),
        (with_offset(36, 2**32 - 1), "name"),
        (with_offset(40, FIXED_PART), "points"),
        (with_offset(40, 2**31), "points"),
        (with_offset(36, FIXED_PART + 9), "name"),
        (shape().encode() + b"\x00", "bits"),
        (shape().encode()[:-1], "bits"),
    ],
)
def test_malformed_bytes_name_the_field(data, path):
    with pytest.raises(SszInvalid) as caught:
        SHAPE.decode(data)
    assert caught.value.path == path


def test_path_goes_down_to_the_wrong_byte():
    data = bytearray(shape().encode())
    data[FIXED_PART + 3 + 9 + 8] = 2  # the second point's flag
    with pytest.raises(SszInvalid) as caught:
        SHAPE.decode(bytes(data))
    assert caught.value.path == "points[1].flag"
    assert "points[1].flag" in str(caught.value)


@pytest.mark.parametrize("value", [None, [], "x", {}, {"name": "0x"}])
def test_wrong_json_is_refused(value):
    with pytest.raises(SszInvalid):
        SHAPE.from_json(value)


def test_json_path_names_the_wrong_value():
    value = shape().to_json()
    value["points"][1]["x"] = "two"
    with pytest.raises(SszInvalid) as caught:
        SHAPE.from_json(value)
    assert caught.value.path == "points[1].x"
