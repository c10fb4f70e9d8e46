"""A cluster as its node sees it: verified, immutable, and without any secret."""

from dataclasses import dataclass
from functools import cached_property

from tetrarch.cluster.enr import decode_enr
from tetrarch.cluster.extension import Extension
from tetrarch.cluster.lock import Lock, Registration
from tetrarch.duties.types import PeerIndex, PubKey, ShareIndex
from tetrarch.errors import invariant


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOperator:
    """One operator's node. ``address`` is ``host:port`` or empty, a hint."""

    peer_index: PeerIndex
    enr: str
    public_key: bytes  # 33 bytes, secp256k1: the node's identity
    certificate_der: bytes  # pinned for TLS
    address: str

    @property
    def share_index(self) -> ShareIndex:
        """Which share of every key this node holds."""
        return ShareIndex(self.peer_index + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterValidator:
    """One validator that the cluster runs; ``public_shares[i]`` belongs to share i + 1."""

    pubkey: PubKey
    public_shares: tuple[bytes, ...]
    fee_recipient: bytes  # 20 bytes
    registration: Registration  # pre-signed

    def public_share(self, index: ShareIndex) -> bytes:
        """The public key of share ``index``, 48 bytes."""
        invariant(1 <= index <= len(self.public_shares), "a share index names a node")
        return self.public_shares[index - 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterKey:
    """The key that signs certificates of the cluster itself, and never a duty."""

    public_key: bytes
    public_shares: tuple[bytes, ...]


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Everything a node knows of its cluster. ``peer_index`` is its own place among the nodes."""

    name: str
    peer_index: PeerIndex
    threshold: int
    fork_version: bytes  # the chain's genesis fork version
    lock_hash: bytes
    operators: tuple[ClusterOperator, ...]  # by peer index
    validators: tuple[ClusterValidator, ...]  # in the lock's order, which keystores follow
    cluster_key: ClusterKey

    @property
    def node_count(self) -> int:
        """How many nodes the cluster has: n."""
        return len(self.operators)

    @property
    def share_index(self) -> ShareIndex:
        """Which share of every key this node holds."""
        return ShareIndex(self.peer_index + 1)

    @property
    def own(self) -> ClusterOperator:
        """The operator that this node belongs to."""
        return self.operators[self.peer_index]

    @property
    def peers(self) -> tuple[ClusterOperator, ...]:
        """All nodes but this one."""
        return tuple(each for each in self.operators if each.peer_index != self.peer_index)

    @cached_property
    def by_pubkey(self) -> dict[PubKey, ClusterValidator]:
        """Validators by root key. Not to be changed."""
        return {validator.pubkey: validator for validator in self.validators}

    @cached_property
    def by_own_share(self) -> dict[bytes, ClusterValidator]:
        """Validators by this node's public share of them. Not to be changed."""
        return {each.public_share(self.share_index): each for each in self.validators}

    def holder_of(self, public_key: bytes) -> str | None:
        """Whose share ``public_key`` (48 bytes) is, in words; None if it is none of this cluster.

        For the error about a keystore in the wrong place.
        """
        for index, validator in enumerate(self.validators):
            if public_key in validator.public_shares:
                node = validator.public_shares.index(public_key)
                return f"share of node {node} for validator {index}"
        if public_key in self.cluster_key.public_shares:
            node = self.cluster_key.public_shares.index(public_key)
            return f"share of node {node} for the cluster key"
        return None


def cluster_of(lock: Lock, extension: Extension, peer_index: int) -> Cluster:
    """The view of node ``peer_index``. Both files must have been verified: nothing is checked."""
    invariant(0 <= peer_index < len(extension.nodes), "a node sees its own cluster")
    definition = lock.definition
    return Cluster(
        name=definition.name,
        peer_index=PeerIndex(peer_index),
        threshold=definition.threshold,
        fork_version=definition.fork_version,
        lock_hash=lock.lock_hash,
        operators=tuple(
            ClusterOperator(
                peer_index=PeerIndex(index),
                enr=operator.enr,
                public_key=decode_enr(operator.enr).public_key,
                certificate_der=node.certificate_der,
                address=node.address,
            )
            for index, (operator, node) in enumerate(
                zip(definition.operators, extension.nodes, strict=True)
            )
        ),
        validators=tuple(
            ClusterValidator(
                pubkey=PubKey(validator.pubkey),
                public_shares=validator.public_shares,
                fee_recipient=addresses.fee_recipient,
                registration=validator.registration,
            )
            for validator, addresses in zip(lock.validators, definition.validators, strict=True)
        ),
        cluster_key=ClusterKey(
            public_key=extension.cluster_public_key,
            public_shares=extension.cluster_public_shares,
        ),
    )
