"""What a layer of the topology is. Pure.

Each layer picks some of the known nodes for its own reason: neighbours on a ring, nodes of like
interests, nodes at random, nodes that the operator named. The topology joins what they pick.
"""

from collections.abc import Sequence
from typing import ClassVar, Protocol

from tetrarch.network.overlay.profile import NodeId, Profile


class Layer(Protocol):
    """One reason to link with a node. Nodes are known ones, but for ``wants``."""

    name: ClassVar[str]

    def took(self, profile: Profile) -> None:
        """A node is known from now on, or says something else of itself."""
        ...

    def lost(self, node: NodeId) -> None:
        """A node is no longer known."""
        ...

    def wants(self, profile: Profile) -> bool:
        """Whether it would enter the view, were it known. Called with nodes that are not."""
        ...

    def holds(self, node: NodeId) -> bool:
        """Whether it is in the view."""
        ...

    def view(self) -> tuple[NodeId, ...]:
        """Whom this layer would link with, best first."""
        ...

    def partner(self) -> NodeId | None:
        """Whom this layer would exchange gossip with in this round."""
        ...

    def gossip_for(self, recipient: Profile) -> Sequence[NodeId]:
        """Which nodes to tell ``recipient`` of; none leaves the gossip alone."""
        ...
