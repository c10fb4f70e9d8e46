"""Numbers and byte strings: bytes, JSON, and what is refused."""

import pytest

from tetrarch.errors import InputInvalid
from tetrarch.ssz.basic import Boolean, ByteList, ByteVector, Uint, boolean, uint8, uint64, uint256
from tetrarch.ssz.descriptor import SszInvalid, SszType


@pytest.mark.parametrize("bits", [8, 16, 32, 64, 128, 256])
def test_integers_are_little_endian_and_decimal(bits):
    kind = Uint(bits)
    for value in (0, 1, 2 ** (bits - 1), 2**bits - 1):
        data = value.to_bytes(bits // 8, "little")
        assert kind.encode(value) == data
        assert kind.decode(data) == value
        assert kind.to_json(value) == str(value)
        assert kind.from_json(str(value)) == value
        assert kind.hash_tree_root(value) == data.ljust(32, b"\0")


@pytest.mark.parametrize(
    "text", ["", "-1", "256", "1e1", " 1", "+1", "0x1", "٣", "1" * 5000, 256, -1, True, None, 1.0]
)
def test_wrong_number_in_json_is_refused(text):
    with pytest.raises(SszInvalid):
        uint8.from_json(text)


@pytest.mark.parametrize("value", [-1, 2**64, True, "1", 1.0, None])
def test_wrong_integer_is_refused(value):
    with pytest.raises(SszInvalid):
        uint64.coerce(value)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (uint64, bytes(7)),
        (uint64, bytes(9)),
        (uint256, b""),
        (boolean, b"\x02"),
        (boolean, b""),
        (ByteVector(4), bytes(3)),
        (ByteVector(4), bytes(5)),
        (ByteList(4), bytes(5)),
    ],
)
def test_wrong_bytes_are_refused_by_one_error(kind: SszType, data: bytes):
    with pytest.raises(InputInvalid) as caught:
        kind.decode(data)
    assert caught.value.code == "ssz_invalid"


@pytest.mark.parametrize(
    "text", ["", "00", "0x0", "0xzz", "0x00 00", "0x0000000000", "0X00000000", None, 1, ["0x"]]
)
def test_wrong_hex_is_refused(text):
    with pytest.raises(SszInvalid):
        ByteVector(4).from_json(text)
    if text != "":
        with pytest.raises(SszInvalid):
            ByteList(4).from_json(text)


def test_bytes_of_wrong_length_or_kind_are_refused():
    for value in (bytes(3), bytes(5), "0x00000000", None, [0, 0, 0, 0]):
        with pytest.raises(SszInvalid):
            ByteVector(4).coerce(value)
    with pytest.raises(SszInvalid):
        ByteList(4).coerce(bytes(5))
    assert ByteList(4).coerce(bytearray(b"ab")) == b"ab"


def test_boolean_is_json_boolean():
    assert Boolean().to_json(value=True) is True
    assert boolean.from_json(False) is False
    for value in ("true", 1, 0, None):
        with pytest.raises(SszInvalid):
            boolean.from_json(value)


def test_names_are_the_specifications():
    assert [str(kind) for kind in (uint64, boolean, ByteVector(4), ByteList(8))] == [
        "uint64",
        "boolean",
        "ByteVector[4]",
        "ByteList[8]",
    ]
