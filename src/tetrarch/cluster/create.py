"""Write a new cluster to disk: one folder for each node, all of them or none."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from tetrarch.cluster.deal import DealtCluster, NodeSecrets
from tetrarch.cluster.deposits import deposit_document, deposit_file_name
from tetrarch.cluster.documents import lock_document
from tetrarch.cluster.errors import ClusterFolderExists, ClusterFolderUnwritable
from tetrarch.cluster.extension import extension_document
from tetrarch.cluster.files import (
    CLUSTER_KEY_FOLDER,
    EXTENSION_FILE,
    IDENTITY_KEY_FILE,
    LOCK_FILE,
    SECRET_MODE,
    TLS_CERTIFICATE_FILE,
    TLS_KEY_FILE,
    VALIDATOR_KEYS_FOLDER,
    write_file,
)
from tetrarch.cluster.keystore_files import (
    Progress,
    in_threads,
    keystore_path,
    make_keystore,
    write_keystore,
)
from tetrarch.crypto.bls import SecretKey
from tetrarch.crypto.keystore import KeystoreCost
from tetrarch.entropy import Entropy
from tetrarch.storage.durable_file import sync_folder


def node_folder(folder: Path, index: int) -> Path:
    """Where node ``index`` (from 0) of the cluster in ``folder`` has its files."""
    return folder / f"node{index}"


def check_target(folder: Path) -> None:
    """Check that ``folder`` can become a cluster's: absent, or empty. Call before long work.

    Raises:
        ClusterFolderExists: it has content, or is no folder.
    """
    try:
        taken = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    except OSError as error:
        raise ClusterFolderUnwritable(
            "inspect target", folder=folder, reason=error.strerror
        ) from error
    if taken:
        raise ClusterFolderExists("create cluster", folder=folder)


# Called once for each node with its number, keystores (JSON) and their passwords.
Upload: TypeAlias = Callable[[int, tuple[str, ...], tuple[str, ...]], None]


def write_cluster(
    dealt: DealtCluster,
    folder: Path,
    *,
    entropy: Entropy,
    progress: Progress | None = None,
    upload: Upload | None = None,
) -> None:
    """Write the folders ``node0`` ... of ``dealt`` below ``folder``.

    Args:
        dealt: from ``deal_cluster``.
        folder: absent or empty; its parent folder must allow writing.
        entropy: for passwords, salts and the temporary name.
        progress: told about every keystore.
        upload: takes the validators' shares, which are then not written to disk. What it raises
            leaves no folder behind; shares that it took already are not called back.

    Raises:
        ClusterFolderExists: ``folder`` has content.
        ClusterFolderUnwritable: the file system refuses; nothing is left behind.

    Effects: everything is written and synced beside ``folder`` and renamed at the end, so a
        crash leaves no half cluster (perhaps a ``.NAME.partial-...`` folder, to be deleted).

    Cost: 0.1 s of one core for each keystore, of which there are nodes x (validators + 1).
    """
    check_target(folder)
    with _all_or_nothing(folder, entropy) as temporary:
        lock, extension = lock_document(dealt.lock), extension_document(dealt.extension)
        deposit_files = list(_deposit_files(dealt))
        keystores: list[tuple[Path, SecretKey, str]] = []
        for index, node in enumerate(dealt.nodes):
            here = node_folder(temporary, index)
            _write_node(here, node)
            write_file(here / LOCK_FILE, lock)
            write_file(here / EXTENSION_FILE, extension)
            for name, data in deposit_files:
                write_file(here / name, data)
            keystores += _keystores(here, index, node, dealt, uploaded=upload is not None)
        insecure = dealt.plan.insecure_keystores
        cost = KeystoreCost.INSECURE if insecure else KeystoreCost.STANDARD

        def write(entry: tuple[Path, SecretKey, str]) -> None:
            path, secret, description = entry
            write_keystore(path, secret, description=description, cost=cost, entropy=entropy)

        in_threads(write, keystores, progress=progress)
        if upload is not None:
            _upload(dealt, upload, cost=cost, entropy=entropy)
        for parent, _, _ in os.walk(temporary):
            sync_folder(Path(parent))


@contextmanager
def _all_or_nothing(folder: Path, entropy: Entropy) -> Iterator[Path]:
    """A temporary folder that becomes ``folder`` if the body succeeds, and vanishes if not."""
    target = Path(os.path.abspath(folder))  # noqa: PTH100 - resolve() would follow a link
    temporary = target.parent / f".{target.name}.partial-{entropy(4).hex()}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir(mode=0o700)
        try:
            yield temporary
            temporary.rename(target)  # POSIX: replaces an empty folder, refuses any other
            sync_folder(target.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise ClusterFolderUnwritable(
            "create cluster", folder=folder, reason=error.strerror
        ) from error


def _write_node(here: Path, node: NodeSecrets) -> None:
    for path in (here, here / VALIDATOR_KEYS_FOLDER, here / CLUSTER_KEY_FOLDER):
        path.mkdir(mode=0o700)
    write_file(here / IDENTITY_KEY_FILE, node.identity.to_bytes().hex().encode(), mode=SECRET_MODE)
    write_file(here / TLS_KEY_FILE, node.tls.private_key_pem, mode=SECRET_MODE)
    write_file(here / TLS_CERTIFICATE_FILE, node.tls.certificate_pem)


def _keystores(
    here: Path, node_index: int, node: NodeSecrets, dealt: DealtCluster, *, uploaded: bool
) -> Iterator[tuple[Path, SecretKey, str]]:
    """(path, secret, description) of every keystore of a node that is written."""
    for position, (secret, description) in enumerate(_shares(node_index, node, dealt)):
        if not uploaded:
            path = keystore_path(here / VALIDATOR_KEYS_FOLDER, position)
            yield path, secret, description
    path = keystore_path(here / CLUSTER_KEY_FOLDER, 0)
    yield path, node.cluster_share, f"share {node_index + 1} of the cluster key"


def _shares(
    node_index: int, node: NodeSecrets, dealt: DealtCluster
) -> Iterator[tuple[SecretKey, str]]:
    """(secret, description) of a node's share of every validator."""
    for validator, secret in zip(dealt.lock.validators, node.shares, strict=True):
        yield secret, f"share {node_index + 1} of validator 0x{validator.pubkey.hex()}"


def _upload(dealt: DealtCluster, upload: Upload, *, cost: KeystoreCost, entropy: Entropy) -> None:
    """Hand each node's shares to ``upload``, encrypted as they would be on disk."""
    for index, node in enumerate(dealt.nodes):
        made = in_threads(
            lambda share: make_keystore(share[0], description=share[1], cost=cost, entropy=entropy),
            list(_shares(index, node, dealt)),
        )
        upload(index, tuple(text for text, _ in made), tuple(password for _, password in made))


def _deposit_files(dealt: DealtCluster) -> Iterator[tuple[str, bytes]]:
    """(name, content) for every deposit amount; every node gets the same files."""
    for same_amount in zip(*(each.deposits for each in dealt.lock.validators), strict=True):
        content = deposit_document(
            same_amount,
            fork_version=dealt.plan.network.genesis_fork_version,
            network_name=dealt.plan.network.name,
        )
        yield deposit_file_name(same_amount[0].amount_gwei), content
