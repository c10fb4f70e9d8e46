"""What two nodes of this program say to each other once they have met. Pure.

Each is the payload of one message of a link (``network.frames``), whose topic byte is its kind:

====  ========  ==============================================================================
kind  name      payload
====  ========  ==============================================================================
1     gossip    msgpack array: own record, swapped records, other records (``profile``)
2     announce  topic 32, then 1 to 1024 item ids of 32: they are here
3     ask       topic 32, then 1 to 1024 item ids of 32: send them
4     item      topic 32, then the content
5     status    tip 32, height u64: where the sender's chain ends
6     pull      checkpoints, 1 to 64 block ids of 32: blocks of the receiver's chain after the first of
                them that is on it, up to 64, come as items in order
7     reach     port u16, then the hash of a certificate or nothing: do you reach me there?
8     reached   ip 4 or 16, port u16: the sender reached the receiver there
====  ========  ==============================================================================

Items of the topic of states are asked for by a node that begins, and never announced: a part of a state is told on by nobody.

What one node asks of another has three names: to *sync to its tip* (pull, answered by items and a status), and to *propose*
a block or a fragment (an item, or an announcement that is answered by ask).
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, TypeAlias

import msgspec

from tetrarch.decoding import UNDECODABLE
from tetrarch.errors import PeerFault, invariant
from tetrarch.network.overlay.addresses import IPV4_SIZE_BYTES, IPV6_SIZE_BYTES, Address, to_ip
from tetrarch.network.overlay.greeting import HASH_SIZE_BYTES
from tetrarch.network.overlay.profile import PROFILE_MAX_BYTES, TOPIC_SIZE_BYTES, Topic
from tetrarch.network.overlay.spreading import ItemId
from tetrarch.network.overlay.topology import PROFILES_MAX

IDS_MAX = 1024
CHECKPOINTS_MAX = 64
PULLED_MAX = 64  # blocks that answer one pull
ID_SIZE_BYTES = 32
CONTENT_MAX_BYTES = 4 << 20
# Of one frame. Strangers may make us keep as much before they have said who they are.
RECEIVED_MAX_BYTES = CONTENT_MAX_BYTES + (64 << 10)
_HEIGHT_SIZE_BYTES = 8
_PORT_SIZE_BYTES = 2


class Kind(IntEnum):
    """The first byte of each message within a frame."""

    GOSSIP = 1
    ANNOUNCE = 2
    ASK = 3
    ITEM = 4
    STATUS = 5
    PULL = 6
    REACH = 7
    REACHED = 8


class OverlayMessageInvalid(PeerFault):
    """A message of another node that is none, or is larger than one may be."""

    code = "overlay_message_invalid"


_Record: TypeAlias = Annotated[bytes, msgspec.Meta(max_length=PROFILE_MAX_BYTES)]
_Records: TypeAlias = Annotated[tuple[_Record, ...], msgspec.Meta(max_length=PROFILES_MAX)]


class Records(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Gossip as it travels: records that nobody has looked into yet."""

    own: _Record
    swapped: _Records
    others: _Records


@dataclass(frozen=True, slots=True)
class Ids:
    """Of an announcement, or of what is asked for."""

    topic: Topic
    items: tuple[ItemId, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """A block or a fragment."""

    topic: Topic
    content: bytes


@dataclass(frozen=True, slots=True)
class Status:
    """Where the sender's chain ends."""

    tip: ItemId
    height: int


@dataclass(frozen=True, slots=True)
class Reach:
    """At the address where the receiver sees the sender, with this port and certificate (SHA-256)."""

    port: int
    certificate: bytes


_records_decoder = msgspec.msgpack.Decoder(Records)


def encode_gossip(records: Records) -> bytes:
    """A gossip payload, 11 kB at most."""
    return msgspec.msgpack.encode(records)


def decode_gossip(payload: bytes) -> Records:
    """Records of a bounded number and size.

    Raises:
        OverlayMessageInvalid: it is not that.
    """
    try:
        records = _records_decoder.decode(payload)
    except UNDECODABLE as error:
        raise OverlayMessageInvalid("decode gossip", reason=error) from None
    count = 1 + len(records.swapped) + len(records.others)
    if count > PROFILES_MAX:
        raise OverlayMessageInvalid("decode gossip", records=count, maximum=PROFILES_MAX)
    return records


def encode_ids(ids: Ids) -> bytes:
    """The payload of an announcement or a question, of at most ``IDS_MAX`` ids."""
    invariant(0 < len(ids.items) <= IDS_MAX, "the caller splits long lists")
    return ids.topic + b"".join(ids.items)


def decode_ids(payload: bytes) -> Ids:
    """A topic and some ids.

    Raises:
        OverlayMessageInvalid: none, too many, or a part of one.
    """
    count, rest = divmod(len(payload) - TOPIC_SIZE_BYTES, ID_SIZE_BYTES)
    if rest or not 0 < count <= IDS_MAX:
        raise OverlayMessageInvalid("decode ids", size_bytes=len(payload), ids_max=IDS_MAX)
    starts = range(TOPIC_SIZE_BYTES, len(payload), ID_SIZE_BYTES)
    return Ids(
        Topic(payload[:TOPIC_SIZE_BYTES]),
        tuple(ItemId(payload[at : at + ID_SIZE_BYTES]) for at in starts),
    )


def encode_item(item: Item) -> bytes:
    """The payload that carries an item; one copy of its content."""
    return item.topic + item.content


def decode_item(payload: bytes, *, content_max_bytes: int = CONTENT_MAX_BYTES) -> Item:
    """An item; what it is, the chain will judge.

    Raises:
        OverlayMessageInvalid: it is empty, or larger than the chain allows.
    """
    size_bytes = len(payload) - TOPIC_SIZE_BYTES
    if not 0 < size_bytes <= content_max_bytes:
        raise OverlayMessageInvalid("decode item", size_bytes=size_bytes, maximum=content_max_bytes)
    return Item(Topic(payload[:TOPIC_SIZE_BYTES]), payload[TOPIC_SIZE_BYTES:])


def encode_status(status: Status) -> bytes:
    """40 bytes."""
    return status.tip + status.height.to_bytes(_HEIGHT_SIZE_BYTES, "big")


def decode_status(payload: bytes) -> Status:
    """Where a chain ends.

    Raises:
        OverlayMessageInvalid: another length.
    """
    if len(payload) != ID_SIZE_BYTES + _HEIGHT_SIZE_BYTES:
        raise OverlayMessageInvalid("decode status", size_bytes=len(payload))
    return Status(ItemId(payload[:ID_SIZE_BYTES]), int.from_bytes(payload[ID_SIZE_BYTES:], "big"))


def encode_pull(checkpoints: tuple[ItemId, ...]) -> bytes:
    """The payload that asks for blocks; of more checkpoints the first are sent, and the last."""
    if len(checkpoints) > CHECKPOINTS_MAX:
        checkpoints = (*checkpoints[: CHECKPOINTS_MAX - 1], checkpoints[-1])
    return b"".join(checkpoints)


def decode_pull(payload: bytes) -> tuple[ItemId, ...]:
    """Checkpoints, in the order of preference.

    Raises:
        OverlayMessageInvalid: none, too many, or a part of one.
    """
    count, rest = divmod(len(payload), ID_SIZE_BYTES)
    if rest or not 0 < count <= CHECKPOINTS_MAX:
        raise OverlayMessageInvalid("decode pull", size_bytes=len(payload))
    return tuple(
        ItemId(payload[at : at + ID_SIZE_BYTES]) for at in range(0, len(payload), ID_SIZE_BYTES)
    )


def encode_reach(reach: Reach) -> bytes:
    """2 or 34 bytes."""
    return reach.port.to_bytes(_PORT_SIZE_BYTES, "big") + reach.certificate


def decode_reach(payload: bytes) -> Reach:
    """A question whether the sender can be reached.

    Raises:
        OverlayMessageInvalid: it is none.
    """
    if len(payload) not in (_PORT_SIZE_BYTES, _PORT_SIZE_BYTES + HASH_SIZE_BYTES):
        raise OverlayMessageInvalid("decode reach", size_bytes=len(payload))
    port = int.from_bytes(payload[:_PORT_SIZE_BYTES], "big")
    return Reach(port, payload[_PORT_SIZE_BYTES:])


def encode_reached(address: Address) -> bytes:
    """6 or 18 bytes."""
    return address.ip.packed + address.port.to_bytes(_PORT_SIZE_BYTES, "big")


def decode_reached(payload: bytes) -> Address:
    """Where the sender reached us.

    Raises:
        OverlayMessageInvalid: it is no address.
    """
    ip, port = payload[:-_PORT_SIZE_BYTES], payload[-_PORT_SIZE_BYTES:]
    if len(ip) not in (IPV4_SIZE_BYTES, IPV6_SIZE_BYTES):
        raise OverlayMessageInvalid("decode reached", size_bytes=len(payload))
    return Address(to_ip(ip), int.from_bytes(port, "big"))
