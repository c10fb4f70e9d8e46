"""What is written is read, to the last byte; what is not there is an error that says where."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrarch.ledger.wire import U8_MAX, U32_MAX, U64_MAX, BytesInvalid, Reader, Writer


@given(st.integers(0, U8_MAX), st.integers(0, U32_MAX), st.integers(0, U64_MAX), st.binary())
def test_what_is_written_is_read(a: int, b: int, c: int, data: bytes) -> None:
    written = Writer().u8(a).u32(b).u64(c).raw(b"xy").sized(data).data
    assert len(written) == 1 + 4 + 8 + 2 + 4 + len(data)
    reader = Reader(written, what="test")
    assert (reader.u8(), reader.u32(), reader.u64(), reader.raw(2)) == (a, b, c, b"xy")
    assert reader.sized(highest=len(data)) == data
    assert reader.place == len(written)
    reader.end()


@pytest.mark.parametrize("data", [b"", b"\0\0\0"])
def test_too_little_is_told(data: bytes) -> None:
    with pytest.raises(BytesInvalid, match="read test") as caught:
        Reader(data, what="test").u32()
    assert caught.value.fields == {"got_bytes": len(data), "needed": 4}


def test_too_much_is_told() -> None:
    reader = Reader(b"abc", what="test")
    reader.raw(1)
    with pytest.raises(BytesInvalid, match="bytes_left=2"):
        reader.end()


@pytest.mark.parametrize("value", [0, 11])
@pytest.mark.parametrize(("name", "size_bytes"), [("u8", 1), ("u32", 4), ("u64", 8)])
def test_bounds_hold(value: int, name: str, size_bytes: int) -> None:
    reader = Reader(value.to_bytes(size_bytes, "big"), what="test")
    with pytest.raises(BytesInvalid, match="lowest=1"):
        getattr(reader, name)(lowest=1, highest=10)


def test_a_size_is_bounded_before_it_is_read() -> None:
    with pytest.raises(BytesInvalid, match="highest=3"):
        Reader(Writer().sized(b"four").data, what="test").sized(highest=3)


def test_a_number_too_large_is_not_written() -> None:
    with pytest.raises(OverflowError):
        Writer().u8(256)
