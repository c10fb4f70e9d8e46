"""Which node's shares lie in a signer's folder: by its identity, its shares, or as it is told."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from tetrarch.cluster.errors import ClusterFileInvalid
from tetrarch.cluster.files import IDENTITY_KEY_FILE, VALIDATOR_KEYS_FOLDER, read_file
from tetrarch.cluster.load import load_cluster, read_verified
from tetrarch.cluster.types import Cluster, cluster_of
from tetrarch.enclave.sealed_keys import read_label
from tetrarch.errors import OperatorError
from tetrarch.share_files import sealed_keys_path


class HolderUnknown(OperatorError):
    """Nothing in the folder says which node of the cluster its shares belong to."""

    code = "share_holder_unknown"
    mend = "say it with --node, or put that node's keystores into validator_keys"


class _Named(msgspec.Struct):
    pubkey: str


def load_holder(folder: Path, *, node: int | None = None) -> Cluster:
    """The cluster, as the node sees it whose shares are in ``folder``.

    A signer needs the cluster's two files and the keystores; the node's identity and its TLS key
    may be there (it is the node's own folder) and need not.

    Raises:
        HolderUnknown: nothing tells the node, or ``node`` is none of the cluster's.
        OperatorError: the cluster's files are missing or wrong.
    """
    if node is None and (folder / IDENTITY_KEY_FILE).exists():
        return load_cluster(folder)
    lock, extension = read_verified(folder)
    if node is None:
        node = _node_of(cluster_of(lock, extension, 0), folder)
    if not 0 <= node < len(extension.nodes):
        raise HolderUnknown("find node", node=node, nodes=len(extension.nodes))
    return cluster_of(lock, extension, node)


def _node_of(cluster: Cluster, folder: Path) -> int:
    """The node of the first share, sealed or in a keystore, by the public key in the clear."""
    for share in _public_shares(folder):
        for validator in cluster.validators:
            if share in validator.public_shares:
                return validator.public_shares.index(share)
    raise HolderUnknown("find node", folder=folder, reason="no share of this cluster")


def _public_shares(folder: Path) -> Iterator[bytes]:
    labelled = read_label(sealed_keys_path(folder))
    if labelled is not None:
        yield from (public.public_share for public in labelled[0].shares)
    for path in sorted((folder / VALIDATOR_KEYS_FOLDER).glob("keystore-*.json")):
        try:
            named = msgspec.json.decode(read_file(path), type=_Named).pubkey
            share = bytes.fromhex(named.removeprefix("0x"))
        except (msgspec.DecodeError, ValueError):
            raise ClusterFileInvalid("read keystore", file=path, expected="EIP-2335") from None
        yield share
