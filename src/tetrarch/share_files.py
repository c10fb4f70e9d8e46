"""A node's share keystores: what its enclave must open, and whose a misplaced one is.

The node knows the cluster and opens no keystore; the enclave opens keystores and knows no
cluster. What one of them needs of the other is here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tetrarch.cluster.files import CLUSTER_KEY_FOLDER, VALIDATOR_KEYS_FOLDER
from tetrarch.cluster.keystore_files import keystore_path
from tetrarch.cluster.load import share_keystores
from tetrarch.cluster.types import Cluster
from tetrarch.enclave.errors import ShareSwapped
from tetrarch.enclave.messages import ShareFile
from tetrarch.storage.errors import cannot_create


def share_files(
    folder: Path, cluster: Cluster, *, only_present: bool = False
) -> tuple[ShareFile, ...]:
    """The files of this node's shares, each with the public share it must hold; opens none.

    ``only_present``: leave out shares that have no keystore; a keymanager may bring them.
    """
    return tuple(
        ShareFile(
            pubkey=validator.pubkey,
            public_share=validator.public_share(cluster.share_index),
            keystore=str(path),
            password=str(path.with_suffix(".txt")),
        )
        for validator, path in zip(
            cluster.validators, share_keystores(folder, cluster), strict=True
        )
        if not only_present or path.exists()
    )


def cluster_share_file(folder: Path, cluster: Cluster) -> ShareFile:
    """The file of this node's share of the cluster's own key."""
    path = keystore_path(folder / CLUSTER_KEY_FOLDER, 0)
    key = cluster.cluster_key
    return ShareFile(
        pubkey=key.public_key,
        public_share=key.public_shares[cluster.peer_index],
        keystore=str(path),
        password=str(path.with_suffix(".txt")),
    )


def make_key_folder(folder: Path) -> Path:
    """The folder of this node's keystores, which is there afterwards.

    Raises:
        OperatorError: it cannot be made.
    """
    keys = folder / VALIDATOR_KEYS_FOLDER
    try:
        keys.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise cannot_create("make folder", keys, error) from None
    return keys


@contextmanager
def naming_holders(cluster: Cluster) -> Iterator[None]:
    """Inside the block the enclave opens the files: its error then says whose share is there."""
    try:
        yield
    except ShareSwapped as error:
        holds = bytes.fromhex(str(error.fields["holds"]).removeprefix("0x"))
        whose = cluster.holder_of(holds) or "no share of this cluster"
        fields = {**error.fields, "holds": whose, "this_node": cluster.peer_index}
        raise ShareSwapped(error.action, **fields) from error
