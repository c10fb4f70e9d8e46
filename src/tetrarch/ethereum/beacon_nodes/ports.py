"""What several beacon nodes need from their owner. Each Protocol is owned here, by its consumer."""

from collections.abc import Coroutine
from typing import Any, Protocol

from tetrarch.ethereum.beacon_nodes.event_keys import Head, Reorg
from tetrarch.output import Output


class Spawner(Protocol):
    """Starts named background work that is awaited and reported by its owner."""

    def spawn(self, work: Coroutine[Any, Any, None], /, *, name: str) -> object:
        """Run ``work`` until it ends; an unexpected exception stops the node."""
        ...


class ChainNews(Protocol):
    """What a node may hear of its chain. ``several.SeveralBeaconNodes`` tells it."""

    @property
    def heads(self) -> Output[Head]:
        """New heads that enough nodes told of."""
        ...

    @property
    def reorgs(self) -> Output[Reorg]:
        """Blocks that were replaced by others."""
        ...

    @property
    def doubts(self) -> Output[int]:
        """Epochs whose duties should be asked for again."""
        ...


class Observer(Protocol):
    """Hears what an operator may want to count. ``node`` is a beacon node's name, never a secret."""

    def answered(self, node: str, what: str, outcome: str, duration_s: float) -> None:
        """A request ended; ``outcome`` is ``ok``, ``overdue`` or an error's code."""
        ...

    def condition_changed(self, node: str, condition: str) -> None:
        """A node is ``healthy``, ``degraded`` or ``down`` now; told once at the start, too."""
        ...

    def scored(self, node: str, score: float) -> None:
        """A node's score changed."""
        ...

    def synced(self, node: str, distance: int) -> None:
        """A node said how many slots it is behind."""
        ...

    def fallback_used(self, used: bool) -> None:  # noqa: FBT001 - a gauge's value
        """Whether fallback nodes stand in for the primaries now."""
        ...

    def voted(self, basis: str, supporters: tuple[str, ...]) -> None:
        """Attestation data was chosen."""
        ...

    def outvoted(self, node: str, what: str, reason: str) -> None:
        """A node's answer was not taken because others said otherwise, or could not be right."""
        ...

    def head_told(self, node: str, slot: int, delay_s: float) -> None:
        """A node told of a new head, so long after the beginning of its slot."""
        ...

    def reorg_told(self, node: str, depth: int) -> None:
        """A node told that so many slots of blocks were replaced."""
        ...


class SilentObserver:
    """Hears nothing."""

    def answered(self, node: str, what: str, outcome: str, duration_s: float) -> None:
        """See ``Observer``."""

    def condition_changed(self, node: str, condition: str) -> None:
        """See ``Observer``."""

    def scored(self, node: str, score: float) -> None:
        """See ``Observer``."""

    def synced(self, node: str, distance: int) -> None:
        """See ``Observer``."""

    def fallback_used(self, used: bool) -> None:  # noqa: FBT001
        """See ``Observer``."""

    def voted(self, basis: str, supporters: tuple[str, ...]) -> None:
        """See ``Observer``."""

    def outvoted(self, node: str, what: str, reason: str) -> None:
        """See ``Observer``."""

    def head_told(self, node: str, slot: int, delay_s: float) -> None:
        """See ``Observer``."""

    def reorg_told(self, node: str, depth: int) -> None:
        """See ``Observer``."""
