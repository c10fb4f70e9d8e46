"""The election among the nodes of a cluster, over its mesh. Its members are named by the cluster's lock."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tetrarch.attestation.policy import Allowed
from tetrarch.config import ElectionConfig
from tetrarch.election.campaigning import Campaign
from tetrarch.election.cluster_key import ClusterKey
from tetrarch.election.configuration import Configuration, Rule
from tetrarch.election.joining import Joining, join, prepare_folder
from tetrarch.election.member import Member
from tetrarch.election.over_mesh import MeshLinks
from tetrarch.election.quorums import Mode, may_share_key
from tetrarch.election.timing import Timing
from tetrarch.enclave.client import EnclaveClient
from tetrarch.enclave.election_client import ElectionFiles
from tetrarch.enclave.messages import ShareFile
from tetrarch.enclave.protections import Confinement, Protection
from tetrarch.enclave.reporting import tell_protections
from tetrarch.entropy import Entropy
from tetrarch.network.ports import MessageBus
from tetrarch.observability.logs import Log
from tetrarch.supervision import Supervisor


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPlace:
    """Which node of which cluster.

    ``folder``: for its enclave's sealed state; made if need be. ``share``: of ``cluster_key``.
    """

    lock_hash: bytes
    node_count: int
    folder: Path
    cluster_key: ClusterKey
    share: ShareFile


class ClusterElection:
    """One node's part; made by ``open_cluster_election``. ``run`` it while the mesh runs."""

    def __init__(
        self,
        campaign: Campaign,
        member: Member,
        links: MeshLinks,
        *,
        started: EnclaveClient | None,
        log: Log,
    ) -> None:
        """``started``: the enclave, if nobody else watches it."""
        self.campaign = campaign
        self._member = member
        self._links = links
        self._started = started
        self._log = log

    def connected(self, peer: int) -> None:
        """A stream of the mesh to ``peer`` has opened."""
        self._links.connected(peer)

    async def run(self) -> None:
        """Until cancelled. Raises OperatorError: the enclave's disk fails, or it is gone."""
        async with Supervisor(self._log) as tasks:
            tasks.spawn(self._links.run(), name="election_links")
            tasks.spawn(self._member.run(self._links), name="election_member")
            tasks.spawn(self._tell(), name="election_told")
            if self._started is not None:
                tasks.spawn(self._started.watch(), name="election_enclave")

    async def _tell(self) -> None:
        async for leading in self.campaign.leaders():
            self._log.info(
                "leader_elected",
                term=leading.term,
                leader=leading.leader,
                members=", ".join(leading.members),
            )


def cluster_configuration(place: ClusterPlace, config: ElectionConfig) -> Configuration:
    """What the nodes must agree on. Their names sort as their numbers do.

    The cluster's key signs certificates where its threshold allows, else a quorum's enclaves do.

    Raises:
        ConfigInvalid: it cannot be.
    """
    digits, mode, key = len(str(place.node_count - 1)), Mode(config.mode), place.cluster_key
    return Configuration(
        members=tuple(f"node{index:0{digits}}" for index in range(place.node_count)),
        mode=mode,
        rule=Rule(config.rule),
        lease_ms=config.lease_ms,
        cluster=place.lock_hash,
        attestation=config.attestation,
        allowed=tuple(sorted({Allowed.parse(entry) for entry in config.allowed_enclaves})),
        cluster_key=key if may_share_key(key.threshold, place.node_count, mode) else None,
    )


@asynccontextmanager
async def open_cluster_election(  # noqa: PLR0913 - a composition of ports
    place: ClusterPlace,
    config: ElectionConfig,
    *,
    bus: MessageBus,
    enclave: EnclaveClient | None,
    required: tuple[Protection, ...],
    attested_for_s: float,
    entropy: Entropy,
    log: Log,
) -> AsyncIterator[ClusterElection]:
    """Open a node's part for the block. Enter it before the bus starts.

    Args:
        place: which node it is.
        config: what its operator set.
        bus: the mesh.
        enclave: the one that signs duties; None: one is started, for elections alone.
        required: without these protections such a one does not open.
        attested_for_s: for so long evidence counts, where any is asked for.
        entropy: the system's.
        log: the node's.

    Raises:
        ConfigInvalid: the configuration cannot be.
        OperatorError: seal, folder or enclave; says which, and how to mend it.
    """
    configuration, own = cluster_configuration(place, config), bus.own_index
    secret = prepare_folder(place.folder, None, entropy)
    started = None
    if enclave is None:
        keys_folder = Path(place.share.keystore).parent
        confinement = Confinement(
            writable=(place.folder,),
            readable=(keys_folder,),
            required=required,
            tpm=config.tpm_path,
        )
        enclave = started = await EnclaveClient.launch(confinement)
    try:
        if started is not None:
            await tell_protections(started, log)
        share = None if configuration.cluster_key is None else place.share
        joining = Joining(
            configuration=configuration,
            source=own,
            files=ElectionFiles(place.folder, secret, share),
            has_tpm=config.tpm_path is not None,
            counts_by_tpm=config.tpm_counter,
            accepts_cold_start=config.accept_cold_start,
            timing=timing_of(config.heartbeat_ms / 1000),
        )
        joined = await join(enclave, joining, entropy=entropy, log=log)
        member = joined.member
        links = MeshLinks(
            configuration,
            bus,
            enclave=joined.client,
            on_message=member.receive,
            on_met=joined.meet,
            attested_for_s=attested_for_s,
            log=log,
        )
        campaign = Campaign(configuration, own, member)
        yield ClusterElection(campaign, member, links, started=started, log=log)
    finally:
        if started is not None:
            await started.close()


def timing_of(heartbeat_s: float) -> Timing:
    """As by default, where a heartbeat is a tenth of a second; slower in proportion."""
    usual = Timing()
    slower = max(heartbeat_s / usual.heartbeat_s, 1.0)
    return Timing(
        heartbeat_s=heartbeat_s,
        settle_s=usual.settle_s * slower,
        echo_s=usual.echo_s * slower,
        term_s=usual.term_s * slower,
        term_max_s=usual.term_max_s * slower,
    )
