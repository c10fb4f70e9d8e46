"""What comes from another node is bounded, and becomes a value or one clear error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.network.overlay.support import node_id

from tetrarch.errors import InvariantBroken
from tetrarch.network.overlay.addresses import Address, to_ip
from tetrarch.network.overlay.messages import (
    IDS_MAX,
    Ids,
    Item,
    OverlayMessageInvalid,
    Reach,
    Records,
    Status,
    decode_gossip,
    decode_ids,
    decode_item,
    decode_reach,
    decode_reached,
    decode_status,
    encode_gossip,
    encode_ids,
    encode_item,
    encode_reach,
    encode_reached,
    encode_status,
)
from tetrarch.network.overlay.profile import BLOCKS, PROFILE_MAX_BYTES
from tetrarch.network.overlay.spreading import ItemId
from tetrarch.network.overlay.topology import PROFILES_MAX

ID = ItemId(node_id(7))
DECODERS = (decode_gossip, decode_ids, decode_item, decode_status)
RECORDS = st.lists(st.binary(max_size=PROFILE_MAX_BYTES), max_size=20).map(tuple)


@given(st.binary(max_size=PROFILE_MAX_BYTES), RECORDS, RECORDS)
def test_gossip_is_read_as_it_was_written(own, swapped, others) -> None:
    records = Records(own, swapped, others)
    assert decode_gossip(encode_gossip(records)) == records


@given(st.integers(1, IDS_MAX))
def test_ids_are_read_as_they_were_written(count: int) -> None:
    ids = Ids(BLOCKS, tuple(ItemId(node_id(number)) for number in range(count)))
    assert decode_ids(encode_ids(ids)) == ids


def test_items_and_statuses_are_read_as_they_were_written() -> None:
    item, status = Item(BLOCKS, b"content"), Status(ID, 2**64 - 1)
    assert decode_item(encode_item(item)) == item
    assert decode_status(encode_status(status)) == status


@pytest.mark.parametrize(
    ("decode", "payload"),
    [
        (decode_gossip, b""),
        (decode_gossip, b"\x93\xc4\x00\x90"),
        (decode_gossip, encode_gossip(Records(bytes(PROFILE_MAX_BYTES + 1), (), ()))),
        (decode_gossip, encode_gossip(Records(b"", (b"",) * PROFILES_MAX, ()))),
        (decode_gossip, encode_gossip(Records(b"", (b"",) * (PROFILES_MAX + 1), ()))),
        (decode_gossip, b"\x94\xc4\x00\x90\x90\x90"),
        (decode_gossip, b"\x93\x01\x90\x90"),
        (decode_ids, b""),
        (decode_ids, BLOCKS),
        (decode_ids, BLOCKS + ID + b"x"),
        (decode_ids, BLOCKS + ID * (IDS_MAX + 1)),
        (decode_item, b""),
        (decode_item, BLOCKS),
        (decode_status, bytes(39)),
        (decode_status, bytes(41)),
    ],
)
def test_what_is_none_is_refused(decode, payload: bytes) -> None:
    with pytest.raises(OverlayMessageInvalid):
        decode(payload)


def test_an_item_is_no_larger_than_the_chain_allows() -> None:
    payload = encode_item(Item(BLOCKS, bytes(100)))
    assert decode_item(payload, content_max_bytes=100).content == bytes(100)
    with pytest.raises(OverlayMessageInvalid, match="maximum=99"):
        decode_item(payload, content_max_bytes=99)


@given(st.binary(max_size=3000))
def test_noise_breaks_nothing(noise: bytes) -> None:
    for decode in DECODERS:
        try:
            decode(noise)
        except OverlayMessageInvalid:
            continue


def test_long_lists_are_split_by_the_caller() -> None:
    for count in (0, IDS_MAX + 1):
        with pytest.raises(InvariantBroken):
            encode_ids(Ids(BLOCKS, (ID,) * count))


@given(st.integers(0, 65535), st.sampled_from([b"", b"c" * 32]))
def test_questions_where_we_are_come_back_as_they_were(port: int, certificate: bytes) -> None:
    reach = Reach(port, certificate)
    assert decode_reach(encode_reach(reach)) == reach


@given(st.ip_addresses(), st.integers(0, 65535))
def test_answers_where_we_are_come_back_as_they_were(ip, port: int) -> None:
    where = Address(to_ip(ip.packed), port)
    assert decode_reached(encode_reached(where)) == where


@given(st.binary(max_size=64))
def test_what_is_no_question_and_no_answer_is_a_fault_of_its_sender(payload: bytes) -> None:
    for decode, sizes in ((decode_reach, (2, 34)), (decode_reached, (6, 18))):
        if len(payload) in sizes:
            decode(payload)
            continue
        with pytest.raises(OverlayMessageInvalid):
            decode(payload)
