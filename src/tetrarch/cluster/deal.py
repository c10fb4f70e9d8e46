"""Make a cluster in memory: split the keys, sign everything that the files carry.

One trusted dealer holds all secrets for a moment (solo flow). Pure but for the entropy it is given.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

from tetrarch.cluster.certificates import der_of
from tetrarch.cluster.definition import (
    Definition,
    Operator,
    ValidatorAddresses,
    sealed,
)
from tetrarch.cluster.deposits import (
    amounts_to_sign,
    deposit_signing_root,
    registration_signing_root,
    withdrawal_credentials,
)
from tetrarch.cluster.enr import encode_enr
from tetrarch.cluster.extension import Extension, NodeEntry, extension_hash
from tetrarch.cluster.lock import Deposit, DistributedValidator, Lock, Registration, lock_hash
from tetrarch.cluster.plan import ClusterPlan
from tetrarch.cluster.verify import verify_cluster
from tetrarch.crypto.bls import SecretKey
from tetrarch.crypto.blst import CURVE_ORDER
from tetrarch.crypto.k1 import IdentityKey
from tetrarch.crypto.threshold import split
from tetrarch.crypto.tls_identity import TlsIdentity, make_tls_identity
from tetrarch.entropy import Entropy
from tetrarch.errors import invariant


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSecrets:
    """Everything that only one node may have."""

    identity: IdentityKey
    tls: TlsIdentity
    shares: tuple[SecretKey, ...] = field(repr=False)  # by validator, in the lock's order
    cluster_share: SecretKey = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DealtCluster:
    """A whole new cluster, not yet on disk."""

    plan: ClusterPlan
    lock: Lock
    extension: Extension
    nodes: tuple[NodeSecrets, ...]


def deal_cluster(
    plan: ClusterPlan, root_keys: Sequence[SecretKey], *, entropy: Entropy
) -> DealtCluster:
    """Split ``root_keys`` among the nodes of ``plan`` and sign lock and extension.

    Args:
        plan: what was asked for.
        root_keys: one for each validator; forget them afterwards.
        entropy: must be unpredictable; every secret of the cluster comes from it.

    Cost: 6 ms for each validator of four nodes, a final verification included.

    Safety: all secrets are in this process's memory meanwhile.
    """
    invariant(len(root_keys) == plan.validator_count, "one root key for each validator")
    identities = [IdentityKey.generate(entropy) for _ in range(plan.node_count)]
    shares_of: list[tuple[SecretKey, ...]] = []
    validators = []
    for root in root_keys:
        shares = _split(plan, root, entropy)
        shares_of.append(shares)
        validators.append(_validator(plan, root, shares))
    lock = Lock(definition=_definition(plan, identities, entropy), validators=tuple(validators))
    digest = lock_hash(lock)
    lock = replace(
        lock,
        lock_hash=digest,
        signature_aggregate=_sum_of(share for each in shares_of for share in each).sign(digest),
        node_signatures=tuple(key.sign(digest) for key in identities),
    )
    cluster_root = SecretKey.generate(entropy)
    cluster_shares = _split(plan, cluster_root, entropy)
    tls = [make_tls_identity(key.public_key(), entropy=entropy) for key in identities]
    extension = _extension(plan, lock, cluster_root.public_key(), cluster_shares, tls)
    digest = extension_hash(extension)
    extension = replace(
        extension,
        extension_hash=digest,
        signature_aggregate=_sum_of(cluster_shares).sign(digest),
        node_signatures=tuple(key.sign(digest) for key in identities),
    )
    findings = list(verify_cluster(lock, extension, entropy=entropy))
    invariant(not findings, f"a new cluster verifies: {findings[:1]}")
    return DealtCluster(
        plan=plan,
        lock=lock,
        extension=extension,
        nodes=tuple(
            NodeSecrets(
                identity=identities[index],
                tls=tls[index],
                shares=tuple(shares[index] for shares in shares_of),
                cluster_share=cluster_shares[index],
            )
            for index in range(plan.node_count)
        ),
    )


def _split(plan: ClusterPlan, root: SecretKey, entropy: Entropy) -> tuple[SecretKey, ...]:
    dealing = split(root, share_count=plan.node_count, threshold=plan.threshold, entropy=entropy)
    return tuple(dealing.shares[index + 1] for index in range(plan.node_count))


def _sum_of(secrets: Iterable[SecretKey]) -> SecretKey:
    """The key whose signature is the aggregate of all theirs: signing is linear in the key."""
    total = sum(int.from_bytes(secret.to_bytes(), "big") for secret in secrets) % CURVE_ORDER
    return SecretKey.from_bytes(total.to_bytes(32, "big"))


def _validator(
    plan: ClusterPlan, root: SecretKey, shares: Sequence[SecretKey]
) -> DistributedValidator:
    pubkey = root.public_key()
    fork_version = plan.network.genesis_fork_version
    deposits = []
    for amount in amounts_to_sign(plan.deposit_amounts, compounding=plan.compounding):
        unsigned = Deposit(
            pubkey=pubkey,
            withdrawal_credentials=withdrawal_credentials(
                plan.withdrawal_address, compounding=plan.compounding
            ),
            amount_gwei=amount,
            signature=b"",
        )
        signature = root.sign(deposit_signing_root(unsigned, fork_version=fork_version))
        deposits.append(replace(unsigned, signature=signature))
    genesis_time_s = plan.network.genesis_time_s
    registration = Registration(
        fee_recipient=plan.fee_recipient,
        gas_limit=plan.gas_limit,
        timestamp_s=plan.created_at_s if genesis_time_s is None else genesis_time_s,
        pubkey=pubkey,
        signature=b"",
    )
    root_signed = registration_signing_root(registration, fork_version=fork_version)
    return DistributedValidator(
        pubkey=pubkey,
        public_shares=tuple(share.public_key() for share in shares),
        deposits=tuple(deposits),
        registration=replace(registration, signature=root.sign(root_signed)),
    )


def _definition(
    plan: ClusterPlan, identities: Sequence[IdentityKey], entropy: Entropy
) -> Definition:
    created = datetime.fromtimestamp(plan.created_at_s, UTC)
    addresses = ValidatorAddresses(
        fee_recipient=plan.fee_recipient, withdrawal=plan.withdrawal_address
    )
    return sealed(
        Definition(
            name=plan.name,
            uuid=str(UUID(bytes=entropy(16), version=4)).upper(),
            timestamp=created.strftime("%Y-%m-%dT%H:%M:%SZ"),
            num_validators=plan.validator_count,
            threshold=plan.threshold,
            fork_version=plan.network.genesis_fork_version,
            operators=tuple(Operator(enr=encode_enr(key)) for key in identities),
            validators=(addresses,) * plan.validator_count,
            deposit_amounts=amounts_to_sign(plan.deposit_amounts, compounding=plan.compounding),
            target_gas_limit=plan.gas_limit,
            compounding=plan.compounding,
        )
    )


def _extension(
    plan: ClusterPlan,
    lock: Lock,
    cluster_public_key: bytes,
    cluster_shares: Sequence[SecretKey],
    tls: Sequence[TlsIdentity],
) -> Extension:
    addresses = plan.addresses or ("",) * plan.node_count
    return Extension(
        lock_hash=lock.lock_hash,
        threshold=plan.threshold,
        cluster_public_key=cluster_public_key,
        cluster_public_shares=tuple(share.public_key() for share in cluster_shares),
        nodes=tuple(
            NodeEntry(certificate_der=der_of(identity.certificate_pem), address=address)
            for identity, address in zip(tls, addresses, strict=True)
        ),
    )
