"""Headers are the reference's, to the byte; what is no header is refused. Frozen in ``tests/vectors``."""

import json
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrarch.ledger.dates import NUMBER_MAX, BlockDate
from tetrarch.ledger.headers import (
    NO_PARENT,
    BftProof,
    BlockId,
    Header,
    HeaderInvalid,
    PoolId,
    PraosProof,
    Proof,
    Version,
    decode_header,
    encode_header,
    read_header,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/headers.json").read_text())
FIRST = Header(
    content_size_bytes=0,
    date=BlockDate(0, 0),
    chain_length=0,
    content_hash=blake2b(b"", digest_size=32).digest(),
    parent=NO_PARENT,
)
BFT = replace(
    FIRST,
    content_size_bytes=0x01020304,
    date=BlockDate(0x05060708, 0x090A0B0C),
    chain_length=0x0D0E0F10,
    content_hash=bytes(range(32)),
    parent=BlockId(bytes(range(32, 64))),
    proof=BftProof(b"L" * 32, b"S" * 64),
)
PRAOS = replace(BFT, proof=PraosProof(PoolId(b"P" * 32), b"V" * 96, b"K" * 484))
HEADERS = {"first": FIRST, "bft": BFT, "praos": PRAOS}

u32 = st.integers(0, NUMBER_MAX)
bytes32 = st.binary(min_size=32, max_size=32)
proofs: st.SearchStrategy[Proof] = st.one_of(
    st.none(),
    st.builds(BftProof, bytes32, st.binary(min_size=64, max_size=64)),
    st.builds(
        PraosProof,
        bytes32.map(PoolId),
        st.binary(min_size=96, max_size=96),
        st.binary(min_size=484, max_size=484),
    ),
)
headers = st.builds(
    Header,
    content_size_bytes=u32,
    date=st.builds(BlockDate, u32, u32),
    chain_length=u32,
    content_hash=bytes32,
    parent=bytes32.map(BlockId),
    proof=proofs,
)


@pytest.mark.parametrize("name", HEADERS)
def test_frozen_bytes(name: str) -> None:
    header, vector = HEADERS[name], VECTORS[name]
    assert header.data.hex() == vector["data"]
    assert header.id.hex() == vector["id"]
    assert encode_header(header).hex() == vector["version"] + vector["data"]


@pytest.mark.parametrize(
    ("header", "size_bytes", "signed_bytes", "version"),
    [(FIRST, 81, 81, 0), (BFT, 177, 113, 1), (PRAOS, 693, 209, 2)],
)
def test_sizes_are_the_references(
    header: Header, size_bytes: int, signed_bytes: int, version: int
) -> None:
    assert (len(header.data), len(header.signed)) == (size_bytes, signed_bytes)
    assert header.version == header.data[0] == version
    assert header.data.startswith(header.signed)


def test_fields_stand_where_the_reference_has_them() -> None:
    data = PRAOS.data
    assert data[1:17] == bytes(range(1, 17)), "content size, epoch, slot, chain length"
    assert data[17:81] == bytes(range(64)), "content hash, parent"
    assert (data[81:113], data[113:209], data[209:]) == (b"P" * 32, b"V" * 96, b"K" * 484)
    assert (BFT.data[81:113], BFT.data[113:]) == (b"L" * 32, b"S" * 64)


@given(headers)
def test_what_is_written_is_read(header: Header) -> None:
    assert decode_header(encode_header(header)) == header
    assert read_header(encode_header(header) + b"more") == (header, 1 + len(header.data))


@given(st.binary(max_size=800))
def test_noise_is_a_header_or_refused(data: bytes) -> None:
    try:
        header = decode_header(data)
    except HeaderInvalid:
        return
    assert encode_header(header) == data


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_what_is_cut_long_or_of_two_versions_is_refused(header: Header) -> None:
    data = encode_header(header)
    for broken in (b"", data[:1], data[:-1], data + b"\0", b"\3\3" + data[2:], b"\0\1" + data[2:]):
        with pytest.raises(HeaderInvalid):
            decode_header(broken)


@given(headers, st.data())
def test_every_bit_is_in_the_id(header: Header, data: st.DataObject) -> None:
    place = data.draw(st.integers(1, len(header.data) - 1))
    changed = bytearray(encode_header(header))
    changed[1 + place] ^= 1 << data.draw(st.integers(0, 7))
    assert decode_header(bytes(changed)).id != header.id


def test_versions_are_told_by_their_proofs() -> None:
    assert [each.version for each in HEADERS.values()] == list(Version)
