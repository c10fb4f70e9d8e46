"""What a node reads from its folder before it does anything else.

A node reads ``load_cluster`` and ``load_identity``, and never a BLS share: its enclave does that,
by the paths of ``share_keystores``.
"""

from dataclasses import dataclass
from pathlib import Path

from tetrarch.cluster.certificates import check_certificate, der_of, public_key_of
from tetrarch.cluster.documents import parse_lock
from tetrarch.cluster.errors import (
    ClusterFileInvalid,
    ClusterFilesWrong,
    IdentityUnknown,
    TlsKeyMismatch,
)
from tetrarch.cluster.extension import Extension, parse_extension
from tetrarch.cluster.files import (
    EXTENSION_FILE,
    EXTENSION_SIZE_BYTES_MAX,
    IDENTITY_KEY_FILE,
    LOCK_FILE,
    LOCK_SIZE_BYTES_MAX,
    TLS_CERTIFICATE_FILE,
    TLS_KEY_FILE,
    VALIDATOR_KEYS_FOLDER,
    read_file,
)
from tetrarch.cluster.keystore_files import keystore_path
from tetrarch.cluster.lock import Lock
from tetrarch.cluster.types import Cluster, cluster_of
from tetrarch.cluster.verify import verify_cluster
from tetrarch.crypto.k1 import IdentityKey
from tetrarch.crypto.tls_identity import TlsIdentity
from tetrarch.entropy import Entropy, system_entropy
from tetrarch.errors import InputInvalid


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeIdentity:
    """The node's own secrets, none of which signs a duty: who it is among its peers."""

    key: IdentityKey
    tls: TlsIdentity


def read_lock(path: Path) -> Lock:
    """Parse the lock file ``path``; not verified yet.

    Raises:
        ClusterFileMissing, ClusterFileInvalid: it cannot be read or has another form.
    """
    try:
        return parse_lock(read_file(path, size_max=LOCK_SIZE_BYTES_MAX))
    except InputInvalid as error:
        raise ClusterFileInvalid(error.action, file=path, **error.fields) from error


def read_extension(path: Path) -> Extension:
    """Parse the extension file ``path``; not verified yet. Raises as ``read_lock``."""
    try:
        return parse_extension(read_file(path, size_max=EXTENSION_SIZE_BYTES_MAX))
    except InputInvalid as error:
        raise ClusterFileInvalid(error.action, file=path, **error.fields) from error


def read_verified(folder: Path, *, entropy: Entropy = system_entropy) -> tuple[Lock, Extension]:
    """Lock and extension of ``folder``, with every hash and signature verified.

    Raises:
        ClusterFileMissing, ClusterFileInvalid: a file cannot be read or has another form.
        ClusterFilesWrong: something in them is wrong; names the first finding.
    """
    lock = read_lock(folder / LOCK_FILE)
    extension = read_extension(folder / EXTENSION_FILE)
    findings = list(verify_cluster(lock, extension, entropy=entropy))
    if findings:
        raise ClusterFilesWrong(
            "verify cluster files", folder=folder, first=findings[0], findings=len(findings)
        )
    return lock, extension


def load_identity(folder: Path) -> NodeIdentity:
    """The node's identity key, TLS key and certificate.

    Raises:
        ClusterFileMissing, ClusterFileInvalid: a file cannot be read or has another form.
        TlsKeyMismatch: key and certificate do not belong together.
    """
    path = folder / IDENTITY_KEY_FILE
    try:
        text = read_file(path).decode().strip().removeprefix("0x")
        key = IdentityKey.from_bytes(bytes.fromhex(text))
    except ValueError:  # without the cause: it could quote the key
        raise ClusterFileInvalid("read identity key", file=path, expected="64 hex digits") from None
    tls = TlsIdentity(
        private_key_pem=read_file(folder / TLS_KEY_FILE),
        certificate_pem=read_file(folder / TLS_CERTIFICATE_FILE),
    )
    try:
        of_key = public_key_of(tls.private_key_pem)
    except InputInvalid as error:
        file = folder / TLS_KEY_FILE
        raise ClusterFileInvalid(error.action, file=file, **error.fields) from None
    try:
        of_certificate = check_certificate(der_of(tls.certificate_pem)).public_key_der
    except InputInvalid as error:
        file = folder / TLS_CERTIFICATE_FILE
        raise ClusterFileInvalid(error.action, file=file, **error.fields) from error
    if of_key != of_certificate:
        raise TlsKeyMismatch("match TLS key and certificate", folder=folder)
    return NodeIdentity(key=key, tls=tls)


def load_cluster(folder: Path, *, entropy: Entropy = system_entropy) -> Cluster:
    """The verified cluster of the node whose folder this is; no secret is kept.

    Raises:
        ClusterFileMissing, ClusterFileInvalid, ClusterFilesWrong: see ``read_verified``.
        IdentityUnknown: the folder's identity key is no operator's.
        TlsKeyMismatch: its TLS files are not the ones that the cluster pinned.

    Cost: 1.2 ms for each validator of four nodes.
    """
    lock, extension = read_verified(folder, entropy=entropy)
    identity = load_identity(folder)
    own_key = identity.key.public_key()
    anyone = cluster_of(lock, extension, 0)
    for operator in anyone.operators:
        if operator.public_key == own_key:
            cluster = cluster_of(lock, extension, operator.peer_index)
            break
    else:
        raise IdentityUnknown("find own operator", file=folder / IDENTITY_KEY_FILE)
    if der_of(identity.tls.certificate_pem) != cluster.own.certificate_der:
        raise TlsKeyMismatch(
            "match pinned certificate",
            file=folder / TLS_CERTIFICATE_FILE,
            node=cluster.peer_index,
        )
    return cluster


def share_keystores(folder: Path, cluster: Cluster) -> tuple[Path, ...]:
    """Where the share keystores of ``folder`` must be, in the lock's order; opens nothing.

    Each has its ``.txt`` password file beside it. The share of the cluster key is kept apart.
    """
    keys = folder / VALIDATOR_KEYS_FOLDER
    return tuple(keystore_path(keys, index) for index in range(len(cluster.validators)))
