"""How good a beacon node is, as one number. Pure.

    score = 1 / (1 + sync_distance)  x  (1 + inclusion) / 2  x  1000 / (1000 + latency_ms)

* ``sync_distance``: slots that the node says it is behind the head (0 = follows it).
* ``inclusion``: how much of its data was good, 0 to 1, a moving average over duties: the share
  of the duties done with it that was seen included on chain; and for each vote 1 when it was
  with the majority, 0 when a majority outvoted it. 1 until something is known.
* ``latency_ms``: moving average of its answers' delays; 1000 until something is known.

The score is in (0, 1], falls with distance and latency and grows with inclusion. One slot behind
halves it, as does a whole second of latency, as does data that is never included.
"""

from dataclasses import dataclass, replace
from typing import Self

LATENCY_HALF_MS = 1000.0
LATENCY_WEIGHT = 0.2  # of the newest answer
INCLUSION_WEIGHT = 1 / 16  # of the newest duty's share


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known of one node; every change gives a new value."""

    latency_ms: float | None = None
    sync_distance: int = 0
    inclusion: float = 1.0

    @property
    def score(self) -> float:
        """The module's formula, in (0, 1]."""
        return score(
            latency_ms=LATENCY_HALF_MS if self.latency_ms is None else self.latency_ms,
            sync_distance=self.sync_distance,
            inclusion=self.inclusion,
        )

    def answered(self, latency_ms: float) -> Self:
        """An answer took ``latency_ms``."""
        seen_ms = max(latency_ms, 0.0)
        if self.latency_ms is not None:
            seen_ms = self.latency_ms + LATENCY_WEIGHT * (seen_ms - self.latency_ms)
        return replace(self, latency_ms=seen_ms)

    def overdue(self, waited_ms: float) -> Self:
        """No answer came within ``waited_ms``: its latency is at least that."""
        known_ms = LATENCY_HALF_MS if self.latency_ms is None else self.latency_ms
        return self if known_ms >= waited_ms else self.answered(waited_ms)

    def synced(self, sync_distance: int) -> Self:
        """The node said how far behind the head it is."""
        return replace(self, sync_distance=max(sync_distance, 0))

    def judged(self, share: float) -> Self:
        """``share`` (0 to 1) of the duties done with its data was included."""
        share = min(max(share, 0.0), 1.0)
        return replace(self, inclusion=self.inclusion + INCLUSION_WEIGHT * (share - self.inclusion))


def score(*, latency_ms: float, sync_distance: int, inclusion: float) -> float:
    """The module's formula.

    Args:
        latency_ms: at least 0.
        sync_distance: at least 0, slots.
        inclusion: 0 to 1.
    """
    near = 1 / (1 + sync_distance)
    included = (1 + inclusion) / 2
    quick = LATENCY_HALF_MS / (LATENCY_HALF_MS + latency_ms)
    return near * included * quick
