"""Cyclon: nodes at random, by swapping. Pure.

In each round we give our oldest contact some of ours, and ourselves, and get as many of its own for
them: contacts wander, nobody gathers more than others, and whoever is gone is the oldest soon and is
dropped. How old a contact is, its signed profile says: nobody can make a dead node look young. And
no two contacts are in one network (/24, /48): a crowd that only takes what it is given and gives
its own would else gather in all views.

Source: Voulgaris, Gavidia and van Steen, "CYCLON: Inexpensive Membership Management for Unstructured P2P
Overlays", 2005, section 3 (enhanced shuffling).
"""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from tetrarch.network.overlay.drawing import Drawing
from tetrarch.network.overlay.known import Known
from tetrarch.network.overlay.profile import NodeId, Profile

VIEW_MAX = 20
SWAP_MAX = 8


class Cyclon:
    """The layer. ``begin`` or ``answer`` say what to give, ``merge`` takes what came for it."""

    name: ClassVar[str] = "cyclon"

    def __init__(
        self, own: NodeId, known: Known, drawing: Drawing, *, view_max: int = VIEW_MAX
    ) -> None:
        self._own = own
        self._known = known
        self._drawing = drawing
        self._view_max = view_max
        self._view: dict[NodeId, str] = {}  # with its network
        self._given: dict[NodeId, list[NodeId]] = {}  # by whom it was given to, until it answers

    def took(self, profile: Profile) -> None:
        """At the start whoever comes fills the view; then only swaps change it."""
        if len(self._view) < self._view_max:
            self._enter(profile.node)

    def lost(self, node: NodeId) -> None:
        """It leaves; a swap fills its place."""
        self._view.pop(node, None)

    def wants(self, profile: Profile) -> bool:
        """While there is room; what is swapped is wanted in any case."""
        del profile
        return len(self._view) < self._view_max

    def holds(self, node: NodeId) -> bool:
        """It is one of the contacts."""
        return node in self._view

    def view(self) -> tuple[NodeId, ...]:
        """In no order that means anything."""
        return tuple(self._view)

    def partner(self) -> NodeId | None:
        """The contact that has not renewed its profile for longest.

        In a small network swaps bring nothing new, and whoever is asked leaves: so a view with room
        takes others that are known first.
        """
        if len(self._view) < self._view_max:
            for node in self._known.sample(self._view_max):
                if len(self._view) < self._view_max:
                    self._enter(node)
        profiles = self._known.profiles
        return min(self._view, key=lambda node: (profiles[node].time_s, node), default=None)

    def gossip_for(self, recipient: Profile) -> Sequence[NodeId]:
        """Nothing: what is given is swapped."""
        del recipient
        return ()

    def begin(self, partner: NodeId) -> tuple[NodeId, ...]:
        """What to give ``partner``, besides ourselves; it leaves the view, and its answer fills it."""
        self._given.clear()  # whoever did not answer until now does not
        self._view.pop(partner, None)
        return self._give(partner, SWAP_MAX - 1)

    def answer(self, partner: NodeId) -> tuple[NodeId, ...]:
        """What to give for what ``partner`` gave."""
        return self._give(partner, SWAP_MAX)

    def merge(self, partner: NodeId, received: Iterable[NodeId]) -> None:
        """Take what ``partner`` gave: into free places, then for what it was given."""
        given = self._given.pop(partner, [])
        for node in received:
            if node == self._own or node in self._view or node not in self._known:
                continue
            if self._known.group(node) in self._view.values():
                continue
            if len(self._view) >= self._view_max:
                while given and given[-1] not in self._view:
                    given.pop()
                if not given:
                    return
                del self._view[given.pop()]
            self._enter(node)

    def _enter(self, node: NodeId) -> None:
        group = self._known.group(node)
        if group not in self._view.values():
            self._view[node] = group

    def _give(self, partner: NodeId, count: int) -> tuple[NodeId, ...]:
        others = [node for node in self._view if node != partner]
        given = self._drawing.sample(others, min(count, len(others)))
        self._given[partner] = given
        return tuple(given)
