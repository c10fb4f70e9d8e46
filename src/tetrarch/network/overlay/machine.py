"""One node of the overlay without its wires: everything it decides. Pure.

The driver signs our profile, checks signatures, keeps connections and moves bytes; here is what it asks.

    heard gossip     -> nodes (policy) -> known -> layers          -> answer
    valid item       -> nodes (conduct), spreading                 -> effects
    link up, broken  -> nodes (policy)
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from tetrarch.network.overlay.drawing import Drawing
from tetrarch.network.overlay.known import Known, KnownLimits
from tetrarch.network.overlay.layers.cyclon import Cyclon
from tetrarch.network.overlay.layers.layer import Layer
from tetrarch.network.overlay.layers.rings import Neighbours, Rings
from tetrarch.network.overlay.layers.vicinity import Vicinity
from tetrarch.network.overlay.nodes import Nodes
from tetrarch.network.overlay.policy import PolicyRules
from tetrarch.network.overlay.profile import NodeId, Profile, Topic
from tetrarch.network.overlay.spreading import Spreading, SpreadRules
from tetrarch.network.overlay.topology import Gossip, Topology

LAYERS = ("rings", "vicinity", "cyclon")


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayRules:
    """Everything that an operator may set of one node."""

    interests: tuple[tuple[Topic, int], ...]
    layers: tuple[str, ...] = LAYERS
    limits: KnownLimits = field(default_factory=KnownLimits)
    policy: PolicyRules = field(default_factory=PolicyRules)
    spread: SpreadRules = field(default_factory=SpreadRules)


class OverlayMachine:
    """See the module. Times are wall-clock seconds since 2020."""

    def __init__(
        self,
        own: NodeId,
        rules: OverlayRules,
        drawing: Drawing,
        *,
        more_layers: Callable[[Known], Sequence[Layer]] = lambda _: (),
        whitelist: Callable[[Profile], bool] = lambda _: False,
        usable: Callable[[NodeId], bool] = lambda _: True,
        linked: Callable[[], Collection[NodeId]] = tuple,
    ) -> None:
        """``usable`` says whether items can be sent to a node of the view now.

        ``linked`` are those that linked with us: a node that has just come is in nobody's view yet.
        """
        self.rules = rules
        self._usable = usable
        self._linked = linked
        known = Known(rules.limits, drawing, held=self._holds, took=self._took, lost=self._lost)
        self.nodes = Nodes(own, known, rules.policy, whitelist=whitelist)
        topics = tuple(topic for topic, _ in rules.interests)
        self.rings = Rings(own, topics, known)
        cyclon = Cyclon(own, known, drawing)
        built: dict[str, Layer] = {
            Rings.name: self.rings,
            Vicinity.name: Vicinity(own, rules.interests, known),
            Cyclon.name: cyclon,
        }
        self.topology = Topology(
            known,
            [*(built[name] for name in rules.layers), *more_layers(known)],
            swapping=cyclon if Cyclon.name in rules.layers else None,
        )
        self.spreading = Spreading(
            rules.spread, drawing, neighbours=self._usable_neighbours, links=self.links
        )

    def take_profiles(
        self, profiles: Iterable[Profile], introducer: NodeId, *, now_s: float, wanted: bool = False
    ) -> None:
        """Profiles whose signatures are right, as ``introducer`` told them."""
        for profile in profiles:
            self._take(profile, introducer, now_s=now_s, wanted=wanted)

    def begin_round(self, own: Profile) -> list[tuple[NodeId, Gossip]]:
        """Whom to gossip with now; ``own`` was signed just now."""
        return self.topology.begin_round(own)

    def hear_gossip(self, own: Profile, gossip: Gossip, *, now_s: float) -> Gossip | None:
        """Gossip of a node that showed who it is, all signatures checked; the answer, if any."""
        sender = gossip.own.node
        self._take(gossip.own, sender, now_s=now_s, wanted=True)
        self.nodes.met(sender, now_s=now_s)
        self.take_profiles(gossip.swapped, sender, now_s=now_s, wanted=True)
        self.take_profiles(gossip.others, sender, now_s=now_s)
        return self.topology.hear(own, gossip, is_guest=sender in self.nodes.guests)

    def links(self, topic: Topic) -> list[NodeId]:
        """Who subscribes to ``topic`` and can be sent to: nodes of the view, and who linked with us."""
        nodes = dict.fromkeys((*filter(self._usable, self.topology.view()), *self._linked()))
        profiles = map(self.nodes.profile, nodes)
        return [each.node for each in profiles if each is not None and topic in each.topics]

    def _take(
        self, profile: Profile, introducer: NodeId, *, now_s: float, wanted: bool = False
    ) -> None:
        if not wanted and profile.node not in self.nodes.known:
            wanted = self.topology.wants(profile)
        self.nodes.hear(profile, introducer, now_s=now_s, wanted=wanted)

    def _usable_neighbours(self, topic: Topic) -> Neighbours:
        near = self.rings.neighbours(topic)
        return Neighbours(
            tuple(filter(self._usable, near.before)), tuple(filter(self._usable, near.after))
        )

    def _holds(self, node: NodeId) -> bool:
        return self.topology.holds(node)

    def _took(self, profile: Profile) -> None:
        self.topology.took(profile)

    def _lost(self, node: NodeId) -> None:
        self.nodes.dropped(node, is_linked=node in self._linked())
        self.topology.lost(node)
