"""Privileged: stake pools or operators that link with each other whatever else there is. Pure.

The nodes of a cluster are such a layer of their overlay. Who is privileged hears of the others that are;
nobody else is told who they are.
"""

from collections.abc import Sequence
from typing import ClassVar

from tetrarch.network.overlay.known import Known
from tetrarch.network.overlay.layers.named import Name, NamedNodes
from tetrarch.network.overlay.profile import NodeId, Profile

VIEW_MAX = 20


class Privileged:
    """The layer."""

    name: ClassVar[str] = "privileged"

    def __init__(self, names: Sequence[Name], known: Known, *, view_max: int = VIEW_MAX) -> None:
        self._nodes = NamedNodes(names)
        self._known = known
        self._view_max = view_max

    def rename(self, names: Sequence[Name]) -> None:
        """Others are privileged from now on."""
        self._nodes.rename(names, self._known.profiles.values())

    def took(self, profile: Profile) -> None:
        """It may be one of them."""
        self._nodes.took(profile)

    def lost(self, node: NodeId) -> None:
        """It may have been one of them."""
        self._nodes.lost(node)

    def wants(self, profile: Profile) -> bool:
        """It is one of them."""
        return profile in self._nodes

    def holds(self, node: NodeId) -> bool:
        """It is one of the first of them."""
        return node in self.view()

    def view(self) -> tuple[NodeId, ...]:
        """Those that are known, in the order of the configuration."""
        return self._nodes.present()[: self._view_max]

    def partner(self) -> NodeId | None:
        """Each in turn."""
        return self._nodes.next()

    def gossip_for(self, recipient: Profile) -> Sequence[NodeId]:
        """The others of them, if it is one itself."""
        return self.view() if recipient in self._nodes else ()
