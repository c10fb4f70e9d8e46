"""A TPM's structures: what is written is read again, and nothing else is read at all."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrarch.attestation.tpm_structures import (
    ATTESTING,
    NAME_SIZE_BYTES,
    REGISTERS,
    Attribute,
    Malformed,
    PublicKey,
    Quote,
    Reader,
    encode_selection,
    name_of,
    public_area,
    read_selection,
    read_signature,
)
from tetrarch.errors import InvariantBroken


@given(st.sets(st.sampled_from(list(REGISTERS))))
def test_selections_are_read_as_they_were_written(registers: set[int]) -> None:
    wanted = tuple(sorted(registers))
    encoded = encode_selection(wanted)
    assert len(encoded) == 10
    assert read_selection(Reader(encoded)) == wanted


def test_selection_is_the_bitmap_of_the_specification() -> None:
    assert encode_selection((0, 9, 23)).hex() == "00000001000b03010280"
    with pytest.raises(InvariantBroken):
        encode_selection((24,))


def test_public_key_is_read_as_it_was_written() -> None:
    encoded = public_area(ATTESTING, b"x" * 32, b"y" * 32)
    key = PublicKey.read(encoded)
    assert (key.attributes, key.x, key.y) == (ATTESTING, b"x" * 32, b"y" * 32)
    assert key.point == b"\4" + b"x" * 32 + b"y" * 32
    assert key.name == name_of(encoded) == b"\0\x0b" + hashlib.sha256(encoded).digest()
    assert len(key.name) == NAME_SIZE_BYTES


def test_attributes_are_those_of_the_specification() -> None:
    """Part 2, table "TPMA_OBJECT": fixedTPM, fixedParent, sensitiveDataOrigin, and so on."""
    assert ATTESTING.value == 0x00050472
    assert Attribute.DECRYPT.value == 0x00020000


@given(st.binary(max_size=200))
def test_noise_is_malformed_and_no_more(noise: bytes) -> None:
    for read in (PublicKey.read, Quote.read, read_signature, lambda d: read_selection(Reader(d))):
        with pytest.raises(Malformed):
            read(noise)


@given(st.binary(max_size=80), st.integers(0, 80))
def test_reader_gives_what_is_there_and_never_less(data: bytes, size: int) -> None:
    reader = Reader(data)
    if size > len(data):
        with pytest.raises(Malformed, match="too short"):
            reader.take(size)
        return
    assert reader.take(size) + reader.rest() == data
    reader.end()
