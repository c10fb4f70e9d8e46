"""Bytes of consensus messages: layout, hashing, signing. The one place that knows them.

Transport-free: a second wire (the reference's protobuf over libp2p) is a second ``Codec`` with
its own layout, digest and value hash; neither the machine nor the driver would change.

Everything is big-endian and of fixed size. What a node signs is the SHA-256 of::

    16  "tetrarch/qbft/1" and one zero byte
    32  cluster id (the hash of the cluster's lock): no replay into another cluster
    84  the message

and a message is::

     1  type            2  source (0-based)    32  value hash
     8  slot            4  round                4  prepared round
     1  duty type                              32  prepared value hash

One payload on the bus is a version byte and any number of items, each a kind byte, a 4-byte
length and a body, so that what a node has to say at one instant travels in one frame::

    ENVELOPE 1   message 84, signature 65, count 1, then count times (message 84, signature 65)
    VALUE 2      slot 8, duty type 1, the value's bytes
    WANT 3       slot 8, duty type 1, value hash 32
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol, TypeAlias

from tetrarch.consensus.messages import (
    HASH_SIZE_BYTES,
    NO_VALUE,
    SIGNATURE_SIZE_BYTES,
    Envelope,
    Message,
    MessageType,
    SignedMessage,
    ValueHash,
)
from tetrarch.duties.types import Duty, DutyType
from tetrarch.errors import InputInvalid, PeerFault, invariant

VALUE_SIZE_MAX_BYTES = 15 * 1024 * 1024  # with its proposal it fits into one frame of the mesh
ITEMS_MAX = 16
_VERSION = 1
_DOMAIN = b"tetrarch/qbft/1\0"
_MESSAGE = struct.Struct(">BQBHI32sI32s")
_DUTY = struct.Struct(">QB")
_ITEM = struct.Struct(">BI")
_ENVELOPE, _VALUE, _WANT = 1, 2, 3
_SIGNED_SIZE_BYTES = _MESSAGE.size + SIGNATURE_SIZE_BYTES
_VERIFIED_MAX = 4_096


class MessageInvalid(PeerFault):
    """A peer's bytes are no consensus message."""

    code = "consensus_message_invalid"


class SignatureWrong(PeerFault):
    """A consensus message is not signed by the node that it names as its source."""

    code = "consensus_signature_wrong"


@dataclass(frozen=True, slots=True)
class ValueItem:
    """The bytes of a value of ``duty``; its hash says which."""

    duty: Duty
    value: bytes


@dataclass(frozen=True, slots=True)
class WantItem:
    """The sender asks for the bytes of a value of ``duty``."""

    duty: Duty
    value_hash: ValueHash


Item: TypeAlias = Envelope | ValueItem | WantItem


class Identity(Protocol):
    """The node's own key, and the public keys of all nodes."""

    def sign(self, digest: bytes) -> bytes:
        """65 bytes over the 32-byte ``digest``; equal digests give equal bytes."""
        ...

    def verify(self, source: int, digest: bytes, signature: bytes) -> bool:
        """Whether node ``source`` (0-based) made ``signature``. Never raises."""
        ...


def hash_value(value: bytes) -> ValueHash:
    """The 32-byte name of a value: its SHA-256. Cost: 20 us for 30 kB."""
    return ValueHash(sha256(value).digest())


class Codec:
    """Turns messages into bytes and back, signs own ones and checks those of others.

    A signature that was found right is remembered (the newest ``_VERIFIED_MAX``), so that the
    same message inside a later justification costs a look-up.
    """

    def __init__(self, *, identity: Identity, cluster_id: bytes, node_count: int) -> None:
        invariant(len(cluster_id) == HASH_SIZE_BYTES, "a cluster id is a 32-byte hash")
        self._identity = identity
        self._prefix = _DOMAIN + cluster_id
        self._node_count = node_count
        self._parts_max = 2 * node_count
        self._verified: dict[SignedMessage, None] = {}

    # Signing

    def digest(self, message: Message) -> bytes:
        """The 32 bytes that ``message``'s source signs."""
        return sha256(self._prefix + _message_bytes(message)).digest()

    def sign(self, message: Message) -> SignedMessage:
        """Sign an own message. Cost: about 50 us."""
        signed = SignedMessage(message, self._identity.sign(self.digest(message)))
        self._remember(signed)
        return signed

    def check(self, envelope: Envelope) -> None:
        """Verify the signatures of a message and of what justifies it.

        Raises:
            SignatureWrong: one does not verify; blame who sent the envelope.

        Cost: about 65 us for each signature not seen before.
        """
        self._check(envelope.signed)
        for part in envelope.justification:
            self._check(part)

    def _check(self, signed: SignedMessage) -> None:
        if signed in self._verified:
            return
        message = signed.message
        digest = self.digest(message)
        if not self._identity.verify(message.source, digest, signed.signature):
            raise SignatureWrong("verify consensus message", source=message.source)
        self._remember(signed)

    def _remember(self, signed: SignedMessage) -> None:
        if len(self._verified) >= _VERIFIED_MAX:
            del self._verified[next(iter(self._verified))]
        self._verified[signed] = None

    # Bytes

    def encode(self, items: Iterable[Item]) -> bytes:
        """One payload for the bus."""
        parts = [bytes([_VERSION])]
        for item in items:
            kind, body = _body(item)
            parts += (_ITEM.pack(kind, sum(map(len, body))), *body)
        return b"".join(parts)

    def encode_envelope(self, envelope: Envelope) -> bytes:
        """One envelope alone, as a vote log keeps it."""
        return b"".join(_body(envelope)[1])

    @property
    def statement_size_bytes(self) -> int:
        """Of ``encode_envelope`` for an envelope without justification."""
        return _SIGNED_SIZE_BYTES + 1

    def decode_envelope(self, data: bytes) -> Envelope:
        """The reverse of ``encode_envelope``; raises MessageInvalid."""
        return self._envelope(memoryview(data))

    def decode(self, payload: bytes) -> tuple[Item, ...]:
        """Turn a peer's bytes into typed items, in the sender's order. Signatures are not checked.

        Raises:
            MessageInvalid: not exactly the layout, a number out of range, too many or too large
                items.
        """
        view = memoryview(payload)
        if len(view) < 1 or view[0] != _VERSION:
            raise MessageInvalid("decode consensus payload", reason="version")
        items: list[Item] = []
        position = 1
        while position < len(view):
            if len(view) - position < _ITEM.size or len(items) >= ITEMS_MAX:
                raise MessageInvalid("decode consensus payload", reason="items")
            kind, size_bytes = _ITEM.unpack_from(view, position)
            position += _ITEM.size
            body = view[position : position + size_bytes]
            if len(body) != size_bytes:
                raise MessageInvalid("decode consensus payload", reason="length")
            items.append(self._item(kind, body))
            position += size_bytes
        return tuple(items)

    def describe(self, payload: bytes) -> str:
        """What ``payload`` says, for people: traces, scenarios, debugging."""
        try:
            return " + ".join(map(_text, self.decode(payload)))
        except MessageInvalid:
            return f"garbage {len(payload)}B"

    def _item(self, kind: int, body: memoryview) -> Item:
        if kind == _ENVELOPE:
            return self._envelope(body)
        if len(body) < _DUTY.size:
            raise MessageInvalid("decode consensus payload", reason="length")
        duty = _duty(*_DUTY.unpack_from(body))
        rest = body[_DUTY.size :]
        if kind == _VALUE and 0 < len(rest) <= VALUE_SIZE_MAX_BYTES:
            return ValueItem(duty, bytes(rest))
        if kind == _WANT and len(rest) == HASH_SIZE_BYTES:
            return WantItem(duty, ValueHash(bytes(rest)))
        raise MessageInvalid("decode consensus payload", reason="item")

    def _envelope(self, body: memoryview) -> Envelope:
        if len(body) <= _SIGNED_SIZE_BYTES:
            raise MessageInvalid("decode consensus payload", reason="envelope")
        count = body[_SIGNED_SIZE_BYTES]
        if count > self._parts_max or len(body) != _SIGNED_SIZE_BYTES * (count + 1) + 1:
            raise MessageInvalid("decode consensus payload", reason="justification")
        offsets = range(_SIGNED_SIZE_BYTES + 1, len(body), _SIGNED_SIZE_BYTES)
        return Envelope(
            self._signed(body, 0), tuple(self._signed(body, offset) for offset in offsets)
        )

    def _signed(self, body: memoryview, offset: int) -> SignedMessage:
        kind, slot, duty_type, source, round_, value_hash, prepared_round, prepared_hash = (
            _MESSAGE.unpack_from(body, offset)
        )
        if source >= self._node_count:
            raise MessageInvalid("decode consensus message", field="source", got=source)
        try:
            message = Message(
                MessageType(kind),
                _duty(slot, duty_type),
                source,
                round_,
                ValueHash(value_hash),
                prepared_round,
                ValueHash(prepared_hash),
            )
        except (ValueError, InputInvalid) as error:
            raise MessageInvalid("decode consensus message", reason=str(error)) from None
        end = offset + _SIGNED_SIZE_BYTES
        return SignedMessage(message, bytes(body[end - SIGNATURE_SIZE_BYTES : end]))


def _duty(slot: int, duty_type: int) -> Duty:
    try:
        return Duty(slot, DutyType(duty_type))
    except ValueError:
        raise MessageInvalid("decode duty", field="type", got=duty_type) from None


def _message_bytes(message: Message) -> bytes:
    return _MESSAGE.pack(
        message.type,
        message.duty.slot,
        message.duty.type,
        message.source,
        message.round,
        message.value_hash,
        message.prepared_round,
        message.prepared_hash,
    )


def _signed_bytes(signed: SignedMessage) -> bytes:
    return _message_bytes(signed.message) + signed.signature


def _body(item: Item) -> tuple[int, list[bytes]]:
    match item:
        case Envelope(signed, justification):
            count = bytes([len(justification)])
            return _ENVELOPE, [_signed_bytes(signed), count, *map(_signed_bytes, justification)]
        case ValueItem(duty, value):
            return _VALUE, [_DUTY.pack(duty.slot, duty.type), value]
        case WantItem(duty, value_hash):
            return _WANT, [_DUTY.pack(duty.slot, duty.type), value_hash]


def _text(item: Item) -> str:
    match item:
        case Envelope(signed, justification):
            message = signed.message
            text = f"{message.duty} {message.type.name.lower()} round={message.round}"
            if message.value_hash != NO_VALUE:
                text += f" value={message.value_hash[:4].hex()}"
            if message.prepared_round:
                text += f" prepared={message.prepared_round}:{message.prepared_hash[:4].hex()}"
            return text + (f" justified_by={len(justification)}" if justification else "")
        case ValueItem(duty, value):
            return f"{duty} value {len(value)}B"
        case WantItem(duty, value_hash):
            return f"{duty} want {value_hash[:4].hex()}"
