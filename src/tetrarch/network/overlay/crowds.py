"""Which connections go when too many wait without a caller. Pure.

Waiting are handshakes, silence, certificates being looked at, and whoever opens no stream of ours. Of a
door with more than its share the oldest go, and then those of whatever door has most: who has just come
always gets a moment.
"""

from collections import deque
from collections.abc import Collection, Sequence

from tetrarch.network.overlay.addresses import Address
from tetrarch.network.overlay.connections import Connection
from tetrarch.network.overlay.doors import DoorLimits, door_of


class Crowds:
    """Remembers in which order connections were first seen; ``surplus`` says which are too many."""

    def __init__(self, limits: DoorLimits) -> None:
        self._limits = limits
        self._seen: dict[Address, None] = {}  # in order

    def surplus(
        self, connections: Sequence[Connection], talking: Collection[Address]
    ) -> list[Connection]:
        """Those to be cut. ``talking`` are callers that have a place."""
        here = {each.caller: each for each in connections}
        self._seen = {
            **{caller: None for caller in self._seen if caller in here},
            **dict.fromkeys(here),
        }
        waiting = [here[caller] for caller in self._seen if caller not in talking]
        crowds: dict[str, deque[Connection]] = {}
        for each in waiting:
            crowds.setdefault(door_of(each.caller.ip), deque()).append(each)
        gone: list[Connection] = []
        for crowd in crowds.values():
            while len(crowd) > self._limits.waiting_of_address_max:
                gone.append(crowd.popleft())
        while len(waiting) - len(gone) > self._limits.waiting_max:
            gone.append(max(crowds.values(), key=len).popleft())
        return gone
