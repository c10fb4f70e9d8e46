"""Starts one node for real: files, enclave process, sockets, database; then runs ``node.Node``.

Order matters and stands here once. Up: files verified, database locked, enclave opened, beacon
node asked who it is, listeners, workers. Down: workers, listeners, enclave, database.
"""

import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tetrarch import __version__
from tetrarch.api.duty_views import display_name, note_inclusion
from tetrarch.api.instruments import Instruments
from tetrarch.beacon_access import await_chain, open_beacon_nodes
from tetrarch.build_info import git_commit
from tetrarch.clock import Clock, SystemClock
from tetrarch.cluster.load import load_cluster, load_identity
from tetrarch.cluster.types import Cluster, ClusterOperator
from tetrarch.compute import ThreadCompute
from tetrarch.config import NodeConfig, SigningSource
from tetrarch.consensus.identity import K1Identity
from tetrarch.duties.group_crypto import BlsGroupCrypto
from tetrarch.duties.keys import ClusterKeys
from tetrarch.duties.report import DutyReport
from tetrarch.election.cluster_key import ClusterKey
from tetrarch.election.of_cluster import ClusterMembership, ClusterPlace, open_cluster_membership
from tetrarch.enclave.history import bind_chain
from tetrarch.enclave.history import chain as bound_chain
from tetrarch.entropy import Entropy, system_entropy
from tetrarch.errors import ConfigInvalid
from tetrarch.ethereum.beacon_nodes.chain_identity import OurChain
from tetrarch.ethereum.beacon_nodes.several import SeveralBeaconNodes
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.garbage import collect_quietly, freeze_start
from tetrarch.network.mesh import Mesh, MeshSettings
from tetrarch.network.peer import PeerIdentity
from tetrarch.network.ports import MessageBus
from tetrarch.node import SCHEMAS, Node
from tetrarch.node_ports import NodeDescription, NodePorts, NodeShape, SubmitterPorts
from tetrarch.observability.logs import Log
from tetrarch.operator_files import OperatorFolder
from tetrarch.overlay_part import OverlayPart, open_overlay
from tetrarch.share_files import cluster_share_file, seal_secret, sealed_file
from tetrarch.signing_source import Source, SourceSetting, check_seal, signing_source
from tetrarch.stop_signals import on_stop_signal
from tetrarch.storage.database import Database
from tetrarch.storage.folders import make_folder
from tetrarch.storage.room import RoomWatch, needing_room
from tetrarch.supervision import Supervisor, sole_cause
from tetrarch.validator_api.access import Access, load_access
from tetrarch.validator_api.api import Limits, ValidatorApi
from tetrarch.validator_api.ports import Ports as ApiPorts
from tetrarch.validator_api.server import ValidatorApiServer

DATABASE_FILE = "database/node.sqlite"
ELECTION_FOLDER = "database/election"  # where the enclave that signs may write, too
SWITCH_INTERVAL_S = 1e-4
DISK_FULL_MEND = "free space on this disk; until then nothing is signed, and nothing stored is lost"


class PeerAddressMissing(ConfigInvalid):
    """Nothing says where a peer listens."""

    code = "peer_address_missing"
    mend = 'set mesh.peers in tetrarch.toml, as peers = {"2" = "host:port"}'


async def run_node(
    folder: Path,
    config: NodeConfig,
    *,
    clock: Clock | None = None,
    trusts_own_history: bool = False,
    accepts_rollback_risk: bool = False,
) -> None:
    """Run the node of ``folder`` until SIGTERM or SIGINT.

    Args:
        folder: as ``tetrarch cluster create`` wrote it.
        config: what the operator set.
        clock: the host's clock by default.
        trusts_own_history: sign without asking the peers what they saw our share sign.
        accepts_rollback_risk: even where the folder was restored from a backup.

    Raises:
        OperatorError: a person must mend something; nothing was lost.
        InvariantBroken: the code is wrong; the node must not go on.
    """
    # Native work in threads waits for the interpreter at its end; at the default 5 ms a slot's
    # signatures were measured at 900 ms beside a busy event loop, at 0.1 ms at 25 ms.
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    clock = clock or SystemClock()
    try:
        async with AsyncExitStack() as stack:
            compute = ThreadCompute()
            stack.callback(compute.close)
            # Thousands of signatures are verified: seconds that the loop must not stand still.
            cluster = await compute.run(partial(load_cluster, folder))
            launch = _Launch(
                folder=folder,
                config=config,
                cluster=cluster,
                clock=clock,
                compute=compute,
                entropy=system_entropy,
                seen=Instruments(
                    cluster, config, clock=clock, entropy=system_entropy, stream=sys.stderr
                ),
                trusts_own_history=trusts_own_history,
                accepts_rollback_risk=accepts_rollback_risk,
            )
            await launch.run(stack)
    except BaseExceptionGroup as group:
        raise sole_cause(group) from group


@dataclass(frozen=True, slots=True, kw_only=True)
class _Launch:
    folder: Path
    config: NodeConfig
    cluster: Cluster
    clock: Clock
    compute: ThreadCompute
    entropy: Entropy
    seen: Instruments
    trusts_own_history: bool
    accepts_rollback_risk: bool

    @property
    def log(self) -> Log:
        """The node's."""
        return self.seen.log

    async def run(self, stack: AsyncExitStack) -> None:
        """Bring everything up in order, run, bring it down in reverse."""
        config, log = self.config, self.log
        mesh = self._mesh()  # checks the certificates before anything is opened
        access = load_access(self.folder, config.validator_api)
        if config.signing is SigningSource.ENCLAVE:
            check_seal(self.folder, config)
        make_folder((self.folder / DATABASE_FILE).parent)
        database = Database.open(self.folder / DATABASE_FILE, SCHEMAS)
        stack.push_async_callback(database.close)
        tasks = Supervisor(log)
        beacon_node = await stack.enter_async_context(
            open_beacon_nodes(
                config.beacon_node,
                ours=await self._known_chain(database),
                clock=self.clock,
                spawner=tasks,
                metrics=self.seen.metrics,
                log=log,
            )
        )
        chain = await await_chain(beacon_node, config.beacon_node, log=log)
        root = chain.forks.genesis_validators_root
        with needing_room():  # the group keys' history is one chain's, like the enclave's
            await database.write(lambda connection: bind_chain(connection, root))
        keys = cluster_keys(self.cluster)
        crypto = BlsGroupCrypto(keys=keys, entropy=self.entropy)
        signing = await stack.enter_async_context(
            signing_source(
                SourceSetting(folder=self.folder, config=config, cluster=self.cluster, chain=chain),
                keys=keys,
                crypto=crypto,
                compute=self.compute,
                storage=database,
                clock=self.clock,
                metrics=self.seen.metrics,
                log=log,
            )
        )
        bus = self.seen.bus(mesh)
        membership = await self._membership(stack, bus, chain, signing)
        if membership is not None:
            bus = membership.heard_on(bus, self.seen.count_unattested)
        overlay = await self._overlay(stack)
        watch = self.seen.workflow(chain)
        ports = NodePorts(
            beacon_node=beacon_node,
            bus=bus,
            storage=RoomWatch(database, self._tell_room),
            identity=self._identity(),
            clock=self.clock,
            compute=self.compute,
            crypto=crypto,
            entropy=self.entropy,
            spawner=tasks,
            observer=self.seen.consensus,
            log=log,
            name_of=partial(display_name, mesh),
            on_report=partial(self._note_report, mesh),
            on_peer_info=self.seen.peers.note,
            on_agreement=self.seen.peers.note_agreement,
            on_fault=partial(self._note_fault, mesh),
            on_edge=watch.around,
            operator=OperatorFolder(self.folder, self.compute, log),
            count_lasting=self.seen.count_lasting,
            instance=mesh.instance,
            older_twin_of=mesh.older_twin_of,
        )
        shape = NodeShape(
            chain=chain,
            keys=keys,
            cluster_id=self.cluster.lock_hash,
            fee_recipients={v.pubkey: v.fee_recipient for v in self.cluster.validators},
            builder_api=config.builder_api,
            description=NodeDescription(
                version=f"tetrarch/{__version__}",
                git_commit=git_commit(),
                nickname=config.nickname,
                signing=config.signing.value,
            ),
            graffiti=config.graffiti.encode()[:32].ljust(32, b"\0"),
            attest_on_head=config.attest_on_head,
            registrations={v.pubkey: v.registration.signed() for v in self.cluster.validators},
            trusts_own_history=self.trusts_own_history,
            accepts_rollback_risk=self.accepts_rollback_risk,
            doppelganger_detection=config.doppelganger_detection,
        )
        apis: list[ValidatorApi] = []

        def build_submitter(parts: SubmitterPorts) -> ValidatorApi:
            api_ports = ApiPorts(
                duties=parts.scheduler,
                decided=parts.dutydb,
                aggregated=parts.aggsigdb,
                proofs=parts.proofs,
                keys=keys,
                beacon_node=beacon_node,
                chain=chain,
                clock=self.clock,
                compute=self.compute,
                entropy=self.entropy,
                held_reason=lambda: node.safe_start.held_reason(),  # noqa: PLW0108 - built later
            )
            limits = Limits(request_s=config.validator_api.request_timeout_ms / 1000)
            version = f"tetrarch/{__version__}"
            apis.append(ValidatorApi(api_ports, version=version, limits=limits))
            return apis[0]

        by_client = config.signing is SigningSource.VALIDATOR_CLIENT
        node = Node(
            shape,
            ports,
            signing=None if signing is None else signing.service,
            own_history=None if signing is None else signing.history,
            build_submitter=build_submitter if by_client else None,
        )
        watch.listen(node)
        stack.push_async_callback(node.close)
        _connect(node, mesh, beacon_node)
        if signing is not None:
            signing.use(node.components.dutydb)
        if membership is not None:
            mesh.on_connected(membership.connected)
        with needing_room():
            await node.load()
        parts = _Parts(
            chain=chain,
            beacon_node=beacon_node,
            mesh=mesh,
            signing=signing,
            membership=membership,
            overlay=overlay,
            node=node,
            apis=tuple(apis),
            access=access,
        )
        async with tasks:
            self._stop_on_signals(tasks)
            await self._start(tasks, parts)
            log.info(
                "node_started",
                cluster=self.cluster.lock_hash.hex()[:7],
                validators=len(self.cluster.validators),
                threshold=self.cluster.threshold,
                signing=config.signing.value,
                beacon_node=beacon_node.name,
            )

    async def _start(self, tasks: Supervisor, parts: "_Parts") -> None:
        """Open listeners and start workers, in this order."""
        api_config, signing, membership = self.config.validator_api, parts.signing, parts.membership
        self.seen.start(
            tasks,
            node=parts.node,
            mesh=parts.mesh,
            beacon_node=parts.beacon_node,
            signing_trouble=(lambda: None) if signing is None else signing.trouble,
            membership=membership,
            overlay=None if parts.overlay is None else parts.overlay.face,
        )
        tasks.spawn(parts.beacon_node.watch(), name="beacon-nodes")
        tasks.spawn(parts.mesh.run(), name="mesh")
        if signing is not None:
            tasks.spawn(signing.watch(), name="signing")
        if membership is not None:
            tasks.spawn(membership.run(), name="membership")
        if parts.overlay is not None:
            peers = tuple(int(operator.peer_index) for operator in self.cluster.peers)
            tasks.spawn(parts.overlay.run(parts.node.requests, peers), name="overlay")
        for api in parts.apis:
            server = ValidatorApiServer(
                api,
                host=api_config.listen_host,
                port=api_config.listen_port,
                log=self.log,
                access=parts.access,
                answered=self.seen.requests.answered,
            )
            tasks.spawn(server.run(), name="validator-api")
        await parts.mesh.listening.wait()
        freeze_start()
        tasks.spawn(collect_quietly(parts.chain, self.clock), name="garbage")
        parts.node.start()

    async def _membership(
        self, stack: AsyncExitStack, bus: MessageBus, chain: ChainSpec, signing: Source | None
    ) -> ClusterMembership | None:
        """Open the node's part in the cluster's attestation and election, if there is any."""
        if not self.config.meets_peers:
            return None
        key = self.cluster.cluster_key
        secret = seal_secret(self.folder, self.config.enclave)
        place = ClusterPlace(
            lock_hash=self.cluster.lock_hash,
            node_count=self.cluster.node_count,
            folder=self.folder / ELECTION_FOLDER,
            cluster_key=ClusterKey(key.public_key, key.public_shares, self.cluster.threshold),
            share=cluster_share_file(self.folder, self.cluster),
            sealed=sealed_file(self.folder, secret),
            secret=secret,
        )
        return await stack.enter_async_context(
            open_cluster_membership(
                place,
                self.config,
                bus=bus,
                enclave=None if signing is None else signing.enclave,
                attested_for_s=chain.slots_per_epoch * chain.slot_duration_ms / 1000,
                entropy=self.entropy,
                log=self.log.bind(topic="election"),
            )
        )

    async def _overlay(self, stack: AsyncExitStack) -> OverlayPart | None:
        """Open the node's part in the overlay, if it has one."""
        if not self.config.overlay.enabled:
            return None
        return await stack.enter_async_context(
            open_overlay(
                self.folder,
                self.config.overlay,
                lock_hash=self.cluster.lock_hash,
                clock=self.clock,
                entropy=self.entropy,
                metrics=self.seen.metrics,
                log=self.log.bind(topic="overlay"),
            )
        )

    def _note_report(self, mesh: Mesh, report: DutyReport) -> None:
        self.seen.count_report(report)
        for part in report.parts:
            if part.partials:
                mesh.praise(part.peer)

    def _note_fault(self, mesh: Mesh, peer: int, kind: str) -> None:
        self.seen.count_fault(peer, kind)
        mesh.blame(peer, kind)

    def _tell_room(self, full: bool) -> None:  # noqa: FBT001 - a callback's only value
        path = str(self.folder / DATABASE_FILE)
        if full:
            self.log.error("disk_full", path=path, mend=DISK_FULL_MEND)
        else:
            self.log.info("disk_has_room", path=path)

    def _identity(self) -> K1Identity:
        return K1Identity(
            key=load_identity(self.folder).key,
            public_keys=tuple(operator.public_key for operator in self.cluster.operators),
        )

    def _mesh(self) -> Mesh:
        identity, config = load_identity(self.folder), self.config
        own_host, own_port = _host_port(self.cluster.own.address or "127.0.0.1:3610")
        settings = MeshSettings(
            own_index=self.cluster.peer_index,
            lock_hash=self.cluster.lock_hash,
            peers=tuple(self._peer(operator) for operator in self.cluster.peers),
            private_key_pem=identity.tls.private_key_pem,
            certificate_pem=identity.tls.certificate_pem,
            listen_host=config.mesh.listen_host or own_host,
            listen_port=config.mesh.listen_port or own_port,
            builder_api=config.builder_api,
            version=f"tetrarch/{__version__}",
            nickname=config.nickname,
            clock_offset_max_s=config.mesh.clock_offset_ms_max / 1000,
        )
        return Mesh(
            settings,
            clock=self.clock,
            entropy=self.entropy,
            metrics=self.seen.metrics,
            log=self.log.bind(topic="p2p"),
        )

    def _peer(self, operator: ClusterOperator) -> PeerIdentity:
        index = int(operator.peer_index)
        address = self.config.mesh.peers.get(str(index), operator.address)
        if not address:
            raise PeerAddressMissing("find peer", peer=index)
        host, port = _host_port(address)
        return PeerIdentity(
            index=index, certificate_der=operator.certificate_der, host=host, port=port
        )

    async def _known_chain(self, database: Database) -> OurChain:
        """The cluster's network; and which chain of that name we have signed on before."""
        return OurChain(
            fork_version=self.cluster.fork_version, validators_root=await database.read(bound_chain)
        )

    def _stop_on_signals(self, tasks: Supervisor) -> None:
        def stop(name: str) -> None:
            self.log.info("node_stopping", signal=name)
            tasks.stop()

        on_stop_signal(stop)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What is built, and not started yet."""

    chain: ChainSpec
    beacon_node: SeveralBeaconNodes
    mesh: Mesh
    signing: Source | None
    membership: ClusterMembership | None
    overlay: OverlayPart | None
    node: Node
    apis: tuple[ValidatorApi, ...]
    access: Access


def _connect(node: Node, mesh: Mesh, beacon_node: SeveralBeaconNodes) -> None:
    """What the node's surroundings tell it, and it them."""
    mesh.on_connected(node.peer_connected)
    node.follow(beacon_node)
    node.tracking.inclusion_settled(partial(note_inclusion, beacon_node))


def cluster_keys(cluster: Cluster) -> ClusterKeys:
    """The workflow's view of the cluster's public keys."""
    return ClusterKeys(
        threshold=cluster.threshold,
        share_count=cluster.node_count,
        own_share_index=cluster.share_index,
        shares={validator.pubkey: validator.public_shares for validator in cluster.validators},
    )


def _host_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise ConfigInvalid("read address", got=address, expected="host:port")
    return host.strip("[]"), int(port)
