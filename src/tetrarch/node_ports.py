"""What a node is given: the world as ports, and what distinguishes it from any other node."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tetrarch.clock import Clock
from tetrarch.consensus.codec import Identity
from tetrarch.consensus.ports import Observer
from tetrarch.duties.aggsigdb import AggSigDB
from tetrarch.duties.dutydb import DutyDB
from tetrarch.duties.features import Agreed
from tetrarch.duties.group_crypto import GroupCrypto
from tetrarch.duties.keys import ClusterKeys
from tetrarch.duties.ports import Compute, Spawner, Storage
from tetrarch.duties.report import DutyReport
from tetrarch.duties.requested import Count, NoOperator, OperatorPort
from tetrarch.duties.scheduler import Scheduler
from tetrarch.duties.selections import ProofSource
from tetrarch.duties.types import PubKey
from tetrarch.duties.wire import Decorate, plain
from tetrarch.entropy import Entropy
from tetrarch.ethereum.beacon_node.ports import BeaconNode
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.messages import SignedValidatorRegistration
from tetrarch.network.peer_info import PeerInfo
from tetrarch.network.ports import MessageBus
from tetrarch.network.versions import CURRENT, Versions
from tetrarch.observability.logs import Log


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePorts:
    """The world, as one node sees it."""

    beacon_node: BeaconNode
    bus: MessageBus
    storage: Storage
    identity: Identity
    clock: Clock
    compute: Compute
    crypto: GroupCrypto
    entropy: Entropy
    spawner: Spawner
    observer: Observer
    log: Log
    looks_on_chain: bool = True  # for what became of its duties
    name_of: Callable[[int], str] = "node{}".format  # a node, for people
    on_report: Callable[[DutyReport], None] = lambda _report: None
    on_agreement: Callable[[Agreed], None] = lambda _agreed: None
    on_peer_info: Callable[[int, PeerInfo], None] = lambda _peer, _info: None
    on_fault: Callable[[int, str], None] = lambda _peer, _kind: None
    instance: bytes = bytes(8)  # of this process, as the bus introduces it to the peers
    # Whether an older process (or a newer: False) runs beside a peer's; None: it runs alone.
    older_twin_of: Callable[[int, bytes], bool | None] = lambda _peer, _instance: None
    on_edge: Decorate = plain  # around the work of each edge, each attempt anew: timing, tracing
    operator: OperatorPort = field(default_factory=NoOperator)
    count_lasting: Count = lambda _kind, _outcome, _count: None  # exits and registrations


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDescription:
    """What the node tells its peers of itself, for people to read."""

    version: str = ""
    git_commit: str = ""
    nickname: str = ""
    signing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeShape:
    """What distinguishes this node from any other."""

    chain: ChainSpec
    keys: ClusterKeys
    cluster_id: bytes  # the lock hash, 32 bytes
    fee_recipients: Mapping[PubKey, bytes] = field(default_factory=dict)  # zero: none is set
    builder_api: bool = False  # what this node wants; builders are asked if all do
    graffiti: bytes = bytes(32)
    attest_on_head: bool = False
    registrations: Mapping[PubKey, SignedValidatorRegistration] = field(default_factory=dict)
    versions: Versions = CURRENT
    description: NodeDescription = NodeDescription()
    trusts_own_history: bool = False  # signs without asking the peers: see ``safe_start``
    accepts_rollback_risk: bool = False  # even where the folder was restored from a backup
    doppelganger_detection: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitterPorts:
    """What the validator API's builder needs of the workflow."""

    scheduler: Scheduler
    dutydb: DutyDB
    aggsigdb: AggSigDB
    proofs: ProofSource
