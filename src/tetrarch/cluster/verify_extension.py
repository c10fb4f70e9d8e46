"""Every rule for the extension file, given its lock."""

from collections.abc import Iterator

from tetrarch.cluster.certificates import check_certificate
from tetrarch.cluster.extension import Extension, extension_hash
from tetrarch.cluster.findings import Finding, extension_finding
from tetrarch.cluster.lock import Lock
from tetrarch.cluster.node_signatures import check_node_signatures
from tetrarch.cluster.public_shares import check_public_shares
from tetrarch.crypto import bls
from tetrarch.errors import InputInvalid


def verify_extension(extension: Extension, lock: Lock) -> Iterator[Finding]:
    """Yield what is wrong; nothing for a good extension of ``lock``."""
    if extension.lock_hash != lock.lock_hash:
        yield extension_finding("lock_hash_wrong", "lock_hash", "is of another lock")
    if extension.threshold != lock.definition.threshold:
        yield extension_finding(
            "threshold_wrong", "threshold", f"is not the lock's {lock.definition.threshold}"
        )
    if extension.extension_hash != extension_hash(extension):
        yield extension_finding(
            "extension_hash_wrong", "extension_hash", "is not the hash of the extension"
        )
    yield from _cluster_key(extension, lock)
    yield from _nodes(extension, lock)
    yield from _node_signatures(extension, lock)


def _cluster_key(extension: Extension, lock: Lock) -> Iterator[Finding]:
    for code, where, problem in check_public_shares(
        extension.cluster_public_key,
        extension.cluster_public_shares,
        share_count=len(lock.definition.operators),
        threshold=extension.threshold,
    ):
        name = "public_key" if where == "root" else where
        yield extension_finding(code, f"cluster_key.{name}", problem)
    own = [extension.cluster_public_key, *extension.cluster_public_shares]
    duty_keys = {key for each in lock.validators for key in (each.pubkey, *each.public_shares)}
    if len(set(own)) != len(own) or duty_keys & set(own):
        yield extension_finding(
            "key_repeated", "cluster_key", "has a key that occurs twice or that a validator has"
        )
    if not bls.fast_aggregate_verify(
        extension.cluster_public_shares, extension.extension_hash, extension.signature_aggregate
    ):
        yield extension_finding(
            "signature_aggregate_wrong",
            "cluster_key.signature_aggregate",
            "is not the aggregate of all cluster-key shares over extension_hash",
        )


def _nodes(extension: Extension, lock: Lock) -> Iterator[Finding]:
    if len(extension.nodes) != len(lock.definition.operators):
        yield extension_finding(
            "node_count_wrong",
            "nodes",
            f"{len(extension.nodes)} nodes of {len(lock.definition.operators)} operators",
        )
    seen: dict[object, int] = {}
    for index, node in enumerate(extension.nodes):
        where = f"nodes[{index}].tls_certificate"
        try:
            facts = check_certificate(node.certificate_der)
        except InputInvalid as error:
            yield extension_finding("certificate_invalid", where, str(error))
        else:
            for fact, name in ((facts.subject, "subject"), (facts.public_key_der, "key")):
                first = seen.setdefault(fact, index)
                if first != index:
                    yield extension_finding(
                        "certificate_repeated", where, f"has the {name} of node {first}'s"
                    )
        if node.address and seen.setdefault(("address", node.address), index) != index:
            yield extension_finding(
                "address_repeated", f"nodes[{index}].address", "is another node's too"
            )


def _node_signatures(extension: Extension, lock: Lock) -> Iterator[Finding]:
    for wrong in check_node_signatures(
        lock.definition.operators,
        extension.node_signatures,
        extension.extension_hash,
        over="extension_hash",
    ):
        yield extension_finding(*wrong)
