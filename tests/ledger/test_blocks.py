"""A block has one form, and the content that its header names."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.test_headers import FIRST

from tetrarch.ledger.blocks import (
    CONTENT_SIZE_BYTES_MAX,
    FRAGMENT_SIZE_BYTES_MAX,
    Block,
    BlockInvalid,
    Fragment,
    content_hash,
    decode_block,
    decode_content,
    encode_block,
    encode_content,
    fragment_id,
)
from tetrarch.ledger.headers import HeaderInvalid, encode_header


def block_of(*payloads: bytes) -> Block:
    fragments = tuple(map(Fragment, payloads))
    content = encode_content(fragments)
    header = replace(FIRST, content_size_bytes=len(content), content_hash=content_hash(content))
    return Block(header, fragments)


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_what_is_written_is_read(payloads: list[bytes]) -> None:
    block = block_of(*payloads)
    assert decode_block(encode_block(block)) == block


def test_a_fragment_stands_after_its_size() -> None:
    assert encode_content((Fragment(b"abc"), Fragment(b""))) == b"\0\0\0\3abc\0\0\0\0"


@given(st.lists(st.binary(max_size=40), max_size=5), st.data())
def test_no_changed_byte_is_taken(payloads: list[bytes], data: st.DataObject) -> None:
    encoded = bytearray(encode_block(block_of(*payloads)))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        block = decode_block(bytes(encoded))
    except (BlockInvalid, HeaderInvalid):
        return
    assert block.header != block_of(*payloads).header, "in the header only, and in its id"


def test_a_block_cut_or_long_is_refused() -> None:
    encoded = encode_block(block_of(b"one", b"two"))
    for broken in (encoded[:-1], encoded + b"\0", encoded[:90]):
        with pytest.raises(BlockInvalid):
            decode_block(broken)


def test_a_content_with_another_hash_is_refused() -> None:
    block = block_of(b"one")
    other = replace(block, fragments=(Fragment(b"two"),))
    with pytest.raises(BlockInvalid, match="another hash"):
        decode_block(encode_block(other))


@pytest.mark.parametrize("content", [b"\0", b"\0\0\0", b"\0\0\0\1", b"\0\0\0\3ab", b"\0\0\0\0\0"])
def test_a_fragment_that_ends_after_its_content_is_refused(content: bytes) -> None:
    with pytest.raises(BlockInvalid):
        decode_content(content)


def test_what_is_too_large_is_refused() -> None:
    content = encode_content((Fragment(bytes(FRAGMENT_SIZE_BYTES_MAX + 1)),))
    with pytest.raises(BlockInvalid, match="fragment_bytes"):
        decode_content(content)
    header = replace(FIRST, content_size_bytes=CONTENT_SIZE_BYTES_MAX + 1)
    with pytest.raises(BlockInvalid, match="maximum"):
        decode_block(encode_header(header))


def test_a_fragments_id_is_of_its_payload() -> None:
    assert fragment_id(Fragment(b"one")) != fragment_id(Fragment(b"two"))
    assert len(fragment_id(Fragment(b""))) == 32
