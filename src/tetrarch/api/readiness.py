"""Whether the node can do its duties now, with the reference's causes and their precedence. Pure.

The node does not become unready because one peer flaps: connections are judged over
``PEER_CHECKS`` checks. Source: reference section 6.2 (numbers, texts and order).
"""

from collections import deque
from dataclasses import dataclass
from enum import IntEnum

PEER_CHECKS = 6
FAR_BEHIND_SLOTS = 320


class Cause(IntEnum):
    """What /readyz tells; the numbers are the reference's. 6 is retired."""

    UNINITIALISED = 0
    READY = 1
    BEACON_NODE_DOWN = 2
    BEACON_NODE_SYNCING = 3
    QUORUM_PEERS_NOT_CONNECTED = 4
    VC_NOT_CONNECTED = 5
    BEACON_NODE_ZERO_PEERS = 7
    BEACON_NODE_FAR_BEHIND = 8


TEXTS = {
    Cause.UNINITIALISED: "nothing was checked yet",
    Cause.READY: "ready",
    Cause.BEACON_NODE_DOWN: "no beacon node answers",
    Cause.BEACON_NODE_SYNCING: "the beacon node is syncing",
    Cause.QUORUM_PEERS_NOT_CONNECTED: "fewer nodes are connected than a threshold needs",
    Cause.VC_NOT_CONNECTED: "no validator client asked for anything in the last epoch",
    Cause.BEACON_NODE_ZERO_PEERS: "the beacon node has no peers",
    Cause.BEACON_NODE_FAR_BEHIND: "the beacon node is more than 320 slots behind",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BeaconState:
    """What the beacon node said of itself; with several, the best of them. None: unknown."""

    is_down: bool = False
    is_syncing: bool = False
    sync_distance: int = 0
    peers: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One check. ``client_missing``: none asked in the previous epoch, nor in this one."""

    beacon: BeaconState
    connected: int
    client_missing: bool


class Readiness:
    """Remembers the last checks and tells what is wrong, the first cause before the others."""

    def __init__(self, *, peers_needed: int) -> None:
        self._peers_needed = peers_needed
        self._last: Facts | None = None
        self._connected: deque[int] = deque(maxlen=PEER_CHECKS)

    def note(self, facts: Facts) -> None:
        """One more check."""
        self._last = facts
        self._connected.append(facts.connected)

    def causes(self) -> tuple[Cause, ...]:
        """Why the node is not ready, in order of precedence; empty when it is."""
        facts = self._last
        if facts is None:
            return (Cause.UNINITIALISED,)
        beacon = facts.beacon
        holds = {
            Cause.BEACON_NODE_DOWN: beacon.is_down,
            Cause.BEACON_NODE_SYNCING: beacon.is_syncing,
            Cause.BEACON_NODE_ZERO_PEERS: beacon.peers == 0,
            Cause.BEACON_NODE_FAR_BEHIND: beacon.sync_distance > FAR_BEHIND_SLOTS,
            Cause.QUORUM_PEERS_NOT_CONNECTED: self._peers_missing(),
            Cause.VC_NOT_CONNECTED: facts.client_missing,
        }
        return tuple(cause for cause, is_so in holds.items() if is_so)

    def first(self) -> Cause:
        """The one cause that the gauge shows, or READY."""
        return next(iter(self.causes()), Cause.READY)

    def _peers_missing(self) -> bool:
        """Never enough since the start, or not once in the last checks."""
        return all(connected < self._peers_needed for connected in self._connected)
