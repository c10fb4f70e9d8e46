"""The record of a node is that of the reference, to the byte."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from tests.network.overlay.support import BOTH, NOW_S, address

from tetrarch.errors import InvariantBroken
from tetrarch.network.overlay.addresses import Address
from tetrarch.network.overlay.profile import (
    BLOCKS,
    FRAGMENTS,
    NodeId,
    Profile,
    ProfileInvalid,
    Topic,
    check_signature,
    decode_profile,
    ring_position,
    sign_profile,
)

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
NODE = NodeId(KEY.public_key().public_bytes_raw())


def signed(
    where: Address, interests: tuple[tuple[Topic, int], ...] = BOTH, time_s: int = NOW_S
) -> Profile:
    return sign_profile(KEY.sign, node=NODE, time_s=time_s, address=where, interests=interests)


def test_bytes_of_an_ipv4_record() -> None:
    record = signed(address("1.2.3.4", 0x0BB8)).record
    assert len(record) == 174
    assert record[:2] == b"\xc0\x02"  # the reference leaves bit 14 alone
    assert record[2:34] == NODE
    assert record[34:38] == NOW_S.to_bytes(4, "big")
    assert record[38:44] == b"\x01\x02\x03\x04\x0b\xb8"
    assert record[44:110] == FRAGMENTS + b"\x03" + BLOCKS + b"\x03"
    KEY.public_key().verify(record[110:], record[:110])


def test_bytes_of_an_ipv6_record() -> None:
    record = signed(address("2a00::7")).record
    assert len(record) == 186
    assert record[:2] == b"\x40\x02"
    assert record[38:54] == b"\x2a" + bytes(14) + b"\x07"


@given(
    st.ip_addresses(),
    st.integers(0, 65535),
    st.integers(0, 2**32 - 1),
    st.lists(
        st.tuples(st.binary(min_size=32, max_size=32), st.integers(0, 255)),
        max_size=11,
        unique_by=lambda each: each[0],
    ),
)
def test_a_record_is_read_as_it_was_signed(ip, port, time_s, interests) -> None:
    where = Address(getattr(ip, "ipv4_mapped", None) or ip, port)
    profile = signed(where, tuple(interests), time_s)
    assert decode_profile(profile.record) == profile
    check_signature(profile)


@given(st.integers(0, 174 * 8 - 1))
def test_no_bit_can_be_changed(bit: int) -> None:
    record = bytearray(signed(address("1.2.3.4")).record)
    record[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ProfileInvalid):
        check_signature(decode_profile(bytes(record)))


@given(st.binary(max_size=600))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(ProfileInvalid):
        check_signature(decode_profile(noise))


def test_lengths_are_exact() -> None:
    record = signed(address("1.2.3.4")).record
    for other in (record[:-1], record + b"\0", record + bytes(400), b"", b"\x80"):
        with pytest.raises(ProfileInvalid, match="decode profile"):
            decode_profile(other)


def test_a_topic_stands_once() -> None:
    twice = signed(address("1.2.3.4"), ((BLOCKS, 3), (BLOCKS, 5)))
    with pytest.raises(ProfileInvalid, match="twice"):
        decode_profile(twice.record)


def test_a_record_that_nobody_would_take_is_not_signed() -> None:
    many = tuple((Topic(bytes([number]) * 32), 3) for number in range(13))
    with pytest.raises(InvariantBroken):
        signed(address("1.2.3.4"), many)


def test_places_on_two_rings_are_independent() -> None:
    assert ring_position(FRAGMENTS, NODE) != ring_position(BLOCKS, NODE)


def test_the_certificate_is_the_last_subscription_and_none_of_the_topics() -> None:
    made = sign_profile(
        KEY.sign,
        node=NODE,
        time_s=NOW_S,
        address=address("1.2.3.4"),
        interests=BOTH,
        certificate=b"c" * 32,
    )
    assert made.record[:2] == b"\xe0\x03"
    assert made.record[110:143] == b"c" * 32 + b"\x00"
    read = decode_profile(made.record)
    assert read == made
    assert (read.certificate, read.interests, read.is_extended) == (b"c" * 32, BOTH, True)
    check_signature(read)


def test_a_record_as_the_reference_makes_it_offers_nothing_more() -> None:
    made = sign_profile(
        KEY.sign,
        node=NODE,
        time_s=NOW_S,
        address=address("1.2.3.4"),
        interests=BOTH,
        is_extended=False,
    )
    assert made.record[:2] == b"\x80\x02"
    read = decode_profile(made.record)
    assert (read.certificate, read.is_extended) == (b"", False)


def test_a_certificate_that_is_named_and_missing_is_refused() -> None:
    made = signed(address("1.2.3.4"), interests=())
    record = b"\xe0" + made.record[1:]
    with pytest.raises(ProfileInvalid, match="lacks"):
        decode_profile(record)


@pytest.mark.parametrize("bit", [13, 14])
def test_nobody_else_can_say_that_a_node_offers_less(bit: int) -> None:
    made = sign_profile(
        KEY.sign,
        node=NODE,
        time_s=NOW_S,
        address=address("1.2.3.4"),
        interests=BOTH,
        certificate=b"c" * 32,
    )
    info = int.from_bytes(made.record[:2], "big") ^ (1 << bit)
    altered = decode_profile(info.to_bytes(2, "big") + made.record[2:])
    with pytest.raises(ProfileInvalid, match="signature"):
        check_signature(altered)
