"""What nodes tell each other of themselves each epoch, and what the cluster does by it. Pure.

=========  ================================================  ==================================
topic      names, the preferred first                        the cluster's result
=========  ================================================  ==================================
version    protocol versions that the node speaks            the best that a quorum speaks
features   features that the node takes                      those that *every* node takes
proposal   "builder" where ``builder_api`` is set, "full"    builders are asked if all agree
=========  ================================================  ==================================

A feature needs every node of the cluster, for it changes what is sent to them: one that is away
counts as one that does not take it. A builder needs the consent of all whose statement counted,
but waits for nobody that is away: a block is signed by those that are there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tetrarch.consensus.priority import Statement, Topic, result_of
from tetrarch.network.versions import Versions

VERSION, FEATURES, PROPOSAL = "version", "features", "proposal"
BUILDER, FULL = "builder", "full"


class ClusterFeatures(Protocol):
    """What may be done now; asked anew each time, for it changes from epoch to epoch."""

    def takes(self, feature: str) -> bool:
        """Whether this node understands ``feature``."""
        ...

    def may_send(self, feature: str) -> bool:
        """Whether all nodes of the cluster understand it."""
        ...

    @property
    def builder_api(self) -> bool:
        """Whether builders may be asked for blocks."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedFeatures:
    """Nothing is negotiated: every feature is there, or those that are named."""

    builder_api: bool = False
    features: tuple[str, ...] | None = None

    def takes(self, feature: str) -> bool:
        """See ``ClusterFeatures``."""
        return self.features is None or feature in self.features

    def may_send(self, feature: str) -> bool:
        """See ``ClusterFeatures``."""
        return self.takes(feature)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """What the cluster agreed on in the last slot of an epoch, and who stands apart."""

    slot: int = -1  # -1: nothing yet
    nodes: tuple[int, ...] = ()  # whose statements counted
    version: str | None = None
    features: tuple[str, ...] = ()
    builder_api: bool = False
    without_feature: dict[str, tuple[int, ...]] = field(default_factory=dict)
    with_builder: tuple[int, ...] = ()

    @property
    def builder_differs(self) -> bool:
        """Whether some want a builder and some do not."""
        return 0 < len(self.with_builder) < len(self.nodes)


def topics_of(versions: Versions, *, builder_api: bool) -> tuple[Topic, ...]:
    """What a node says of itself."""
    return (
        Topic(FEATURES, versions.features),
        Topic(PROPOSAL, (BUILDER, FULL) if builder_api else (FULL,)),
        Topic(VERSION, tuple(str(number) for number in versions.protocols)),
    )


def agreed_of(statements: Sequence[Statement], *, node_count: int) -> Agreed:
    """What the statements of a decided ballot come to."""
    result = result_of(statements, node_count=node_count)
    known = sorted({name for each in statements for name in _named(each, FEATURES)})
    without = {
        name: tuple(
            node
            for node in range(node_count)
            if not any(s.source == node and name in _named(s, FEATURES) for s in statements)
        )
        for name in known
    }
    with_builder = sorted(s.source for s in statements if BUILDER in _named(s, PROPOSAL))
    return Agreed(
        slot=result.duty.slot,
        nodes=result.sources,
        version=result.preferred(VERSION),
        features=tuple(name for name in known if not without[name]),
        builder_api=len(result.supporters(PROPOSAL, BUILDER)) == len(result.sources),
        without_feature={name: nodes for name, nodes in without.items() if nodes},
        with_builder=tuple(with_builder),
    )


def _named(statement: Statement, topic: str) -> tuple[str, ...]:
    return next((each.priorities for each in statement.topics if each.name == topic), ())
