"""Trusted: nodes that the operator believes. Pure.

They are whom a node asks first when it starts, they are never put aside, and some links always go to
them, so that nobody can surround a node. And they are asked where their chain ends: see ``forks``.
"""

from collections.abc import Sequence
from typing import ClassVar

from tetrarch.network.overlay.layers.named import Name, NamedNodes
from tetrarch.network.overlay.profile import NodeId, Profile

VIEW_MAX = 4
ROUNDS_BETWEEN = (
    6  # all nodes of a network may believe the same few: these must not hear all of them
)


class Trusted:
    """The layer."""

    name: ClassVar[str] = "trusted"

    def __init__(self, names: Sequence[Name], *, view_max: int = VIEW_MAX) -> None:
        self._nodes = NamedNodes(names)
        self._view_max = view_max
        self._round = 0

    def __contains__(self, profile: Profile) -> bool:
        return profile in self._nodes

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
        """It is one of them, linked or not: whom the operator named makes room for nobody."""
        return node in self._nodes.present()

    def view(self) -> tuple[NodeId, ...]:
        """The first of the configuration that are known."""
        return self._nodes.present()[: self._view_max]

    def present(self) -> tuple[NodeId, ...]:
        """All that are known."""
        return self._nodes.present()

    def partner(self) -> NodeId | None:
        """Each in turn, and nobody in most rounds."""
        self._round += 1
        return self._nodes.next() if self._round % ROUNDS_BETWEEN == 0 else None

    def gossip_for(self, recipient: Profile) -> Sequence[NodeId]:
        """Nothing: whom we believe is our own affair."""
        del recipient
        return ()
