"""Who is put aside, why, until when and for how manieth time: a bounded number. Pure.

Times are wall-clock seconds since 2020.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from tetrarch.network.conduct import UNREACHABLE
from tetrarch.network.overlay.policy import PolicyRules
from tetrarch.network.overlay.profile import NodeId, Profile


@dataclass(slots=True)
class Quarantine:
    """Of one node; ``profile`` is the newest heard meanwhile."""

    profile: Profile
    since_s: float
    until_s: float
    reason: str
    ended: bool = False  # before its time, for it showed itself


class Quarantines:
    """Of one node's others. What follows for them is the business of ``Nodes``."""

    def __init__(self, rules: PolicyRules) -> None:
        self._rules = rules
        self._by_node: dict[NodeId, Quarantine] = {}
        self._times: dict[NodeId, int] = {}  # kept while the node is, quarantined or not

    @property
    def by_node(self) -> Mapping[NodeId, Quarantine]:
        """Those put aside now."""
        return self._by_node

    def times(self, node: NodeId) -> int:
        """How often it was put aside."""
        return self._times.get(node, 0)

    def begin(self, profile: Profile, reason: str, *, now_s: float) -> NodeId | None:
        """Put a node aside, or for another time; whom to forget for it, if there is no room."""
        node, times = profile.node, self.times(profile.node)
        self._times[node] = times + 1
        crowded = None
        if node not in self._by_node and len(self._by_node) >= self._rules.quarantined_max:
            crowded = self._most_crowded()
        until_s = now_s + self._rules.quarantine_for_s(times)
        self._by_node[node] = Quarantine(profile, now_s, until_s, reason)
        return crowded

    def renew(self, profile: Profile) -> None:
        """Its node said something since."""
        quarantine = self._by_node[profile.node]
        if profile.time_s > quarantine.profile.time_s:
            quarantine.profile = profile

    def shown(self, node: NodeId, *, now_s: float) -> bool:
        """It showed who it is; whether that ends its quarantine, for it was that it did not."""
        quarantine = self._by_node.get(node)
        if quarantine is None or quarantine.reason != UNREACHABLE:
            return False
        quarantine.ended, quarantine.until_s = True, now_s
        return True

    def is_renewed(self, node: NodeId, *, now_s: float) -> bool:
        """Whether it lives, as far as its newest profile tells.

        That may be of before, by a clock that was ahead; not if the node showed itself.
        """
        quarantine = self._by_node[node]
        if self._rules.is_stale(quarantine.profile, now_s):
            return False
        since_s = quarantine.since_s + self._rules.profile_ahead_max_s
        return quarantine.ended or quarantine.profile.time_s > since_s

    def end(self, node: NodeId) -> None:
        """It is over; how often it was is kept."""
        del self._by_node[node]

    def forget(self, node: NodeId) -> None:
        """Nothing is kept of it."""
        self._by_node.pop(node, None)
        self._times.pop(node, None)

    def restore(self, node: NodeId, quarantine: Quarantine | None, *, times: int) -> None:
        """As it was when this process ended."""
        if quarantine is not None:
            self._by_node[node] = quarantine
        self._times[node] = times

    def _most_crowded(self) -> NodeId:
        """Of the network with the most quarantined nodes the one whose time ends first.

        Else whoever has addresses for a crowd would end the quarantines of others with it.
        """
        groups = {node: each.profile.address.group for node, each in self._by_node.items()}
        sizes = Counter(groups.values())
        largest = max(sizes.values())
        crowd = [node for node, group in groups.items() if sizes[group] == largest]
        return min(crowd, key=lambda node: self._by_node[node].until_s)
