"""A stopped node's two signing histories: the one of its enclave and its own.

Both are by root key. What is done to one is done to the other, one transaction each; the
enclave's comes first, for it is the last to be asked before a signature leaves.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from tetrarch.cli.errors import one_line
from tetrarch.cluster.networks import network_of
from tetrarch.cluster.types import Cluster
from tetrarch.enclave import history, interchange
from tetrarch.enclave.errors import WrongChain
from tetrarch.enclave.interchange import Imported, Interchange
from tetrarch.errors import OperatorError, TetrarchError
from tetrarch.storage.errors import StorageFull, StorageFullAtStart, translate
from tetrarch.storage.folders import make_folder
from tetrarch.storage.lock import OwnerLock
from tetrarch.storage.sqlite import commit_group, open_connection

R = TypeVar("R")

# Known before any beacon node was asked, so that a file of another network cannot claim a fresh
# folder. Source: the networks' published genesis states.
_GENESIS_VALIDATORS_ROOTS = {
    "mainnet": "4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95",
    "sepolia": "d8ea171f3c94aea21ebc42a1ed61052acf3f9209c00e4efbaaddac09ed9b8078",
    "hoodi": "212f13fc4df078b6cb7db228f1c8307566dcecf900867401a92023d7ba99cb5f",
    "gnosis": "f5dcb5564e829aab27264b9becd5dfaa017085611224cb3036f573368dbb9d47",
    "chiado": "9d642dac73058fbf39c0ae41ab1e34e4d889043cb199851ded7095bc99eb4c1e",
}
_SLOTS_PER_EPOCH = {"mainnet": 32, "sepolia": 32, "hoodi": 32, "gnosis": 16, "chiado": 16}
_SLOTS_PER_EPOCH_MIN = 8  # of any preset: where the chain is unknown, fewer blocks are pruned


class InterchangeOfAnotherChain(OperatorError):
    """The interchange file is of another chain than this node's history or network."""

    code = "interchange_of_another_chain"
    mend = "import the file of the network that this cluster is for"


class ImportHalfDone(OperatorError):
    """One of the node's two histories has the import, the other failed. Nothing is lost by that."""

    code = "import_half_done"
    exit_code = 74  # EX_IOERR
    mend = "mend what the reason names, then run the same import again: it only adds denials"


class HistoryMissing(OperatorError):
    """The folder has no signing history: its node never ran, and nothing was imported."""

    code = "history_missing"
    exit_code = 66  # EX_NOINPUT
    mend = "name the folder of a node that has signed"


class HistoryWithoutChain(OperatorError):
    """Nothing says yet which chain the history is of, and the network is no public one."""

    code = "history_without_chain"
    mend = "start the node once, so that its beacon node tells the chain"


@dataclass(frozen=True, slots=True)
class History:
    """One of the node's two databases, open and locked."""

    name: str
    path: Path
    connection: sqlite3.Connection

    def write(self, function: Callable[[sqlite3.Connection], R]) -> R:
        """Run ``function`` in one transaction, durable on return."""
        (outcome,) = commit_group(self.connection, (function,), path=self.path)
        if isinstance(outcome.error, StorageFull):
            raise StorageFullAtStart(outcome.error.action, path=self.path) from outcome.error
        if outcome.error is not None:
            raise outcome.error
        value: R = outcome.value
        return value

    def shrink(self) -> None:
        """Give free pages back to the disk, if it has room for the copy that this takes."""
        with contextlib.suppress(sqlite3.Error):
            self.connection.execute("VACUUM")


@contextmanager
def opened(folder: Path, *, create: bool) -> Iterator[tuple[History, ...]]:
    """The enclave's history and the node's, locked as by a running node.

    ``create`` makes what is not there; without it a database that is not there is left out.

    Raises:
        StorageInUse: the node runs.
        HistoryMissing: neither is there.
    """
    from tetrarch.launch import DATABASE_FILE  # noqa: PLC0415 - keeps `--help` fast
    from tetrarch.signing_source import ENCLAVE_DATABASE_FILE  # noqa: PLC0415 - as above

    paths = {"enclave": folder / ENCLAVE_DATABASE_FILE, "node": folder / DATABASE_FILE}
    database_folder = paths["node"].parent
    if create:
        make_folder(database_folder)
    elif not any(path.exists() for path in paths.values()):
        raise HistoryMissing("open history", folder=database_folder)
    with ExitStack() as stack, _naming(database_folder):
        for path in paths.values():
            stack.callback(OwnerLock.acquire(path.with_name(path.name + ".lock")).release)
        histories = []
        for name, path in paths.items():
            if create or path.exists():
                connection = stack.enter_context(
                    contextlib.closing(open_connection(path, (history.SCHEMA,)))
                )
                connection.execute("PRAGMA temp_store = FILE")  # sorting may exceed the memory
                histories.append(History(name, path, connection))
        yield tuple(histories)


@contextmanager
def _naming(folder: Path) -> Iterator[None]:
    """Inside the block, what SQLite says about the disk is our error and names the folder."""
    try:
        yield
    except sqlite3.Error as error:
        ours = translate(error, "read history", folder)
        if isinstance(ours, StorageFull):  # sorting a long history needs room for a while
            raise StorageFullAtStart("read history", path=folder) from error
        if ours is None:
            raise
        raise ours from error


def known_chain(histories: tuple[History, ...], cluster: Cluster) -> bytes | None:
    """The chain that the histories are tied to, or else that of the cluster's public network.

    Raises:
        WrongChain: the two are tied to different chains.
    """
    tied = {root for h in histories if (root := history.chain(h.connection)) is not None}
    if len(tied) > 1:
        chains = ",".join(sorted("0x" + root.hex() for root in tied))
        raise WrongChain("compare histories", tied_to=chains)
    if tied:
        return tied.pop()
    network = network_of(cluster.fork_version)
    return None if network is None else bytes.fromhex(_GENESIS_VALIDATORS_ROOTS[network.name])


def check_chain(document: Interchange, histories: tuple[History, ...], cluster: Cluster) -> bool:
    """Refuse a file of another chain; returns whether nothing but the file tells the chain.

    Raises:
        InterchangeOfAnotherChain, WrongChain
    """
    known = known_chain(histories, cluster)
    if known is not None and known != document.genesis_validators_root:
        raise InterchangeOfAnotherChain(
            "import interchange",
            chain_of_file="0x" + document.genesis_validators_root.hex(),
            chain_of_node="0x" + known.hex(),
        )
    return known is None


def import_into(
    histories: tuple[History, ...],
    document: Interchange,
    owners: dict[bytes, tuple[bytes, ...]],
    report: interchange.Report,
) -> dict[str, Imported]:
    """Import into each history, one transaction each, the enclave's first."""
    used = {root: keys for root, keys in owners.items() if keys}
    imported: dict[str, Imported] = {}
    for number, each in enumerate(histories):

        def told(done: int, total: int, number: int = number) -> None:
            report(number * total + done, len(histories) * total)

        try:
            imported[each.name] = each.write(
                partial(interchange.import_file, file=document, owners=used, report=told)
            )
        except TetrarchError as error:
            if not imported:
                raise
            raise ImportHalfDone(
                "import interchange",
                done=",".join(imported),
                failed=each.name,
                reason=one_line(error),
            ) from error
    return imported


def slots_per_epoch(cluster: Cluster) -> int:
    """Of the cluster's network; where it is no public one, the least of any preset."""
    network = network_of(cluster.fork_version)
    return _SLOTS_PER_EPOCH_MIN if network is None else _SLOTS_PER_EPOCH[network.name]


def prune(connection: sqlite3.Connection, *, slots: int, keep: int) -> dict[str, int]:
    """Replace old records by floors, in the caller's transaction; returns what was done."""
    before = history.counts(connection)
    history.prune(connection, slots_per_epoch=slots, keep=keep)
    after = history.counts(connection)
    return {
        "removed_blocks": before.blocks - after.blocks,
        "removed_votes": before.votes - after.votes,
        "kept_blocks": after.blocks,
        "kept_votes": after.votes,
    }
