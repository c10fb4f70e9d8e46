"""Which events of several nodes are the same, and what heads and reorgs say. Pure."""

from collections.abc import Hashable
from dataclasses import dataclass

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.beacon_node.ports import BeaconEvent
from tetrarch.ethereum.spec.values import parse_hex, parse_uint64

SEEN_MAX = 4096
# What names an event; the rest may differ between nodes (optimistic or not, how deep).
_NAMING = {
    "head": ("slot", "block", "previous_duty_dependent_root", "current_duty_dependent_root"),
    "block": ("slot", "block"),
    "block_gossip": ("slot", "block"),
    "chain_reorg": ("slot", "old_head_block", "new_head_block"),
    "finalized_checkpoint": ("epoch", "block"),
}


def event_key(event: BeaconEvent) -> Hashable:
    """Equal for events that tell the same."""
    naming = _NAMING.get(event.topic, ())
    names = [name for name in naming if name in event.data] or sorted(event.data)
    return event.topic, tuple((name, repr(event.data[name])) for name in names)


class SeenEvents:
    """Lets each event pass once, when enough nodes told of it; remembers the last ``SEEN_MAX``."""

    def __init__(self) -> None:
        self._told_by: dict[Hashable, tuple[int, ...] | None] = {}  # None: it has passed

    def passes(self, event: BeaconEvent, *, node: int, needed: int = 1) -> bool:
        """Note that ``node`` told of ``event``; whether it passes now, with ``needed`` tellers."""
        key = event_key(event)
        told_by = self._told_by.get(key, ())
        if told_by is None or node in told_by:
            return False
        told_by = (*told_by, node)
        passes = len(told_by) >= needed
        self._told_by[key] = None if passes else told_by
        if len(self._told_by) > SEEN_MAX:
            del self._told_by[next(iter(self._told_by))]
        return passes


@dataclass(frozen=True, slots=True)
class Reorg:
    """The head moved to another branch; blocks after ``ancestor_slot`` may have been replaced."""

    slot: int
    ancestor_slot: int


def parse_reorg(event: BeaconEvent) -> Reorg:
    """Read a ``chain_reorg`` event.

    Raises:
        InputInvalid: it lacks slot or depth.
    """
    slot = parse_uint64(event.data.get("slot"), what="slot")
    depth = parse_uint64(event.data.get("depth"), what="depth")
    return Reorg(slot, max(slot - depth, 0))


@dataclass(frozen=True, slots=True)
class Head:
    """A new head, and the blocks on which attester duties of its epoch and the next depend."""

    slot: int
    previous_root: bytes
    current_root: bytes


def parse_head(event: BeaconEvent) -> Head:
    """Read a ``head`` event.

    Raises:
        InputInvalid: it lacks its slot or a dependent root.
    """
    previous, current = (
        parse_hex(event.data.get(name), size_bytes=32, what=name)
        for name in ("previous_duty_dependent_root", "current_duty_dependent_root")
    )
    return Head(parse_uint64(event.data.get("slot"), what="slot"), previous, current)


def slot_of(event: BeaconEvent) -> int | None:
    """The slot that the event is about, if it names one."""
    try:
        return parse_uint64(event.data.get("slot"), what="slot")
    except InputInvalid:
        return None
