"""What peers say of themselves, and what the cluster agreed on, as metrics."""

from collections.abc import Sequence

from tetrarch.duties.features import Agreed
from tetrarch.network.peer import PeerStatus
from tetrarch.network.peer_info import PeerInfo
from tetrarch.network.versions import Versions, unsupported
from tetrarch.observability.metrics import Metrics
from tetrarch.observability.reference_metrics import peer_name


class PeerWatch:
    """Shows what each peer says of itself; ``note`` is called once a minute for each."""

    def __init__(self, metrics: Metrics, versions: Versions) -> None:
        self._metrics = metrics
        self._features = versions.features
        self._ours = (versions.protocol_min, versions.protocol)
        self._labels: dict[int, tuple[str, ...]] = {}

    def note(self, peer: int, info: PeerInfo) -> None:
        """``peer`` (0-based) has described itself."""
        gauge = self._metrics.gauge
        mend = unsupported(
            ours=self._ours, theirs=info.protocols, operator=peer, version=info.version
        )
        gauge("peer_version_supported").labels(str(peer)).set(mend is None)
        gauge("peer_start_time_seconds").labels(str(peer)).set(info.started_s)
        gauge("app_peerinfo_version_support").labels(peer_name(peer)).set(mend is None)
        gauge("app_peerinfo_start_time_secs").labels(peer_name(peer)).set(info.started_s)
        labels = (str(peer), info.version, info.git_commit, info.signing, info.nickname)
        known = self._labels.get(peer)
        if known is not None and known != labels:
            gauge("peer_info").remove(*known)  # else each change would stay as a series of its own
        self._labels[peer] = labels
        gauge("peer_info").labels(*labels).set(1)

    def note_agreement(self, agreed: Agreed) -> None:
        """The newest agreement, also after a start."""
        gauge = self._metrics.gauge
        gauge("agreed_slot").set(agreed.slot)
        gauge("agreed_builder_api").set(agreed.builder_api)
        for feature in self._features:
            gauge("agreed_feature").labels(feature).set(feature in agreed.features)


def refused_versions(peers: Sequence[PeerStatus], *, needed: int) -> tuple[str, ...]:
    """Why peers are missing, for readiness: those whose version is refused, if too few are left."""
    refused = [str(peer.index) for peer in peers if peer.version_refused]
    enough = sum(peer.connected for peer in peers) >= needed
    return () if enough or not refused else (f"version: refused of nodes {', '.join(refused)}",)
