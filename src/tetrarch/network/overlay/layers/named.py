"""Nodes that the operator named, by id, by address or by both, and which of them are known. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tetrarch.errors import invariant
from tetrarch.network.overlay.addresses import Address
from tetrarch.network.overlay.profile import NodeId, Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """One entry of the configuration. With both, a node must match both."""

    node: NodeId | None = None
    address: Address | None = None

    def __post_init__(self) -> None:
        invariant(self.node is not None or self.address is not None, "a name names somebody")

    def matches(self, profile: Profile) -> bool:
        """Whether ``profile`` is of the node that is meant."""
        return self.node in (None, profile.node) and self.address in (None, profile.address)


class NamedNodes:
    """Those of ``names`` that are known now, in the order of the configuration."""

    def __init__(self, names: Sequence[Name]) -> None:
        self._names = tuple(names)
        self._present: dict[int, NodeId] = {}  # by place in the configuration
        self._round = 0

    def __contains__(self, profile: Profile) -> bool:
        return any(name.matches(profile) for name in self._names)

    def rename(self, names: Sequence[Name], profiles: Iterable[Profile]) -> None:
        """Others are meant from now on; ``profiles`` are all that are known."""
        self._names = tuple(names)
        self._present.clear()
        for profile in profiles:
            self.took(profile)

    def took(self, profile: Profile) -> None:
        """A node is known, or says something else of itself. The first that matches a name has it."""
        self.lost(profile.node)
        for place, name in enumerate(self._names):
            if name.matches(profile):
                self._present.setdefault(place, profile.node)

    def lost(self, node: NodeId) -> None:
        """A node is no longer known."""
        self._present = {place: each for place, each in self._present.items() if each != node}

    def present(self) -> tuple[NodeId, ...]:
        """The known ones, each once."""
        return tuple(dict.fromkeys(self._present[place] for place in sorted(self._present)))

    def next(self) -> NodeId | None:
        """Each known one in turn."""
        present = self.present()
        if not present:
            return None
        self._round += 1
        return present[self._round % len(present)]
