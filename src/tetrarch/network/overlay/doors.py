"""How many may stand in the door: caps on callers that grpcio cannot set. Pure.

grpcio bounds streams of a connection and the time of a handshake, not how many connect or from where.
Whoever has not shown who it is takes one of few places, and one address has only so many of all.
"""

from collections import Counter
from dataclasses import dataclass
from enum import Enum

from tetrarch.errors import PeerFault


class CallerRefused(PeerFault):
    """Too many callers, of this address or in all; a later call may be taken."""

    code = "overlay_caller_refused"


class Refused(Enum):
    """Why a caller is turned away."""

    FULL = "full"
    ADDRESS_FULL = "address_full"
    DOOR_FULL = "door_full"


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorLimits:
    """Of callers in all, of one address, and of those that have not greeted yet."""

    callers_max: int = 256
    of_address_max: int = 32
    unproven_max: int = 64
    unproven_of_address_max: int = 8


class Doors:
    """Counts callers; each is let in, proves itself or does not, and leaves."""

    def __init__(self, limits: DoorLimits) -> None:
        self._limits = limits
        self._callers: Counter[str] = Counter()
        self._unproven: Counter[str] = Counter()

    @property
    def callers(self) -> int:
        """How many are in."""
        return self._callers.total()

    def enter(self, host: str) -> Refused | None:
        """Let a caller from ``host`` in, unproven; or why not."""
        limits = self._limits
        if self._callers.total() >= limits.callers_max:
            return Refused.FULL
        if self._unproven.total() >= limits.unproven_max:
            return Refused.DOOR_FULL
        if (
            self._callers[host] >= limits.of_address_max
            or self._unproven[host] >= limits.unproven_of_address_max
        ):
            return Refused.ADDRESS_FULL
        self._callers[host] += 1
        self._unproven[host] += 1
        return None

    def proven(self, host: str) -> None:
        """One from ``host`` showed who it is."""
        self._take(self._unproven, host)

    def leave(self, host: str, *, proven: bool) -> None:
        """One from ``host`` is gone."""
        self._take(self._callers, host)
        if not proven:
            self._take(self._unproven, host)

    @staticmethod
    def _take(counter: Counter[str], host: str) -> None:
        counter[host] -= 1
        if not counter[host]:
            del counter[host]
