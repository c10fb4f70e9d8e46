"""The nodes of a cluster as members, named by its lock: they attest each other, and elect a leader.

Over its mesh, either without the other. Where evidence is required, a peer that has not shown any is
heard about nothing else.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tetrarch.attestation.policy import Allowed, Demand
from tetrarch.config import AttestationConfig, ElectionConfig, NodeConfig
from tetrarch.election.campaigning import Campaign
from tetrarch.election.cluster_key import ClusterKey
from tetrarch.election.configuration import Configuration, Rule
from tetrarch.election.hello import Appraisal
from tetrarch.election.joining import Joining, join, prepare_node_folder
from tetrarch.election.member import Member
from tetrarch.election.over_mesh import MeshLinks
from tetrarch.election.quorums import Mode, may_share_key
from tetrarch.election.timing import Timing
from tetrarch.enclave.client import EnclaveClient
from tetrarch.enclave.election_files import ElectionFiles
from tetrarch.enclave.messages import SealedFile, ShareFile
from tetrarch.enclave.protections import Confinement
from tetrarch.enclave.reporting import tell_protections
from tetrarch.enclave.seal_secret import SealSecret
from tetrarch.entropy import Entropy
from tetrarch.network.gated_bus import GatedBus
from tetrarch.network.ports import MessageBus
from tetrarch.observability.logs import Log
from tetrarch.supervision import Supervisor


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPlace:
    """Which node of which cluster.

    ``folder``: for its enclave's sealed state; made if need be. ``share``: of ``cluster_key``, which
    may lie in ``sealed``. ``secret``: of the enclave's seal, if there is one.
    """

    lock_hash: bytes
    node_count: int
    folder: Path
    cluster_key: ClusterKey
    share: ShareFile
    sealed: SealedFile | None = None
    secret: SealSecret | None = None


class ClusterMembership:
    """One node's part; made by ``open_cluster_membership``. ``run`` it while the mesh runs.

    ``campaign``: None where the nodes attest each other and elect nobody.
    """

    def __init__(
        self,
        campaign: Campaign | None,
        member: Member,
        links: MeshLinks,
        *,
        demand: Demand,
        started: EnclaveClient | None,
        log: Log,
    ) -> None:
        """``started``: the enclave, if nobody else watches it."""
        self.campaign = campaign
        self.demand = demand
        self._member = member
        self._links = links
        self._started = started
        self._log = log

    @property
    def shown(self) -> Mapping[int, Appraisal]:
        """What became of the evidence of peers, where any was taken."""
        return self._links.shown

    def heard_on(self, bus: MessageBus, on_unheard: Callable[[int], None]) -> MessageBus:
        """``bus`` for all else; where evidence is required, without those that have not shown it.

        ``on_unheard``: called with who sent what was dropped.
        """
        if self.demand is not Demand.REQUIRE:
            return bus
        return GatedBus(bus, self._links.has_shown, on_unheard)

    def connected(self, peer: int) -> None:
        """A stream of the mesh to ``peer`` has opened."""
        self._links.connected(peer)

    async def run(self) -> None:
        """Until cancelled. Raises OperatorError: the enclave's disk fails, or it is gone."""
        async with Supervisor(self._log) as tasks:
            tasks.spawn(self._links.run(), name="election_links")
            if self.campaign is not None:
                tasks.spawn(self._member.run(self._links), name="election_member")
                tasks.spawn(self._tell(self.campaign), name="election_told")
            if self._started is not None:
                tasks.spawn(self._started.watch(), name="election_enclave")

    async def _tell(self, campaign: Campaign) -> None:
        async for leading in campaign.leaders():
            self._log.info(
                "leader_elected",
                term=leading.term,
                leader=leading.leader,
                members=", ".join(leading.members),
            )


def cluster_configuration(
    place: ClusterPlace, config: ElectionConfig, attestation: AttestationConfig
) -> Configuration:
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
        attestation=attestation.demand,
        allowed=tuple(sorted({Allowed.parse(entry) for entry in attestation.allowed_enclaves})),
        cluster_key=key if may_share_key(key.threshold, place.node_count, mode) else None,
    )


@asynccontextmanager
async def open_cluster_membership(
    place: ClusterPlace,
    config: NodeConfig,
    *,
    bus: MessageBus,
    enclave: EnclaveClient | None,
    attested_for_s: float,
    entropy: Entropy,
    log: Log,
) -> AsyncIterator[ClusterMembership]:
    """Open a node's part for the block. Enter it before the bus starts.

    Args:
        place: which node it is.
        config: what its operator set.
        bus: the mesh.
        enclave: the one that signs duties; None: one is started for this alone.
        attested_for_s: for so long evidence counts, where any is asked for.
        entropy: the system's.
        log: the node's.

    Raises:
        ConfigInvalid: the configuration cannot be.
        OperatorError: seal, folder or enclave; says which, and how to mend it.
    """
    election, attestation = config.election, config.attestation
    configuration, own = cluster_configuration(place, election, attestation), bus.own_index
    secret = prepare_node_folder(place.folder, place.secret, entropy)
    started = None
    if enclave is None:
        confinement = Confinement(
            writable=(place.folder,),
            readable=_readable(place),
            required=config.enclave.require,
            tpm=config.enclave.tpm_path,
        )
        enclave = started = await EnclaveClient.launch(confinement)
    try:
        if started is not None:
            await tell_protections(started, log)
        files = ElectionFiles(place.folder, secret)
        if configuration.cluster_key is not None:
            files = replace(files, share=place.share, sealed=place.sealed)
        joining = Joining(
            configuration=configuration,
            source=own,
            files=files,
            has_tpm=bool(config.enclave.tpm),
            counts_by_tpm=election.tpm_counter,
            accepts_cold_start=election.accept_cold_start,
            timing=timing_of(election.heartbeat_ms / 1000),
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
        campaign = Campaign(configuration, own, member) if election.enabled else None
        yield ClusterMembership(
            campaign, member, links, demand=attestation.demand, started=started, log=log
        )
    finally:
        if started is not None:
            await started.close()


def _readable(place: ClusterPlace) -> tuple[Path, ...]:
    """What an enclave for elections alone reads: the share's folder, sealed keys, and their secret."""
    sealed = () if place.sealed is None else (Path(place.sealed.path).parent,)
    secret = () if place.secret is None else place.secret.paths
    return (Path(place.share.keystore).parent, *sealed, *secret)


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
