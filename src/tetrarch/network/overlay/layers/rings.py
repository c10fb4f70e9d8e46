"""Rings: for each topic the nearest nodes before and after us. Pure.

Whatever goes from neighbour to neighbour reaches every subscriber: this is the layer that makes
delivery certain, and the others make it fast.

Source: Setty, van Steen, Vitenberg and Voulgaris, "PolderCast: Fast, Robust, and Scalable Architecture
for P2P Topic-Based Pub/Sub", Middleware 2012, section 4.3. Neighbours are looked up among all known
nodes, so whoever is lost is replaced at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import ClassVar

from tetrarch.network.overlay.known import Known
from tetrarch.network.overlay.profile import (
    RING_SIZE,
    NodeId,
    Profile,
    Topic,
    ring_position,
)

EACH_SIDE = 2
GOSSIP_EACH_SIDE = 5


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Of one topic, nearest first on either side. In a small ring one node may stand on both."""

    before: tuple[NodeId, ...]
    after: tuple[NodeId, ...]


class Rings:
    """The layer: looks neighbours up where ``Known`` keeps the rings, and remembers them till a change."""

    name: ClassVar[str] = "rings"

    def __init__(
        self, own: NodeId, topics: Sequence[Topic], known: Known, *, each_side: int = EACH_SIDE
    ) -> None:
        self._own = own
        self._positions = {topic: ring_position(topic, own) for topic in topics}
        self._known = known
        self._each_side = each_side
        self._near: dict[Topic, Neighbours] = {}
        self._round = 0

    def neighbours(self, topic: Topic) -> Neighbours:
        """The nearest known subscribers of ``topic``; nobody if we do not subscribe."""
        if topic not in self._positions:
            return Neighbours((), ())
        near = self._near.get(topic)
        if near is None:
            position = self._positions[topic]
            near = self._near[topic] = self._around(topic, position, self._own, self._each_side)
        return near

    def took(self, profile: Profile) -> None:
        """Neighbours may be others now."""
        del profile
        self._near.clear()

    def lost(self, node: NodeId) -> None:
        """If it was a neighbour, another is."""
        if any(node in near.before or node in near.after for near in self._near.values()):
            self._near.clear()

    def wants(self, profile: Profile) -> bool:
        """It stands nearer than the farthest neighbour, on one side of one ring."""
        return any(
            self._is_near(topic, profile.node)
            for topic in profile.topics
            if topic in self._positions
        )

    def holds(self, node: NodeId) -> bool:
        """It is a neighbour on some ring."""
        return any(
            node in near.before or node in near.after
            for near in map(self.neighbours, self._positions)
        )

    def view(self) -> tuple[NodeId, ...]:
        """The neighbours of all topics, nearest first."""
        sides = [
            side
            for topic in self._positions
            for neighbours in (self.neighbours(topic),)
            for side in (neighbours.before, neighbours.after)
        ]
        nearest_first = (node for rank in zip_longest(*sides) for node in rank if node is not None)
        return tuple(dict.fromkeys(nearest_first))

    def partner(self) -> NodeId | None:
        """Each neighbour in turn."""
        view = self.view()
        if not view:
            return None
        self._round += 1
        return view[self._round % len(view)]

    def gossip_for(self, recipient: Profile) -> Sequence[NodeId]:
        """Who stands near ``recipient`` on the rings that it is on: it cannot know all of them yet."""
        found: dict[NodeId, None] = {}
        for topic in recipient.topics:
            position = ring_position(topic, recipient.node)
            near = self._around(topic, position, recipient.node, GOSSIP_EACH_SIDE)
            found.update(dict.fromkeys(near.before))
            found.update(dict.fromkeys(near.after))
        return tuple(found)

    def _is_near(self, topic: Topic, node: NodeId) -> bool:
        position, own = ring_position(topic, node), self._positions[topic]
        near = self.neighbours(topic)
        for side, sign in ((near.before, -1), (near.after, 1)):
            if len(side) < self._each_side:
                return True
            farthest = ring_position(topic, side[-1])
            if sign * (position - own) % RING_SIZE < sign * (farthest - own) % RING_SIZE:
                return True
        return False

    def _around(self, topic: Topic, position: int, node: NodeId, count: int) -> Neighbours:
        ring = self._known.ring(topic)
        return Neighbours(
            ring.predecessors(position, node, count), ring.successors(position, node, count)
        )
