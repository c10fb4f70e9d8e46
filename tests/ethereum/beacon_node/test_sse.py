"""The event stream's parser: every chunking gives the same events, and nothing grows for ever."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.beacon_node.sse import EventParser, RawEvent

STREAM = (
    b": comment\r\n\r\nevent: head\ndata: {}\n\n"
    b"event:block\rdata:one\rdata: two\r\r"
    b"id: 7\r\nretry: 3\r\ndata\r\n\r\n"
    b"event: nothing\n\n"
    b"data: \xe2\x82\xac\n\n"
    b"data: unfinished"
)
EVENTS = [
    RawEvent("head", "{}"),
    RawEvent("block", "one\ntwo"),
    RawEvent("message", ""),
    RawEvent("message", "€"),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_any_chunking_gives_the_same_events(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    parser = EventParser()
    found: list[RawEvent] = []
    for start, end in pairwise(edges):
        found += parser.feed(STREAM[start:end])
    assert found == EVENTS


def test_one_byte_at_a_time() -> None:
    parser = EventParser()
    found = [event for byte in STREAM for event in parser.feed(bytes([byte]))]
    assert found == EVENTS


@pytest.mark.parametrize("piece", [b"x" * 10, b"data: 12345\n", b"\xff: a\n"])
def test_endless_event_and_bad_text_are_refused(piece: bytes) -> None:
    parser = EventParser(size_max=100)

    def feed() -> None:
        for _ in range(100):
            parser.feed(piece)

    with pytest.raises(InputInvalid):
        feed()


def test_many_small_events_pass_a_small_limit() -> None:
    parser = EventParser(size_max=20)
    assert len(parser.feed(b"data: 1\n\n" * 1000)) == 1000
