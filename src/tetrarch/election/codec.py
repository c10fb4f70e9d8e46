"""Bytes of an election: between members, between a machine and its enclave, and at rest. Pure.

One byte, the version, then MessagePack of a value: an array that begins with the name of its
kind and holds its fields in order. Bounds are those of the values' types. What is *signed* is never these
bytes (``statements``), so two encodings of one value are no harm.
"""

from typing import Any, TypeAlias, TypeVar, cast

import msgspec

from tetrarch.decoding import UNDECODABLE
from tetrarch.election.certificates import LeaderCertificate
from tetrarch.election.hello import Hello
from tetrarch.election.messages import (
    Heartbeat,
    LeaderSignature,
    Message,
    SeedShare,
    Suggestion,
)
from tetrarch.election.promises import Denied
from tetrarch.election.requests import Answer, Drawn, Elected, Request, Standing
from tetrarch.election.statements import (
    Grant,
    Receipt,
    Reservation,
    Resignation,
    Signed,
    Vote,
)
from tetrarch.election.voter import Sealed
from tetrarch.election.witnesses import Kept
from tetrarch.errors import InputInvalid, PeerFault

VERSION = 1
MESSAGE_MAX_BYTES = 256 << 10  # a receipt of 256 members that were all restored has some 100 kB
REQUEST_MAX_BYTES = 24 << 20  # such receipts of a recovery quorum of 256

_AnyStatement: TypeAlias = Vote | Reservation | Receipt | Grant | Resignation
_AnyMessage: TypeAlias = (
    Heartbeat
    | Suggestion
    | LeaderSignature
    | SeedShare
    | LeaderCertificate
    | Kept
    | Signed[_AnyStatement]
)
_AnyAnswer: TypeAlias = (
    Signed[Vote | Receipt | Grant | Resignation] | Kept | Drawn | Elected | Standing | Denied
)

V = TypeVar("V")


class MessageInvalid(PeerFault):
    """A member's bytes are no message of an election."""

    code = "election_message_invalid"


class BytesInvalid(InputInvalid):
    """Bytes between a machine and its enclave, or at rest, that are none of theirs."""

    code = "election_bytes_invalid"


_ENCODER = msgspec.msgpack.Encoder()
_MESSAGES: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(_AnyMessage)
_REQUESTS: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(Request)
_ANSWERS: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(_AnyAnswer)
_SEALED = msgspec.msgpack.Decoder(Sealed)
_HELLOS = msgspec.msgpack.Decoder(Signed[Hello])


def encode(value: Message | Request | Answer | Sealed | Signed[Hello]) -> bytes:
    """The bytes of any value."""
    return bytes((VERSION,)) + _ENCODER.encode(value)


def decode_message(payload: bytes) -> Message:
    """What a member sent.

    Raises:
        MessageInvalid: it is no message, or larger than one may be.
    """
    try:
        return cast("Message", _decode(_MESSAGES, payload, MESSAGE_MAX_BYTES))
    except BytesInvalid as error:
        raise MessageInvalid("read election message", **error.fields) from None


def decode_request(payload: bytes) -> Request:
    """What a machine asks. Raises BytesInvalid."""
    return cast("Request", _decode(_REQUESTS, payload, REQUEST_MAX_BYTES))


def decode_answer(payload: bytes) -> Answer:
    """What an enclave answers. Raises BytesInvalid."""
    return cast("Answer", _decode(_ANSWERS, payload, REQUEST_MAX_BYTES))


def decode_hello(payload: bytes) -> Signed[Hello]:
    """Who a member says it is. Raises MessageInvalid."""
    try:
        return _decode(_HELLOS, payload, MESSAGE_MAX_BYTES)
    except BytesInvalid as error:
        raise MessageInvalid("read hello", **error.fields) from None


def decode_sealed(payload: bytes) -> Sealed:
    """What an enclave kept. Raises BytesInvalid."""
    return _decode(_SEALED, payload, REQUEST_MAX_BYTES)


def _decode(decoder: msgspec.msgpack.Decoder[V], payload: bytes, size_max: int) -> V:
    if len(payload) > size_max:
        raise BytesInvalid("decode", bytes=len(payload), maximum=size_max)
    if payload[:1] != bytes((VERSION,)):
        raise BytesInvalid("decode", version=payload[:1].hex() or "none", expected=VERSION)
    try:
        return decoder.decode(memoryview(payload)[1:])
    except UNDECODABLE as error:
        raise BytesInvalid("decode", reason=error) from None
