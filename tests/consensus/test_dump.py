"""What is kept of consensus messages: bounded, both ways, and nothing of other topics."""

import asyncio

import pytest
from tests.duties.duty_world import Bus, FixedClock

from tetrarch.consensus.dump import (
    ENTRY_COST_BYTES,
    FORMAT,
    Entry,
    MessageDump,
    RecordingBus,
    decode_dump,
    encode_dump,
)
from tetrarch.errors import InputInvalid
from tetrarch.network.ports import Topic


def dump_of(size_bytes_max: int = 10_000) -> MessageDump:
    return MessageDump(
        cluster_hash="abcdef0", node_count=4, own_index=1, size_bytes_max=size_bytes_max
    )


def test_oldest_make_room_and_are_counted() -> None:
    dump = dump_of(3 * (ENTRY_COST_BYTES + 100))
    for number in range(5):
        dump.add(Entry(float(number), False, 2, bytes(100)))
    assert [entry.at_s for entry in dump.snapshot().entries] == [2.0, 3.0, 4.0]
    assert dump.snapshot().dropped == 2
    dump.add(Entry(9.0, False, 2, bytes(100_000)))
    assert dump.snapshot().entries == ()
    assert dump.size_bytes == 0


def test_both_ways_are_kept_and_other_topics_are_not() -> None:
    bus, dump = Bus(), dump_of()
    recording = RecordingBus(bus, dump, FixedClock(5.0))
    heard: list[bytes] = []

    async def handler(_peer: int, payload: bytes) -> None:
        heard.append(payload)

    recording.subscribe(Topic.CONSENSUS, handler)
    recording.broadcast(Topic.CONSENSUS, b"all")
    recording.send(2, Topic.CONSENSUS, b"one")
    recording.broadcast(Topic.PARTIAL_SIGNATURES, b"other")
    asyncio.run(bus._handlers[Topic.CONSENSUS](3, b"in"))
    assert heard == [b"in"]
    assert [payload for _, _, payload in bus.sent] == [b"all", b"one", b"other"]
    assert dump.snapshot().entries == (
        Entry(5.0, True, None, b"all"),
        Entry(5.0, True, 2, b"one"),
        Entry(5.0, False, 3, b"in"),
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"format": "another"}',
        encode_dump(dump_of().snapshot()).replace(FORMAT.encode(), b"tetrarch consensus dump 9"),
        encode_dump(dump_of().snapshot()).replace(b'"own_index":1', b'"own_index":4'),
        encode_dump(dump_of().snapshot()).replace(b'"node_count":4', b'"node_count":0'),
    ],
)
def test_file_that_is_no_dump_is_refused(data: bytes) -> None:
    with pytest.raises(InputInvalid):
        decode_dump(data)
