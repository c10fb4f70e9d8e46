"""Bit strings: packing, delimiter, and equality with the oracle for every short length."""

import pytest
from remerkleable.bitfields import Bitlist as OracleBitlist
from remerkleable.bitfields import Bitvector as OracleBitvector

from tetrarch.errors import InputInvalid, InvariantBroken
from tetrarch.ssz.bits import Bitlist, Bits, Bitvector
from tetrarch.ssz.descriptor import SszInvalid


def pattern(length: int) -> list[bool]:
    return [(i * 7) % 3 == 0 for i in range(length)]


@pytest.mark.parametrize("length", [*range(18), 255, 256, 257, 511, 512, 513])
def test_bitlist_equals_oracle(length):
    kind, oracle = Bitlist(600), OracleBitlist[600](pattern(length))
    value = Bits.of(pattern(length))
    assert kind.encode(value) == oracle.encode_bytes()
    assert kind.decode(oracle.encode_bytes()) == value
    assert kind.hash_tree_root(value) == bytes(oracle.hash_tree_root())
    assert kind.to_json(value) == oracle.to_obj()
    assert kind.from_json(oracle.to_obj()) == value


@pytest.mark.parametrize("length", [*range(1, 18), 255, 256, 257, 511, 512, 513])
def test_bitvector_equals_oracle(length):
    kind, oracle = Bitvector(length), OracleBitvector[length](pattern(length))
    value = Bits.of(pattern(length))
    assert kind.encode(value) == oracle.encode_bytes()
    assert kind.decode(oracle.encode_bytes()) == value
    assert kind.hash_tree_root(value) == bytes(oracle.hash_tree_root())
    assert kind.to_json(value) == oracle.to_obj()


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x01\x00", b"\x00\x00", bytes(9)])
def test_bitlist_without_delimiter_is_refused(data):
    with pytest.raises(SszInvalid, match="delimiter"):
        Bitlist(600).decode(data)


def test_bitlist_over_limit_is_refused():
    assert len(Bitlist(8).decode(b"\xff\x01")) == 8
    for kind, data in ((Bitlist(8), b"\xff\x02"), (Bitlist(3), b"\x10"), (Bitlist(8), bytes(9))):
        with pytest.raises(SszInvalid):
            kind.decode(data)
    with pytest.raises(SszInvalid):
        Bitlist(8).from_json("0xff02")
    with pytest.raises(SszInvalid):
        Bitlist(3).coerce([True] * 4)


def test_bitvector_with_spare_bit_set_is_refused():
    for data in (b"\x08", b"\x80", b"", b"\x00\x00"):
        with pytest.raises(SszInvalid):
            Bitvector(3).decode(data)
    with pytest.raises(SszInvalid):
        Bitvector(3).coerce([True] * 4)


@pytest.mark.parametrize("length", [1, 7, 8, 9, 64, 100])
def test_queries_agree_with_plain_list(length):
    flags = pattern(length)
    bits = Bits.of(flags)
    assert list(bits) == flags
    assert [bits[i] for i in range(length)] == flags
    assert bits.count() == sum(flags)
    assert bits.indices() == tuple(i for i, flag in enumerate(flags) if flag)
    assert Bits.single(length - 1, length).indices() == (length - 1,)
    assert Bits.zeros(length).with_bit(length - 1) == Bits.single(length - 1, length)
    assert Bits.single(0, length).with_bit(0, value=False) == Bits.zeros(length)
    assert (bits | Bits.single(length - 1, length)).count() == bits.count() + (not flags[-1])
    assert hash(bits) == hash(Bits.of(flags))


def test_bits_do_not_change_and_stay_in_range():
    bits = Bits.of([True, False])
    with pytest.raises(AttributeError):
        bits.packed = b"\x03"
    for index in (-1, 2):
        with pytest.raises(IndexError):
            bits[index]
        with pytest.raises(IndexError):
            bits.with_bit(index)
    with pytest.raises(InputInvalid):
        bits | Bits.zeros(3)  # the refusal is what is looked at
    with pytest.raises(InvariantBroken):
        Bits(b"\x04", 2)
    with pytest.raises(SszInvalid):
        Bitlist(8).coerce([1, 0])
    assert bits != "01"
