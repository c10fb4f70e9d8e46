"""How many may stand in the door: caps on callers that grpcio cannot set. Pure.

grpcio bounds streams of a connection and the time of a handshake, not how many connect or from where.
Whoever has not shown who it is takes one of few places, and one door has only so many of all. A place is
taken for some time at least, however short the visit: who comes, errs and comes again waits as who is
silent does.
"""

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from heapq import heappop, heappush
from ipaddress import ip_network
from typing import TypeVar

from tetrarch.errors import PeerFault
from tetrarch.network.overlay.addresses import IPV6_GROUP_BITS, IpAddress

HELD_MAX = 4096  # places of who left; the first to end go

Key = TypeVar("Key")


class CallerRefused(PeerFault):
    """Too many callers, of this address or in all; a later call may be taken."""

    code = "overlay_caller_refused"


class Refused(Enum):
    """Why a caller is turned away."""

    FULL = "full"
    ADDRESS_FULL = "address_full"
    DOOR_FULL = "door_full"
    TOO_OFTEN = "too_often"


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorLimits:
    """Of callers in all, of one door, and of those that have not greeted yet.

    The last two count connections that no caller talks on: handshakes, silence, strangers to gRPC.
    """

    callers_max: int = 256
    of_address_max: int = 32
    unproven_max: int = 64
    unproven_of_address_max: int = 8
    unproven_held_s: float = 5.0  # from when it entered
    proven_held_s: float = 1.0
    waiting_max: int = 256
    waiting_of_address_max: int = 16


def door_of(ip: IpAddress) -> str:
    """What one caller can have only one of: an IPv4 address, or the IPv6 network of a customer."""
    if ip.version == 4:
        return str(ip)
    return str(ip_network((ip, IPV6_GROUP_BITS), strict=False))


class Doors:
    """Counts callers; each is let in, proves itself or does not, and leaves. Times are of one clock."""

    def __init__(self, limits: DoorLimits) -> None:
        self._limits = limits
        self._callers: Counter[str] = Counter()
        self._unproven: Counter[str] = Counter()
        self._held: Counter[tuple[str, bool]] = Counter()  # by door, and whether they were proven
        self._held_until: list[tuple[float, str, bool]] = []  # a heap

    @property
    def callers(self) -> int:
        """How many are in."""
        return self._callers.total()

    def enter(self, door: str, *, now_s: float) -> Refused | None:
        """Let a caller through ``door`` in, unproven; or why not."""
        limits = self._limits
        self._let_go(now_s)
        if self._callers.total() >= limits.callers_max:
            return Refused.FULL
        if self._unproven.total() >= limits.unproven_max:
            return Refused.DOOR_FULL
        unproven = self._unproven[door] + self._held[door, False]
        callers = self._callers[door] + self._held[door, False] + self._held[door, True]
        if callers >= limits.of_address_max or unproven >= limits.unproven_of_address_max:
            return Refused.ADDRESS_FULL
        self._callers[door] += 1
        self._unproven[door] += 1
        return None

    def proven(self, door: str) -> None:
        """One from ``door`` showed who it is."""
        _take(self._unproven, door)

    def leave(self, door: str, *, proven: bool, entered_s: float, until_s: float = 0.0) -> None:
        """One from ``door`` is gone; its place is taken for the least time, and until ``until_s``."""
        _take(self._callers, door)
        if not proven:
            _take(self._unproven, door)
        limits = self._limits
        least_s = limits.proven_held_s if proven else limits.unproven_held_s
        self._held[door, proven] += 1
        heappush(self._held_until, (max(entered_s + least_s, until_s), door, proven))
        if len(self._held_until) > HELD_MAX:
            self._give_back()

    def _let_go(self, now_s: float) -> None:
        while self._held_until and self._held_until[0][0] <= now_s:
            self._give_back()

    def _give_back(self) -> None:
        _, door, proven = heappop(self._held_until)
        _take(self._held, (door, proven))


def _take(counter: Counter[Key], key: Key) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
