"""Which peers have shown what their enclaves are: as metrics, and as a reason not to be ready."""

from tetrarch.attestation.policy import Demand
from tetrarch.election.of_cluster import ClusterMembership
from tetrarch.observability.metrics import Metrics


class Attested:
    """Of one node; ``membership``: None where nobody is asked. ``needed``: peers for any duty."""

    def __init__(self, membership: ClusterMembership | None, *, needed: int) -> None:
        self._membership = membership
        self._needed = needed

    @property
    def count(self) -> int:
        """Peers whose evidence is accepted."""
        if self._membership is None or self._membership.demand is Demand.OFF:
            return 0
        return sum(not appraisal.refusal for appraisal in self._membership.shown.values())

    def watch(self, metrics: Metrics) -> None:
        """Keep the metric, asked for whenever it is read."""
        metrics.gauge("peers_attested").set_function(lambda: float(self.count))

    def reasons(self) -> tuple[str, ...]:
        """Why the node cannot do its duties, for /readyz."""
        membership = self._membership
        if (
            membership is None
            or membership.demand is not Demand.REQUIRE
            or self.count >= self._needed
        ):
            return ()
        return (f"attestation: {self.count} of {self._needed} needed peers have shown evidence",)
