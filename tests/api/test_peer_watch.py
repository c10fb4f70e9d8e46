"""What peers say and the cluster agrees on stands in the metrics, and in the reasons of readiness."""

from dataclasses import replace

import msgspec
from tests.network.test_peer_info import OWN

from tetrarch.api.peer_watch import PeerWatch, refused_versions
from tetrarch.duties.features import Agreed
from tetrarch.network.peer import PeerStatus
from tetrarch.network.versions import Versions
from tetrarch.observability.metrics import Metrics

STATUS = PeerStatus(
    index=1,
    address="127.0.0.1:1",
    connected=True,
    rtt_s=None,
    clock_offset_s=None,
    builder_api=None,
    builder_api_differs=False,
    version=None,
    nickname=None,
    protocol=None,
    version_refused=None,
    last_fault=None,
    points=(),
)
REFUSED = replace(STATUS, connected=False, version_refused="update this node")


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_peer_is_shown_as_it_describes_itself_now() -> None:
    metrics = Metrics()
    watch = PeerWatch(metrics, Versions(protocol_min=1, protocol=2, features=("shiny",)))
    watch.note(3, OWN)
    watch.note(3, msgspec.structs.replace(OWN, nickname="south", protocol_min=5, protocol=6))
    family = [m for m in metrics.registry.collect() if m.name == "tetrarch_peer_info"]
    (shown,) = family[0].samples
    assert (shown.labels["peer"], shown.labels["nickname"], shown.value) == ("3", "south", 1)
    assert sample(metrics, "tetrarch_peer_version_supported", peer="3") == 0
    assert sample(metrics, "tetrarch_peer_start_time_seconds", peer="3") == OWN.started_s


def test_agreement_is_shown() -> None:
    metrics = Metrics()
    watch = PeerWatch(metrics, Versions(protocol_min=1, protocol=2, features=("shiny",)))
    watch.note_agreement(Agreed())
    assert sample(metrics, "tetrarch_agreed_slot") == -1
    assert sample(metrics, "tetrarch_agreed_feature", feature="shiny") == 0
    watch.note_agreement(Agreed(slot=31, features=("shiny",), builder_api=True))
    assert sample(metrics, "tetrarch_agreed_slot") == 31
    assert sample(metrics, "tetrarch_agreed_feature", feature="shiny") == 1
    assert sample(metrics, "tetrarch_agreed_builder_api") == 1


def test_refused_version_is_a_reason_only_where_too_few_peers_are_left() -> None:
    others = [STATUS, replace(STATUS, index=2)]
    assert refused_versions([*others, REFUSED], needed=2) == ()
    assert refused_versions([STATUS, replace(STATUS, connected=False)], needed=2) == ()
    two = [STATUS, REFUSED, replace(REFUSED, index=3)]
    assert refused_versions(two, needed=2) == ("version: refused of nodes 1, 3",)
