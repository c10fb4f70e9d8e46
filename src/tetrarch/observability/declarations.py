"""What a metric's declaration is: a row of the table in ``metrics``."""

from dataclasses import dataclass
from enum import StrEnum

NAME_PREFIX = "tetrarch_"
_LATENCY_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class MetricKind(StrEnum):
    """What the numbers of a metric mean."""

    COUNTER = "counter"  # only grows
    GAUGE = "gauge"  # now
    HISTOGRAM = "histogram"  # a distribution


@dataclass(frozen=True, slots=True)
class MetricDeclaration:
    """One row of the table. ``name`` is without the prefix, with its unit last.

    ``equals`` is set where the name is not ours but the reference's, which existing dashboards
    ask for: it says which of ours tells the same, or how the two differ. Such a name has no prefix.
    """

    name: str
    kind: MetricKind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = _LATENCY_BUCKETS_S
    equals: str = ""

    @property
    def full_name(self) -> str:
        """As a scraper sees it."""
        return self.name if self.equals else NAME_PREFIX + self.name
