"""How many peers have shown accepted evidence, and when that is a reason not to be ready."""

from typing import cast

import pytest

from tetrarch.api.attested import Attested
from tetrarch.attestation.policy import Demand
from tetrarch.election.hello import Appraisal
from tetrarch.election.of_cluster import ClusterMembership

GOOD, REFUSED = Appraisal("software", "ab"), Appraisal("software", "cd", "", "not listed")


class Shown:
    def __init__(self, demand: Demand, *shown: Appraisal) -> None:
        self.demand = demand
        self.shown = dict(enumerate(shown, 1))


def attested(demand: Demand, *shown: Appraisal) -> Attested:
    return Attested(cast("ClusterMembership", Shown(demand, *shown)), needed=2)


@pytest.mark.parametrize(
    ("of", "count", "ready"),
    [
        (Attested(None, needed=2), 0, True),
        (attested(Demand.OFF, Appraisal(), Appraisal()), 0, True),
        (attested(Demand.RECORD, GOOD, REFUSED), 1, True),
        (attested(Demand.REQUIRE, GOOD), 1, False),
        (attested(Demand.REQUIRE, GOOD, GOOD), 2, True),
        (attested(Demand.REQUIRE), 0, False),
    ],
)
def test_readiness_follows_from_what_is_required(of: Attested, count: int, ready: bool) -> None:
    assert (of.count, of.reasons() == ()) == (count, ready)
    if not ready:
        assert of.reasons() == (f"attestation: {count} of 2 needed peers have shown evidence",)
