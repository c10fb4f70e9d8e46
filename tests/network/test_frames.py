"""Goal: every byte string is either one frame or a PeerFault; nothing else can come out."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrarch.errors import PeerFault
from tetrarch.network.frames import (
    Batch,
    Hello,
    Ping,
    Pong,
    decode_frame,
    encode_batch,
    encode_hello,
    encode_ping,
    encode_pong,
)

messages = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=64)), min_size=1, max_size=20)
printable = st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126), max_size=32)
hellos = st.builds(
    Hello,
    protocol=st.integers(0, 2**16 - 1),
    lock_hash=st.binary(min_size=32, max_size=32),
    index=st.integers(0, 2**16 - 1),
    instance=st.binary(min_size=8, max_size=8),
    builder_api=st.booleans(),
    version=printable,
    nickname=printable,
    protocol_min=st.just(0),
    features=st.lists(printable, max_size=16).map(tuple),
)


@given(messages)
def test_batch_comes_back(batch: list[tuple[int, bytes]]) -> None:
    assert decode_frame(encode_batch(batch)) == Batch(tuple(batch))


@given(hellos)
def test_hello_comes_back(hello: Hello) -> None:
    assert decode_frame(encode_hello(hello)) == hello


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_ping_and_pong_come_back(sequence: int, wall_us: int) -> None:
    assert decode_frame(encode_ping(sequence)) == Ping(sequence)
    assert decode_frame(encode_pong(sequence, wall_us)) == Pong(sequence, wall_us)


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(lambda b: b"\x01" + b)))
def test_any_bytes_are_a_frame_or_a_fault(data: bytes) -> None:
    try:
        frame = decode_frame(data)
    except PeerFault:
        return
    assert isinstance(frame, Hello | Batch | Ping | Pong)


@given(messages, st.integers(min_value=1))
def test_cut_batch_is_a_fault(batch: list[tuple[int, bytes]], cut: int) -> None:
    whole = encode_batch(batch)
    boundaries = {len(encode_batch(batch[:count])) for count in range(1, len(batch))}
    size = cut % len(whole)
    if size in boundaries:
        return
    with pytest.raises(PeerFault):
        decode_frame(whole[:size])


def test_layout_is_pinned() -> None:
    """Other nodes run other versions: these bytes do not change without a new version."""
    assert encode_batch([(1, b"ab"), (2, b"")]).hex() == "02010000000261620200000000"
    assert encode_ping(7).hex() == "030000000000000007"
    assert encode_pong(7, 9).hex() == "0400000000000000070000000000000009"
    hello = Hello(
        protocol=1,
        lock_hash=bytes(32),
        index=2,
        instance=bytes(8),
        builder_api=True,
        version="v",
        nickname="n",
        protocol_min=1,
        features=("f",),
    )
    assert encode_hello(hello).hex() == (
        "019901c420" + "00" * 32 + "02c408" + "00" * 8 + "c3a176a16e0191a166"
    )


def test_hello_of_before_versions_were_ranges_is_read() -> None:
    hello = decode_frame(
        bytes.fromhex("019703c420" + "00" * 32 + "02c408" + "00" * 8 + "c3a176a16e")
    )
    assert isinstance(hello, Hello)
    assert (hello.protocols, hello.features) == ((3, 3), ())


def test_hello_with_fields_of_a_later_version_is_read() -> None:
    hello = bytes.fromhex("019a01c420" + "00" * 32 + "02c408" + "00" * 8 + "c3a176a16e019005")
    assert isinstance(decode_frame(hello), Hello)


@pytest.mark.parametrize(
    "wrong",
    [
        {"protocol_min": 2},
        {"features": ("line\nbreak",)},
        {"features": ("f" * 33,)},
        {"features": ("f",) * 17},
    ],
    ids=["range", "unprintable", "long", "many"],
)
def test_hello_that_breaks_a_rule_is_a_fault(wrong: dict[str, Any]) -> None:
    right = Hello(
        protocol=1,
        lock_hash=bytes(32),
        index=2,
        instance=bytes(8),
        builder_api=True,
        version="v",
        nickname="n",
    )
    with pytest.raises(PeerFault):
        decode_frame(encode_hello(msgspec.structs.replace(right, **wrong)))
