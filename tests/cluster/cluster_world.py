"""Small clusters from seeds, for the tests of cluster files."""

import json
import shutil
from pathlib import Path
from random import Random

from tetrarch.cluster.create import write_cluster
from tetrarch.cluster.deal import DealtCluster, deal_cluster
from tetrarch.cluster.documents import lock_document, parse_lock
from tetrarch.cluster.extension import extension_document, parse_extension
from tetrarch.cluster.findings import Finding
from tetrarch.cluster.load import load_cluster
from tetrarch.cluster.networks import DEVELOPMENT_FORK_VERSION, network_for
from tetrarch.cluster.plan import ClusterPlan, default_threshold
from tetrarch.cluster.root_keys import interop_keys
from tetrarch.cluster.verify import verify_cluster
from tetrarch.crypto.bls import SecretKey
from tetrarch.enclave.opening import open_shares
from tetrarch.entropy import system_entropy
from tetrarch.share_files import naming_holders, share_files

FEE_RECIPIENT = bytes.fromhex("5aaeb6053f3e94c9b9a09f33669435e7ef1beaed")
WITHDRAWAL = bytes.fromhex("fb6916095ca1df60bb79ce92ce3ea74c37c5d359")


def plan(**changes) -> ClusterPlan:
    nodes = changes.pop("node_count", 4)
    wishes = {
        "node_count": nodes,
        "threshold": default_threshold(nodes),
        "validator_count": 2,
        "network": network_for(DEVELOPMENT_FORK_VERSION),
        "fee_recipient": FEE_RECIPIENT,
        "withdrawal_address": WITHDRAWAL,
        "created_at_s": 1_700_000_000,
        "addresses": tuple(f"127.0.0.1:{9000 + index}" for index in range(nodes)),
        "insecure_keystores": True,
    }
    return ClusterPlan(**(wishes | changes))


def deal(seed: int = 1, **changes) -> DealtCluster:
    wish = plan(**changes)
    keys = interop_keys(range(wish.validator_count))
    return deal_cluster(wish, keys, entropy=Random(seed).randbytes)


def create(folder: Path, seed: int = 1, **changes) -> DealtCluster:
    dealt = deal(seed, **changes)
    write_cluster(dealt, folder, entropy=system_entropy)
    return dealt


def open_node(folder: Path) -> dict[bytes, SecretKey]:
    """A node's shares by root key, opened as its enclave does."""
    cluster = load_cluster(folder)
    with naming_holders(cluster):
        return open_shares(share_files(folder, cluster))


def findings_of(lock_json: bytes, extension_json: bytes) -> list[Finding]:
    lock, extension = parse_lock(lock_json), parse_extension(extension_json)
    return list(verify_cluster(lock, extension, entropy=system_entropy))


def documents(dealt: DealtCluster) -> tuple[bytes, bytes]:
    return lock_document(dealt.lock), extension_document(dealt.extension)


def replace_file(path: Path, data: bytes) -> None:
    """Overwrite a file that was written read-only."""
    path.unlink()
    path.write_bytes(data)


def edit_json(path: Path, edit) -> None:
    document = json.loads(path.read_bytes())
    edit(document)
    replace_file(path, json.dumps(document).encode())


def swap_files(first: Path, second: Path) -> None:
    spare = first.with_name("spare")
    shutil.move(first, spare)
    shutil.move(second, first)
    shutil.move(spare, second)
