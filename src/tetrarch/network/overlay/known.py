"""The nodes that may be linked with and told of: a bounded set, fair to networks and introducers. Pure.

Whoever can make keys can make nodes. What a crowd of them lacks is addresses, so a network (/24, /48)
has only so many places; and one talkative peer fills only a part of the set, until nodes that it
introduced have been met. Whoever is in keeps its place against newcomers of its own network: a node
that is there and answers is worth more than one that claims to be.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from tetrarch.network.overlay.drawing import Drawing
from tetrarch.network.overlay.profile import NodeId, Profile, Topic, ring_position
from tetrarch.network.overlay.ring import Ring

EVICTION_SAMPLE = 8

_K = TypeVar("_K")


class Taken(Enum):
    """What became of a profile."""

    NEW = "new"
    RENEWED = "renewed"
    OLD = "old"
    GROUP_FULL = "group_full"
    INTRODUCER_FULL = "introducer_full"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownLimits:
    """How many nodes are kept; of one network; and of those that one peer introduced, unmet.

    A node is silent when it has not renewed its profile for ``silent_s``.
    """

    nodes_max: int = 1024
    of_group_max: int = 8
    of_introducer_max: int = 256
    silent_s: int = 60


class Known:
    """Available nodes by id, and on the ring of each topic that they subscribe to."""

    def __init__(
        self,
        limits: KnownLimits,
        drawing: Drawing,
        *,
        held: Callable[[NodeId], bool],
        took: Callable[[Profile], None],
        lost: Callable[[NodeId], None],
    ) -> None:
        """``held`` says whether some view has a node.

        ``took`` hears of each that is known from now on or wants something else than before,
        ``lost`` of each that is known no more.
        """
        self._limits = limits
        self._drawing = drawing
        self._held = held
        self._took = took
        self._lost = lost
        self._profiles: dict[NodeId, Profile] = {}
        self._positions: dict[NodeId, tuple[tuple[Topic, int], ...]] = {}
        self._rings: dict[Topic, Ring] = {}
        self._groups: Counter[str] = Counter()
        self._group_of: dict[NodeId, str] = {}
        self._introducers: dict[NodeId, NodeId] = {}  # of nodes that were not met yet
        self._introduced: Counter[NodeId] = Counter()
        # For drawing one at random: all ids in some order, and where each stands in it.
        self._order: list[NodeId] = []
        self._place: dict[NodeId, int] = {}

    def __len__(self) -> int:
        return len(self._profiles)

    def __iter__(self) -> Iterator[NodeId]:
        return iter(self._order)

    def __contains__(self, node: object) -> bool:
        return node in self._profiles

    @property
    def profiles(self) -> Mapping[NodeId, Profile]:
        """The newest profile of each."""
        return self._profiles

    def group(self, node: NodeId) -> str:
        """The network that a known node is in."""
        return self._group_of[node]

    def ring(self, topic: Topic) -> Ring:
        """The nodes that subscribe to ``topic``."""
        ring = self._rings.get(topic)
        if ring is None:
            ring = self._rings[topic] = Ring()
        return ring

    def take(self, profile: Profile, introducer: NodeId, *, wanted: bool = False) -> Taken:
        """Keep ``profile`` if it is newer than what is known, and there is room for its node.

        Where all places are taken, a node that is ``wanted`` gets that of one which no view holds,
        any other only the place of one that has been silent for a while: else a network larger
        than this set would pass through it for ever.
        """
        node = profile.node
        before = self._profiles.get(node)
        if before is not None:
            if profile.time_s <= before.time_s:
                return Taken.OLD
            return self._renew(before, profile)
        group = profile.address.group
        if self._groups[group] >= self._limits.of_group_max:
            return Taken.GROUP_FULL
        if introducer != node and (self._introduced[introducer] >= self._limits.of_introducer_max):
            return Taken.INTRODUCER_FULL
        if len(self._profiles) >= self._limits.nodes_max and not self._make_room(
            profile.time_s - (0 if wanted else self._limits.silent_s)
        ):
            return Taken.FULL
        self._add(profile, group)
        if introducer != node:
            self._introducers[node] = introducer
            self._introduced[introducer] += 1
        return Taken.NEW

    def met(self, node: NodeId) -> None:
        """It answered us: it no longer counts as somebody's word."""
        introducer = self._introducers.pop(node, None)
        if introducer is not None:
            self._uncount(self._introduced, introducer)

    def remove(self, node: NodeId) -> None:
        """Forget ``node``, if it is known."""
        if self._profiles.pop(node, None) is None:
            return
        self.met(node)
        for topic, position in self._positions.pop(node):
            self._rings[topic].remove(position, node)
        self._uncount(self._groups, self._group_of.pop(node))
        place, last = self._place.pop(node), self._order.pop()
        if last != node:
            self._order[place] = last
            self._place[last] = place
        self._lost(node)

    def sample(self, count: int) -> list[NodeId]:
        """Up to ``count`` different nodes, at random."""
        return self._drawing.sample(self._order, min(count, len(self._order)))

    def _add(self, profile: Profile, group: str) -> None:
        node = profile.node
        self._profiles[node] = profile
        self._put_on_rings(profile)
        self._groups[group] += 1
        self._group_of[node] = group
        self._place[node] = len(self._order)
        self._order.append(node)
        self._took(profile)

    def _renew(self, before: Profile, profile: Profile) -> Taken:
        if profile.address != before.address:
            group, group_before = profile.address.group, self._group_of[profile.node]
            if group != group_before and self._groups[group] >= self._limits.of_group_max:
                return Taken.GROUP_FULL
            self._groups[group] += 1
            self._uncount(self._groups, group_before)
            self._group_of[profile.node] = group
        self._profiles[profile.node] = profile
        if profile.topics != before.topics:
            for topic, position in self._positions[profile.node]:
                self._rings[topic].remove(position, profile.node)
            self._put_on_rings(profile)
        if profile.interests != before.interests:
            self._took(profile)
        return Taken.RENEWED

    def _put_on_rings(self, profile: Profile) -> None:
        positions = tuple((topic, ring_position(topic, profile.node)) for topic in profile.topics)
        self._positions[profile.node] = positions
        for topic, position in positions:
            self.ring(topic).add(position, profile.node)

    def _make_room(self, heard_until_s: int) -> bool:
        """Drop the longest silent of some that no view holds, if it was not heard of after that time."""
        profiles = self._profiles
        free = [
            node
            for node in self.sample(EVICTION_SAMPLE)
            if profiles[node].time_s <= heard_until_s and not self._held(node)
        ]
        oldest = min(free, key=lambda node: profiles[node].time_s, default=None)
        if oldest is None:
            return False
        self.remove(oldest)
        return True

    @staticmethod
    def _uncount(counter: Counter[_K], key: _K) -> None:
        counter[key] -= 1
        if not counter[key]:
            del counter[key]
