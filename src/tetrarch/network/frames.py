"""The bytes of the mesh: hello, batch, ping and pong. Pure.

A gRPC message is one frame: one byte of kind, then its body. Integers are big-endian.

=====  =====  =========================================================================
kind   name   body
=====  =====  =========================================================================
1      hello  msgpack array, see ``Hello``; first frame of each side, at most 1536 bytes
2      batch  one or more of: topic u8, size u32, ``size`` bytes of payload
3      ping   sequence u64
4      pong   sequence u64 of the ping, the responder's wall clock u64 in us
=====  =====  =========================================================================

A batch carries whatever was queued when the stream became free: gRPC costs about 100 us of CPU
per message whatever its size, a payload within a batch about 1 us.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import msgspec

from tetrarch.decoding import UNDECODABLE
from tetrarch.network.faults import FrameInvalid, FrameOversize
from tetrarch.network.versions import FEATURE_SIZE_BYTES_MAX, FEATURES_MAX

FRAME_SIZE_MAX = 16 * 1024 * 1024
BATCH_MESSAGES_MAX = 4096
BATCH_ENTRY_OVERHEAD = 5  # bytes: topic and size
PAYLOAD_SIZE_MAX = FRAME_SIZE_MAX - 1 - BATCH_ENTRY_OVERHEAD
HELLO_SIZE_MAX = 1536  # the longest texts, of four bytes a character, fit
LOCK_HASH_SIZE_BYTES = 32
INSTANCE_SIZE_BYTES = 8

_HELLO, _BATCH, _PING, _PONG = 1, 2, 3, 4
_BATCH_KIND = bytes([_BATCH])
_ENTRY = struct.Struct(">BI")
_PING_LAYOUT = struct.Struct(">BQ")
_PONG_LAYOUT = struct.Struct(">BQQ")


class Hello(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Who speaks. Fields are in wire order; later versions may append, receivers ignore more.

    It carries no signature: the TLS certificate proves the index, hello only must not
    contradict it.
    """

    protocol: Annotated[int, msgspec.Meta(ge=0, lt=2**16)]  # the newest that it speaks
    lock_hash: Annotated[
        bytes, msgspec.Meta(min_length=LOCK_HASH_SIZE_BYTES, max_length=LOCK_HASH_SIZE_BYTES)
    ]
    index: Annotated[int, msgspec.Meta(ge=0, lt=2**16)]
    instance: Annotated[  # random per start of a process: tells a restart from a reconnect
        bytes, msgspec.Meta(min_length=INSTANCE_SIZE_BYTES, max_length=INSTANCE_SIZE_BYTES)
    ]
    builder_api: bool
    version: Annotated[str, msgspec.Meta(max_length=64)]
    nickname: Annotated[str, msgspec.Meta(max_length=32)]
    protocol_min: Annotated[int, msgspec.Meta(ge=0, lt=2**16)] = 0  # 0: as ``protocol``
    features: Annotated[
        tuple[Annotated[str, msgspec.Meta(max_length=FEATURE_SIZE_BYTES_MAX)], ...],
        msgspec.Meta(max_length=FEATURES_MAX),
    ] = ()

    @property
    def protocols(self) -> tuple[int, int]:
        """The oldest and the newest version of the protocol that it speaks."""
        return self.protocol_min or self.protocol, self.protocol


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages in the order in which they were sent. A topic is a raw number here."""

    messages: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Ping:
    """Asks for a pong with the same sequence."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Pong:
    """Answers a ping; ``wall_us`` is the responder's clock, microseconds since the epoch."""

    sequence: int
    wall_us: int


Frame: TypeAlias = Hello | Batch | Ping | Pong

_hello_decoder = msgspec.msgpack.Decoder(Hello)


def encode_hello(hello: Hello) -> bytes:
    """One hello frame."""
    return bytes([_HELLO]) + msgspec.msgpack.encode(hello)


def encode_batch(messages: Iterable[tuple[int, bytes]]) -> bytes:
    """One batch frame of (topic, payload). The caller keeps to the two maxima.

    Cost: one copy of each payload.
    """
    parts = [_BATCH_KIND]
    pack = _ENTRY.pack
    for topic, payload in messages:
        parts.append(pack(topic, len(payload)))
        parts.append(payload)
    return b"".join(parts)


def encode_ping(sequence: int) -> bytes:
    """One ping frame, 9 bytes."""
    return _PING_LAYOUT.pack(_PING, sequence)


def encode_pong(sequence: int, wall_us: int) -> bytes:
    """One pong frame, 17 bytes."""
    return _PONG_LAYOUT.pack(_PONG, sequence, wall_us)


def decode_frame(data: bytes) -> Frame:
    """The frame that ``data`` holds, nothing before or behind it.

    Raises:
        FrameOversize: above ``FRAME_SIZE_MAX`` or ``BATCH_MESSAGES_MAX``.
        FrameInvalid: not a frame.
    """
    if len(data) > FRAME_SIZE_MAX:
        raise FrameOversize("decode frame", size_bytes=len(data), max_bytes=FRAME_SIZE_MAX)
    kind = data[0] if data else 0
    if kind == _BATCH:
        return _decode_batch(data)
    if kind == _PING and len(data) == _PING_LAYOUT.size:
        return Ping(_PING_LAYOUT.unpack(data)[1])
    if kind == _PONG and len(data) == _PONG_LAYOUT.size:
        _, sequence, wall_us = _PONG_LAYOUT.unpack(data)
        return Pong(sequence, wall_us)
    if kind == _HELLO:
        return _decode_hello(data)
    raise FrameInvalid("decode frame", kind=kind, size_bytes=len(data))


def _decode_batch(data: bytes) -> Batch:
    messages = []
    offset, end = 1, len(data)
    unpack = _ENTRY.unpack_from
    while offset < end:
        if end - offset < BATCH_ENTRY_OVERHEAD:
            raise FrameInvalid("decode batch", reason="cut off within an entry's head")
        topic, size = unpack(data, offset)
        offset += BATCH_ENTRY_OVERHEAD
        if size > end - offset:
            raise FrameInvalid("decode batch", reason="an entry claims more bytes than there are")
        messages.append((topic, data[offset : offset + size]))
        offset += size
        if len(messages) > BATCH_MESSAGES_MAX:
            raise FrameOversize("decode batch", max_messages=BATCH_MESSAGES_MAX)
    if not messages:
        raise FrameInvalid("decode batch", reason="empty")
    return Batch(tuple(messages))


def _decode_hello(data: bytes) -> Hello:
    if len(data) > HELLO_SIZE_MAX:
        raise FrameOversize("decode hello", size_bytes=len(data), max_bytes=HELLO_SIZE_MAX)
    try:
        hello = _hello_decoder.decode(data[1:])
    except UNDECODABLE as error:
        raise FrameInvalid("decode hello", reason=str(error)) from None
    if hello.protocol_min > hello.protocol:
        raise FrameInvalid("decode hello", reason="the oldest version is newer than the newest")
    # These go into logs and metric labels.
    texts = (hello.version, hello.nickname, *hello.features)
    if not all(text.isprintable() for text in texts):
        raise FrameInvalid("decode hello", reason="unprintable version, nickname or feature")
    return hello
