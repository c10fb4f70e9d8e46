"""What the demo is asked to do to its nodes, and which missed duties that excuses. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tetrarch.errors import ConfigInvalid

_EVENT = re.compile(r"^(\d{1,3})@(?:slot)?(\d{1,9})$")


class Action(StrEnum):
    """What happens to a node."""

    KILL = "kill"
    RESTART = "restart"


@dataclass(frozen=True, slots=True, order=True)
class PlannedEvent:
    """At the start of ``slot``, ``action`` happens to node ``node`` (0-based, as its folder)."""

    slot: int
    node: int
    action: Action


def parse_events(texts: Sequence[str], action: Action, *, node_count: int) -> list[PlannedEvent]:
    """Read ``3@slot5`` (or ``3@5``): node 3 at slot 5.

    Raises:
        ConfigInvalid: another form, or no such node.
    """
    events = []
    for text in texts:
        found = _EVENT.match(text)
        if found is None:
            raise ConfigInvalid("read plan", option=f"--{action}", got=text, expected="3@slot5")
        node, slot = int(found[1]), int(found[2])
        if node >= node_count:
            raise ConfigInvalid(
                "read plan", option=f"--{action}", got=text, nodes=f"0..{node_count - 1}"
            )
        events.append(PlannedEvent(slot, node, action))
    return events


@dataclass(frozen=True, slots=True)
class Outage:
    """Node ``node`` is dead from ``from_slot`` on, and back at ``until_slot`` (None: never)."""

    node: int
    from_slot: int
    until_slot: int | None


def excused_slots(
    outages: Sequence[Outage],
    *,
    node_count: int,
    threshold: int,
    slots_per_epoch: int,
    slot_count: int,
) -> frozenset[int]:
    """Slots whose duties may be missed.

    A slot in which a node is killed is excused (its leader may have died with a duty in hand).
    While fewer than ``threshold`` nodes live nothing can be signed, nor, for certain, within
    one epoch of their return.
    """
    excused: set[int] = set()
    for outage in outages:
        excused.add(outage.from_slot)
    for slot in range(slot_count):
        alive = node_count - len({o.node for o in outages if _is_down(o, slot)})
        if alive < threshold:
            excused.update(range(slot, slot + slots_per_epoch + 1))
    return frozenset(slot for slot in excused if slot < slot_count)


def _is_down(outage: Outage, slot: int) -> bool:
    return outage.from_slot <= slot and (outage.until_slot is None or slot < outage.until_slot)
