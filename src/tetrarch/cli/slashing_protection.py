"""``tetrarch slashing-protection``: take signing histories in, give them out, make them smaller.

A node has two histories: of what the cluster agreed on, in the node's database, and of what its
shares signed, beside its enclave. Both are by root key and both are kept alike here. The node
must not run meanwhile: each command holds the locks that the node and its enclave hold.
"""

import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, BinaryIO, TypeAlias

import typer

from tetrarch.cli.errors import run_command
from tetrarch.cli.histories import (
    HistoryWithoutChain,
    InterchangeOfAnotherChain,
    check_chain,
    import_into,
    known_chain,
    opened,
    slots_per_epoch,
)
from tetrarch.cli.histories import prune as prune_history
from tetrarch.cli.progress import progress_bar
from tetrarch.cluster.types import Cluster
from tetrarch.duties.types import PubKey
from tetrarch.enclave import history, interchange
from tetrarch.enclave.errors import InterchangeInvalid
from tetrarch.enclave.interchange import Imported, Interchange
from tetrarch.errors import OperatorError
from tetrarch.signer_api.holder import load_holder
from tetrarch.storage.durable_file import sync_folder

app = typer.Typer(
    name="slashing-protection",
    help="Move signing histories (EIP-3076) between clients. Stop the node first.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_FOREIGN_TOLD_MAX = 10
_FILE_MODE = 0o600


class InterchangeUnreadable(OperatorError):
    """The interchange file is not there or cannot be read."""

    code = "interchange_unreadable"
    exit_code = 66  # EX_NOINPUT
    mend = "name a readable file, as another client's slashing protection export wrote it"


class InterchangeForeign(OperatorError):
    """The interchange file has keys that are none of this node's; nothing was imported."""

    code = "interchange_foreign"
    exit_code = 65  # EX_DATAERR
    mend = "name this node's folder and its own file; without --strict foreign keys are left out"


class ExportExists(OperatorError):
    """The file to export to exists; nothing is overwritten."""

    code = "export_exists"
    exit_code = 73  # EX_CANTCREAT
    mend = "name another file, or add --force"


class ExportUnwritable(OperatorError):
    """The file to export to cannot be written; there is no half of it."""

    code = "export_unwritable"
    exit_code = 73  # EX_CANTCREAT
    mend = "name a file in an existing folder that is writable and has room"


class KeyKind(StrEnum):
    """Under which key records are exported."""

    ROOT = "root"
    SHARE = "share"


Folder: TypeAlias = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="The node's folder.", show_default=False)
]
File: TypeAlias = Annotated[
    Path, typer.Argument(metavar="FILE", help="EIP-3076 interchange JSON.", show_default=False)
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("import")
@run_command
def import_(
    folder: Folder,
    file: File,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse a file with keys that are not this node's.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Add the history of another client to both of the node's histories.

    Records may stand under a validator's root key or under this node's public share of it.
    Importing only adds denials: doing it twice is harmless.

    \b
    Example: tetrarch slashing-protection import my-cluster/node0 from-lighthouse.json
    Exit codes: 0 done, 65 not such a file or foreign keys, 66 a file is missing,
      73 the node runs or its folder is not writable, 74 disk, 78 another chain.
    """  # noqa: D301 - \b keeps the help's lines
    cluster = load_holder(folder)
    with _naming(file):
        document = Interchange.parse(_read(file))
        keys = _sort_keys(document, cluster)
        ours = any(keys.owners.values())
        if keys.foreign and (strict or not ours):
            raise InterchangeForeign(
                "import interchange", foreign_keys=len(keys.foreign), first=keys.foreign[0]
            )
        with opened(folder, create=True) as histories, progress_bar("importing") as report:
            newly_tied = check_chain(document, histories, cluster)
            imported = import_into(histories, document, keys.owners, report)
    _print_imported(folder, file, document, keys, imported, newly_tied=newly_tied, as_json=as_json)


@app.command()
@run_command
def export(
    folder: Folder,
    file: File,
    keys: Annotated[
        KeyKind, typer.Option(help="Name validators by their root key or by this node's share.")
    ] = KeyKind.ROOT,
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write all that the node's histories deny into one interchange file.

    Clients that know a validator by its share's public key, as those behind a distributed
    validator do, need --keys share.

    \b
    Example: tetrarch slashing-protection export my-cluster/node0 history.json --keys share
    Exit codes: 0 done, 66 no history or a file is missing, 73 the node runs, or FILE exists
      or cannot be written, 74 disk, 78 the chain is not known yet.
    """  # noqa: D301 - \b keeps the help's lines
    cluster = load_holder(folder)
    left_out: list[str] = []
    by_root = {v.pubkey: v.public_share(cluster.share_index) for v in cluster.validators}

    def name_of(root: bytes) -> bytes | None:
        name = by_root.get(PubKey(root)) if keys is KeyKind.SHARE else root
        if name is None:
            left_out.append("0x" + root.hex())
        return name

    with (
        opened(folder, create=False) as histories,
        _new_file(file, force=force) as stream,
        progress_bar("exporting") as report,
    ):
        chain = known_chain(histories, cluster)
        if chain is None:
            raise HistoryWithoutChain("export history", folder=folder)
        exported = interchange.export_union(
            [each.connection for each in histories],
            stream.write,
            genesis_validators_root=chain,
            name_of=name_of,
            report=report,
        )
    if as_json:
        answer = {
            "ok": True,
            "folder": str(folder),
            "file": str(file),
            "named_by": keys.value,
            "genesis_validators_root": "0x" + chain.hex(),
            "keys": exported.keys,
            "blocks": exported.blocks,
            "votes": exported.votes,
            "left_out": left_out,
        }
        print(json.dumps(answer))
        return
    print(
        f"exported {file}: {exported.keys} keys by {keys.value}, {exported.blocks} blocks, "
        f"{exported.votes} votes"
    )
    if left_out:
        print(
            f"note: left out {len(left_out)} keys of which this node has no share, such as "
            f"{left_out[0]}; --keys root writes them too",
            file=sys.stderr,
        )


@app.command()
@run_command
def prune(
    folder: Folder,
    keep_epochs: Annotated[
        int,
        typer.Option(min=1, help="Keep single records this far below the newest vote."),
    ] = history.KEEP_EPOCHS,
    as_json: AsJson = False,
) -> None:
    """Replace old records by EIP-3076's minimal watermarks, in both histories.

    All that was denied is still denied. Age is counted from the newest vote, never by a clock.
    The default is what the enclave itself keeps: 256 epochs, a little more than a day.

    \b
    Example: tetrarch slashing-protection prune my-cluster/node0
    Exit codes: 0 done, 66 no history or a file is missing, 73 the node runs or its folder is
      not writable, 74 disk.
    """  # noqa: D301 - \b keeps the help's lines
    cluster = load_holder(folder)
    slots, told = slots_per_epoch(cluster), {}
    with opened(folder, create=False) as histories:
        for each in histories:
            told[each.name] = each.write(partial(prune_history, slots=slots, keep=keep_epochs))
            each.shrink()
    if as_json:
        print(json.dumps({"ok": True, "folder": str(folder), "keep_epochs": keep_epochs, **told}))
        return
    for name, figures in told.items():
        text = ", ".join(f"{figure.replace('_', ' ')} {n}" for figure, n in figures.items())
        print(f"pruned history of the {name}: {text}")


@contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Inside the block, what is wrong with the file is told with its path."""
    try:
        yield
    except (InterchangeInvalid, InterchangeForeign, InterchangeOfAnotherChain) as error:
        raise type(error)(error.action, file=file, **error.fields) from error


def _read(path: Path) -> bytes:
    limit = interchange.FILE_SIZE_MAX_BYTES
    try:
        with path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            size = status.st_size if stat.S_ISREG(status.st_mode) else limit
            if size > limit:
                raise interchange.too_large(size)
            return stream.read(size + 1)
    except OSError as error:
        raise InterchangeUnreadable("read file", file=path, reason=error.strerror) from error


@dataclass(frozen=True, slots=True)
class _Foreign:
    """A key of a file that is none of this node's."""

    pubkey: bytes
    records: int
    whose: str | None  # another share of this cluster, in words

    def __str__(self) -> str:
        return f"0x{self.pubkey.hex()}" + (f" ({self.whose})" if self.whose else "")


@dataclass(frozen=True, slots=True)
class _SortedKeys:
    """The keys of a file, by the validator that they mean."""

    owners: dict[bytes, tuple[bytes, ...]]  # of every validator of this node; may be empty
    foreign: tuple[_Foreign, ...]


def _sort_keys(document: Interchange, cluster: Cluster) -> _SortedKeys:
    """Which validator each key means; reads the foreign keys' records, to count them."""
    owners: dict[bytes, tuple[bytes, ...]] = {v.pubkey: () for v in cluster.validators}
    foreign = []
    by_share = {share: v.pubkey for share, v in cluster.by_own_share.items()}
    for key in document.keys:
        root = key if key in owners else by_share.get(key)
        if root is None:
            count = len(document.records(key))
            foreign.append(_Foreign(key, count, cluster.holder_of(key)))
        else:
            owners[root] += (key,)
    return _SortedKeys(owners, tuple(foreign))


def _print_imported(
    folder: Path,
    file: Path,
    document: Interchange,
    keys: _SortedKeys,
    imported: dict[str, Imported],
    *,
    newly_tied: bool,
    as_json: bool,
) -> None:
    one = next(iter(imported.values()))
    chain = "0x" + document.genesis_validators_root.hex()
    floors = max(each.made_floors for each in imported.values())
    without = [root for root, names in keys.owners.items() if not names]
    if as_json:
        answer = {
            "ok": True,
            "folder": str(folder),
            "file": str(file),
            "genesis_validators_root": chain,
            "newly_tied": newly_tied,
            "keys": one.keys,
            "blocks": one.blocks,
            "votes": one.votes,
            "made_floors": floors,
            "without_records": ["0x" + root.hex() for root in without],
            "foreign": [
                {"pubkey": "0x" + f.pubkey.hex(), "records": f.records, "whose": f.whose}
                for f in keys.foreign
            ],
        }
        print(json.dumps(answer))
        return
    print(
        f"imported {file}: {one.keys} keys, {one.blocks} blocks, {one.votes} votes, "
        f"of which {floors} became floors"
    )
    notes = [f"left out foreign key {f}: {f.records} records" for f in keys.foreign]
    if len(notes) > _FOREIGN_TOLD_MAX:
        notes[_FOREIGN_TOLD_MAX:] = [f"left out {len(notes) - _FOREIGN_TOLD_MAX} more foreign keys"]
    if without:
        notes.append(f"{len(without)} of {len(keys.owners)} validators are not in the file")
    if newly_tied:
        notes.append(f"the history is now tied to chain {chain} for good")
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


@contextmanager
def _new_file(path: Path, *, force: bool) -> Iterator[BinaryIO]:
    """A file that appears under its name whole or not at all, readable by this user only."""
    if path.is_dir():
        raise ExportUnwritable("write export", file=path, reason="is a folder")
    if not force and os.path.lexists(path):
        raise ExportExists("write export", file=path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            if not force and os.path.lexists(path):
                raise ExportExists("write export", file=path)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise ExportUnwritable("write export", file=path, reason=error.strerror) from error
