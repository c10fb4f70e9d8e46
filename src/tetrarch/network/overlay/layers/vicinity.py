"""Vicinity: nodes whose interests are most like ours. Pure.

Two nodes are the nearer the more they both want of what they both want; among equals each node prefers
others, for good, so that equals do not all link with the same few.

Source: Voulgaris and van Steen, "VICINITY: A Pinch of Randomness Brings out the Structure", Middleware
2013; proximity as in the reference, made symmetric.
"""

from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from heapq import nsmallest
from typing import ClassVar

from tetrarch.network.overlay.known import Known
from tetrarch.network.overlay.profile import NodeId, Profile, Topic

VIEW_MAX = 20
KEPT_OF_VIEW = 3
GOSSIP_MAX = 10


def proximity(ours: Mapping[Topic, int], theirs: Iterable[tuple[Topic, int]]) -> int:
    """How much two nodes have in common: over common topics, what the less interested of them wants."""
    return sum(min(ours[topic], interest) for topic, interest in theirs if topic in ours)


class Vicinity:
    """The layer: the first of all known nodes in order, and some more, so that few losses cost a sort.

    ``_ranked`` always is the head of the order of all known nodes, however long.
    """

    name: ClassVar[str] = "vicinity"

    def __init__(
        self,
        own: NodeId,
        interests: Sequence[tuple[Topic, int]],
        known: Known,
        *,
        view_max: int = VIEW_MAX,
    ) -> None:
        self._own = own
        self._interests = dict(interests)
        self._known = known
        self._view_max = view_max
        self._kept_max = KEPT_OF_VIEW * view_max
        self._ranked: list[tuple[int, bytes, NodeId]] = []
        self._round = 0

    def took(self, profile: Profile) -> None:
        """It enters if it is nearer than the last, or anew if it wants something else now."""
        self._ranked = [entry for entry in self._ranked if entry[2] != profile.node]
        rank = self._rank(profile)
        whole = len(self._ranked) >= len(self._known) - 1  # all but this one
        if whole or (self._ranked and rank < self._ranked[-1]):
            insort(self._ranked, rank)
            del self._ranked[self._kept_max :]
        self._refill()

    def lost(self, node: NodeId) -> None:
        """The next best takes its place."""
        self._ranked = [entry for entry in self._ranked if entry[2] != node]
        self._refill()

    def wants(self, profile: Profile) -> bool:
        """It is nearer than the last of the view."""
        if len(self._ranked) < self._view_max:
            return True
        return self._rank(profile) < self._ranked[self._view_max - 1]

    def holds(self, node: NodeId) -> bool:
        """It is one of the nearest."""
        return any(entry[2] == node for entry in self._ranked[: self._view_max])

    def view(self) -> tuple[NodeId, ...]:
        """Nearest first."""
        return tuple(node for _, _, node in self._ranked[: self._view_max])

    def partner(self) -> NodeId | None:
        """Each in turn."""
        view = self.view()
        if not view:
            return None
        self._round += 1
        return view[self._round % len(view)]

    def gossip_for(self, recipient: Profile) -> Sequence[NodeId]:
        """Those of ours that are nearest to ``recipient``."""
        interests = dict(recipient.interests)
        profiles = self._known.profiles
        near = sorted(
            (-proximity(interests, profiles[node].interests), place, node)
            for place, node in enumerate(self.view())
            if node != recipient.node
        )
        return tuple(node for _, _, node in near[:GOSSIP_MAX])

    def _refill(self) -> None:
        if len(self._ranked) < min(self._view_max, len(self._known)):
            ranks = (self._rank(profile) for profile in self._known.profiles.values())
            self._ranked = nsmallest(self._kept_max, ranks)

    def _rank(self, profile: Profile) -> tuple[int, bytes, NodeId]:
        taste = blake2b(profile.node, digest_size=8, key=self._own).digest()
        return (-proximity(self._interests, profile.interests), taste, profile.node)
