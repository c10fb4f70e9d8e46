"""What a node tells of a state has one form, and nothing in it is free."""

from hashlib import blake2b

import pytest
from tests.ledger.chain_maker import bft_block
from tests.ledger.state_world import ROOT

from tetrarch.errors import PeerFault
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.headers import BlockId
from tetrarch.ledger.state_chunks import ChunkId
from tetrarch.ledger.state_parts import (
    Contents,
    decode_block_part,
    decode_contents,
    encode_block_part,
    encode_contents,
    is_contents,
)

A, B, C, D = (bytes([number]) * 32 for number in range(1, 5))
CONTENTS = Contents(7, BlockId(A), B, (C, D), (ChunkId(D),))


def test_contents_are_read_as_they_were_written() -> None:
    data = encode_contents(CONTENTS)
    assert data == (b"\1" + (7).to_bytes(8, "big") + A + B + b"\0\0\0\2" + C + D + b"\0\0\0\1" + D)
    assert is_contents(data)
    assert decode_contents(data) == CONTENTS


def test_a_state_is_its_chunks() -> None:
    assert CONTENTS.state == blake2b(D, digest_size=32).digest()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\1",
        b"\2" + encode_contents(CONTENTS)[1:],
        encode_contents(CONTENTS) + b"\0",
        encode_contents(CONTENTS)[:-1],
        encode_contents(Contents(7, BlockId(A), B, (), (ChunkId(D),))),
        encode_contents(Contents(7, BlockId(A), B, (C,), ())),
        encode_contents(CONTENTS)[:73] + b"\xff" * 4 + C,
    ],
    ids=["none", "cut", "another", "long", "short", "no proof", "no chunk", "too many"],
)
def test_what_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(PeerFault):
        decode_contents(data)


def test_a_block_is_a_part() -> None:
    block = bft_block(ROOT, BlockDate(0, 1))
    data = encode_block_part(block)
    assert decode_block_part(data) == block
    for wrong in (b"", data[1:], b"\3" + data[1:], data[:-1]):
        with pytest.raises(PeerFault):
            decode_block_part(wrong)
