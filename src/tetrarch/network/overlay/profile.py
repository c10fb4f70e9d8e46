"""What a node says of itself, signed: who it is, where, and what it wants to hear. Pure.

The bytes are those of the reference (its gossip, version 1), so that its nodes can read ours:

    info u16 (bit 15: IPv4; bits 0 to 9: number of subscriptions) | node id 32 | time u32, seconds
    since 2020 | ip 4 or 16 | port u16 | subscriptions, each topic 32 and interest u8 | signature 64

All integers are big-endian; the signature is Ed25519 by the node id over all that stands before it.

The reference signs bits 10 to 14 of ``info`` and looks at none of them. Two say what it has not: bit 14,
that the node offers our own service beside the reference's; bit 13, that its last subscription is none, but
SHA-256 of the certificate that TLS shows at its address. Without bit 13 there is no TLS there.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import blake2b
from typing import NewType, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tetrarch.errors import PeerFault, invariant
from tetrarch.network.overlay.addresses import (
    IPV4_SIZE_BYTES,
    IPV6_SIZE_BYTES,
    Address,
    IpAddress,
    to_ip,
)

NODE_ID_SIZE_BYTES = 32
TOPIC_SIZE_BYTES = 32
SIGNATURE_SIZE_BYTES = 64
EPOCH_UNIX_S = 1_577_836_800  # 2020-01-01T00:00:00Z
TIME_MAX_S = 2**32 - 1
PROFILE_MAX_BYTES = 512  # the reference's bound: twelve topics, or eleven with IPv6
INTEREST_MAX = 255
RING_SIZE = 2**64  # places on a topic's ring

_INFO_SIZE_BYTES, _TIME_SIZE_BYTES, _PORT_SIZE_BYTES = 2, 4, 2
_IPV4_FLAG = 1 << 15
_EXTENSION_FLAG = 1 << 14
_CERTIFICATE_FLAG = 1 << 13
_NO_INTEREST = 0  # of what is no subscription
_COUNT_MASK = (1 << 10) - 1
_SUBSCRIPTION_SIZE_BYTES = TOPIC_SIZE_BYTES + 1

NodeId = NewType("NodeId", bytes)  # 32 bytes, an Ed25519 public key
Topic = NewType("Topic", bytes)  # 32 bytes
Sign: TypeAlias = Callable[[bytes], bytes]

FRAGMENTS = Topic(bytes(TOPIC_SIZE_BYTES))
BLOCKS = Topic(b"\x01" * TOPIC_SIZE_BYTES)
STATES = Topic(b"\x02" * TOPIC_SIZE_BYTES)  # asked for by who begins; nobody subscribes to it


class Interest(IntEnum):
    """How much a node wants to hear of a topic; on the wire any number of one byte."""

    LOW = 1
    NORMAL = 3
    HIGH = 5


class ProfileInvalid(PeerFault):
    """Bytes that are no profile, or one that its node did not sign."""

    code = "profile_invalid"


@dataclass(frozen=True, slots=True)
class Profile:
    """A node as it described itself at ``time_s`` (seconds since 2020).

    ``interests`` by topic, in the order of the record. ``record`` is what was signed, with the
    signature; two profiles of one node with one time may differ only if it lies. ``certificate`` is the
    hash of its TLS certificate, or empty where it has no TLS; ``is_extended``: it offers our own service.
    ``topics`` is what it subscribes to.
    """

    node: NodeId
    time_s: int
    address: Address
    interests: tuple[tuple[Topic, int], ...]
    record: bytes = field(repr=False)
    certificate: bytes = b""
    is_extended: bool = False
    # Once: it is asked for a thousand times, of each link and for each item.
    topics: tuple[Topic, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "topics", tuple(topic for topic, _ in self.interests))


def ring_position(topic: Topic, node: NodeId) -> int:
    """Where on the ring of ``topic`` a node stands, as 64 bits.

    By a hash of both, so that the neighbours on one ring are not those on another: who is cut off
    on one is reached by way of another.
    """
    return int.from_bytes(blake2b(node, digest_size=8, key=topic).digest(), "big")


def sign_profile(
    sign: Sign,
    *,
    node: NodeId,
    time_s: int,
    address: Address,
    interests: tuple[tuple[Topic, int], ...],
    certificate: bytes = b"",
    is_extended: bool = True,
) -> Profile:
    """The own profile. ``sign`` makes the 64 bytes of an Ed25519 signature by ``node``."""
    packed = address.ip.packed
    entries = interests
    if certificate:
        entries = (*interests, (Topic(certificate), _NO_INTEREST))
    info = (
        len(entries)
        | (_IPV4_FLAG if len(packed) == IPV4_SIZE_BYTES else 0)
        | (_EXTENSION_FLAG if is_extended else 0)
        | (_CERTIFICATE_FLAG if certificate else 0)
    )
    said = b"".join(
        (
            info.to_bytes(_INFO_SIZE_BYTES, "big"),
            node,
            time_s.to_bytes(_TIME_SIZE_BYTES, "big"),
            packed,
            address.port.to_bytes(_PORT_SIZE_BYTES, "big"),
            *(topic + bytes((interest,)) for topic, interest in entries),
        )
    )
    record = said + sign(said)
    invariant(len(record) <= PROFILE_MAX_BYTES, "the configuration bounds the topics")
    return Profile(node, time_s, address, interests, record, certificate, is_extended)


def decode_profile(record: bytes) -> Profile:
    """The profile in ``record``, its signature not looked at (``check_signature``).

    Raises:
        ProfileInvalid: the bytes are none.
    """
    if not _INFO_SIZE_BYTES <= len(record) <= PROFILE_MAX_BYTES:
        raise ProfileInvalid("decode profile", size_bytes=len(record), maximum=PROFILE_MAX_BYTES)
    info = int.from_bytes(record[:_INFO_SIZE_BYTES], "big")
    ip_size_bytes = IPV4_SIZE_BYTES if info & _IPV4_FLAG else IPV6_SIZE_BYTES
    count = info & _COUNT_MASK
    node_at = _INFO_SIZE_BYTES
    time_at = node_at + NODE_ID_SIZE_BYTES
    ip_at = time_at + _TIME_SIZE_BYTES
    port_at = ip_at + ip_size_bytes
    topics_at = port_at + _PORT_SIZE_BYTES
    signature_at = topics_at + count * _SUBSCRIPTION_SIZE_BYTES
    if len(record) != signature_at + SIGNATURE_SIZE_BYTES:
        expected = signature_at + SIGNATURE_SIZE_BYTES
        raise ProfileInvalid("decode profile", size_bytes=len(record), expected=expected)
    ip: IpAddress = to_ip(record[ip_at:port_at])
    interests = tuple(
        (Topic(record[at : at + TOPIC_SIZE_BYTES]), record[at + TOPIC_SIZE_BYTES])
        for at in range(topics_at, signature_at, _SUBSCRIPTION_SIZE_BYTES)
    )
    if len({topic for topic, _ in interests}) != count:
        raise ProfileInvalid("decode profile", reason="a topic twice")
    certificate = b""
    if info & _CERTIFICATE_FLAG:
        if not interests:
            raise ProfileInvalid("decode profile", reason="it lacks the certificate that it names")
        certificate, interests = bytes(interests[-1][0]), interests[:-1]
    return Profile(
        node=NodeId(record[node_at:time_at]),
        time_s=int.from_bytes(record[time_at:ip_at], "big"),
        address=Address(ip, int.from_bytes(record[port_at:topics_at], "big")),
        interests=interests,
        record=record,
        certificate=certificate,
        is_extended=bool(info & _EXTENSION_FLAG),
    )


def check_signature(profile: Profile) -> None:
    """Whether its node signed it. Some 100 µs.

    Raises:
        ProfileInvalid: it did not.
    """
    try:
        Ed25519PublicKey.from_public_bytes(profile.node).verify(
            profile.record[-SIGNATURE_SIZE_BYTES:], profile.record[:-SIGNATURE_SIZE_BYTES]
        )
    except (InvalidSignature, ValueError):
        raise ProfileInvalid(
            "check profile", node=profile.node.hex(), reason="its signature is not by its node"
        ) from None
