"""Nodes of the overlay for tests: profiles without signatures, and what ``Known`` needs."""

from ipaddress import ip_address
from random import Random

from tetrarch.network.overlay.addresses import Address
from tetrarch.network.overlay.known import Known, KnownLimits
from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS, NodeId, Profile, Topic

BOTH = ((FRAGMENTS, 3), (BLOCKS, 3))
NOW_S = 200_000_000  # since 2020


def node_id(number: int) -> NodeId:
    return NodeId(number.to_bytes(32, "big"))


def address(text: str, port: int = 3000) -> Address:
    return Address(ip_address(text), port)


def profile(
    number: int,
    *,
    time_s: int = NOW_S,
    ip: str = "",
    interests: tuple[tuple[Topic, int], ...] = BOTH,
) -> Profile:
    """Each number has a network of its own, unless ``ip`` says otherwise."""
    ip = ip or f"20.{number >> 8 & 255}.{number & 255}.1"
    return Profile(node_id(number), time_s, address(ip), interests, b"")


def known_of(*profiles: Profile, limits: KnownLimits | None = None) -> Known:
    known = Known(
        limits or KnownLimits(),
        Random(1),
        held=lambda _: False,
        took=lambda _: None,
        lost=lambda _: None,
    )
    for each in profiles:
        known.take(each, each.node)
    return known
