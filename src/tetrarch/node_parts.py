"""Builds the parts of a node from its ports. ``node`` puts them together and connects them."""

from collections.abc import Callable

from tetrarch.consensus.messages import faulty_max, quorum
from tetrarch.consensus.priority import PriorityCodec
from tetrarch.duties.aggsigdb import AggSigDB
from tetrarch.duties.agreement import Agreement
from tetrarch.duties.broadcaster import Broadcaster
from tetrarch.duties.deadline import Deadlines
from tetrarch.duties.dutydb import DutyDB
from tetrarch.duties.evidence import Sources
from tetrarch.duties.exits import Exits
from tetrarch.duties.fetcher import BlockSettings, Fetcher
from tetrarch.duties.info_sync import Agenda, InfoSync, OwnAbilities
from tetrarch.duties.parsigdb import ParSigDB
from tetrarch.duties.parsigex import ParSigEx
from tetrarch.duties.proof_fetcher import ProofFetcher
from tetrarch.duties.registrations import Registrations
from tetrarch.duties.requested import LastingPorts, Requested
from tetrarch.duties.scheduler import Scheduler
from tetrarch.duties.selections import ProofSource
from tetrarch.duties.sigagg import SigAgg
from tetrarch.duties.signer import Signer, SigningService
from tetrarch.duties.slashing import GroupHistory
from tetrarch.duties.wire import Components, Submitter
from tetrarch.network.peer_info import PeerInfo, PeerInfos
from tetrarch.network.requests import Requests
from tetrarch.node_ports import NodePorts, NodeShape, SubmitterPorts


def build_peer_infos(shape: NodeShape, ports: NodePorts, requests: Requests) -> PeerInfos:
    """What the node tells of itself, and hears of others."""
    described, versions = shape.description, shape.versions
    own = PeerInfo(
        version=described.version,
        git_commit=described.git_commit,
        started_s=max(int(ports.clock.wall_s()), 0),
        lock_hash=shape.cluster_id,
        builder_api=shape.builder_api,
        signing=described.signing,
        nickname=described.nickname,
        protocol_min=versions.protocol_min,
        protocol=versions.protocol,
        features=versions.features,
    )
    log = ports.log.bind(topic="peerinfo")
    return PeerInfos(own, requests, peers=ports.bus.peers, log=log, on_info=ports.on_peer_info)


def build_info_sync(
    shape: NodeShape, ports: NodePorts, requests: Requests, peer_infos: PeerInfos
) -> InfoSync:
    """The cluster's agreement on versions and features."""
    node_count = shape.keys.share_count
    return InfoSync(
        own=OwnAbilities(
            versions=shape.versions,
            builder_api=shape.builder_api,
            own_index=ports.bus.own_index,
            node_count=node_count,
            needed=quorum(node_count),
            complete_rounds=faulty_max(node_count),
        ),
        codec=PriorityCodec(
            identity=ports.identity, cluster_id=shape.cluster_id, node_count=node_count
        ),
        requests=requests,
        storage=ports.storage,
        agenda=Agenda(chain=shape.chain, clock=ports.clock),
        log=ports.log.bind(topic="infosync"),
        lacks=peer_infos.lacking,
    )


def build_components(
    shape: NodeShape,
    ports: NodePorts,
    shared: tuple[InfoSync, GroupHistory],
    signing: SigningService | None,
    build_submitter: Callable[[SubmitterPorts], Submitter] | None,
) -> Components:
    """The workflow's parts. ``shared`` are those that the node itself uses, too."""
    chain, keys, clock, log = shape.chain, shape.keys, ports.clock, ports.log
    features, history = shared
    deadlines = Deadlines(chain=chain, clock=clock)
    store = DutyDB(storage=ports.storage, preset=chain.preset, guard=history.guard)
    signed = AggSigDB(storage=ports.storage)
    scheduler = Scheduler(
        beacon_node=ports.beacon_node,
        chain=chain,
        clock=clock,
        pubkeys=keys.pubkeys,
        signs_by_itself=signing is not None,
        spawner=ports.spawner,
        log=log.bind(topic="sched"),
        attest_on_head=shape.attest_on_head,
    )
    partials = ParSigDB(
        storage=ports.storage,
        threshold=keys.threshold,
        clock=clock,
        is_open=deadlines.is_open,
        log=log.bind(topic="parsigdb"),
    )
    own = partials if signing is None else None
    proofs = ProofSource(own=own, share_index=keys.own_share_index, log=log.bind(topic="fetcher"))
    lasting = _lasting(shape, ports)
    registrations = Registrations(
        lasting,
        base=shape.registrations,
        fee_recipients=shape.fee_recipients,
        pubkeys=keys.pubkeys,
        builder_api=shape.builder_api,
    )
    payees = registrations.payees
    fetcher = Fetcher(
        beacon_node=ports.beacon_node,
        chain=chain,
        aggregated=signed,
        blocks=BlockSettings(features=features, graffiti=shape.graffiti, payees=payees),
        proofs=ProofFetcher(
            beacon_node=ports.beacon_node,
            chain=chain,
            decided=store,
            aggregated=signed,
            source=proofs,
            features=features,
            attests=scheduler.attests,
            log=log.bind(topic="fetcher"),
        ),
        log=log.bind(topic="fetcher"),
    )
    agreement = Agreement(
        sources=Sources(
            definitions=scheduler,
            view=fetcher.view,
            decided=store,
            aggregated=signed,
            history=history,
            features=features,
            payees=payees,
            former_payee=registrations.former_payee,
        ),
        ballots=features,
        complete_rounds=faulty_max(shape.keys.share_count),
        chain=chain,
        compute=ports.compute,
        crypto=ports.crypto,
        log=log.bind(topic="qbft"),
    )
    return Components(
        scheduler=scheduler,
        fetcher=fetcher,
        agreement=agreement,
        dutydb=store,
        info_sync=features,
        signer=None
        if signing is None
        else Signer(service=signing, keys=keys, chain=chain, log=log.bind(topic="signer")),
        validator_api=None
        if build_submitter is None
        else build_submitter(
            SubmitterPorts(scheduler=scheduler, dutydb=store, aggsigdb=signed, proofs=proofs)
        ),
        parsigdb=partials,
        parsigex=ParSigEx(
            bus=ports.bus,
            keys=keys,
            chain=chain,
            clock=clock,
            own=partials,
            log=log.bind(topic="parsigex"),
        ),
        sigagg=SigAgg(
            crypto=ports.crypto, chain=chain, compute=ports.compute, log=log.bind(topic="sigagg")
        ),
        aggsigdb=signed,
        broadcaster=Broadcaster(
            beacon_node=ports.beacon_node,
            decided=store,
            definitions=scheduler,
            chain=chain,
            log=log.bind(topic="bcast"),
        ),
        requested=Requested(lasting, schedule=scheduler, pubkeys=keys.pubkeys),
        exits=Exits(lasting, signs_by_itself=signing is not None),
        registrations=registrations,
        deadlines=deadlines,
    )


def _lasting(shape: NodeShape, ports: NodePorts) -> LastingPorts:
    return LastingPorts(
        operator=ports.operator,
        beacon_node=ports.beacon_node,
        chain=shape.chain,
        clock=ports.clock,
        spawner=ports.spawner,
        compute=ports.compute,
        crypto=ports.crypto,
        count=ports.count_lasting,
        log=ports.log,
    )
