"""What the commands share by which an operator asks his node to sign: options, checks, a view.

The view reads the node's database beside the running node; it never writes.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from tetrarch.cluster.text import parse_hex
from tetrarch.cluster.types import Cluster
from tetrarch.config import SigningSource, load_config
from tetrarch.duties.payload_codec import decode_payload
from tetrarch.duties.types import PUBLIC_KEY_SIZE_BYTES, DutyType, Payload, PubKey
from tetrarch.errors import InputInvalid, OperatorError

_DATABASE_FILE = "database/node.sqlite"
_BUSY_TIMEOUT_S = 5.0
_KEY_SIZE_BYTES = PUBLIC_KEY_SIZE_BYTES + 1

Folder: TypeAlias = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="The node's folder.", show_default=False)
]
Validators: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--validator", metavar="0x...", help="A root key; may be repeated."),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


class ValidatorUnknown(OperatorError):
    """A named validator is none of the cluster's, or none is named."""

    code = "validator_unknown"
    mend = "name root keys of this cluster with --validator, or take --all"


class ClientSigns(OperatorError):
    """The node does not sign by itself, so it cannot be asked to."""

    code = "client_signs"
    mend = "ask the software that signs for this node"


class DatabaseUnreadable(OperatorError):
    """The node's database is there, and cannot be read."""

    code = "database_unreadable"
    exit_code = 74  # EX_IOERR
    mend = "run it as the user whose node this is"


def refuse_client_mode(folder: Path, instead: str) -> None:
    """Raise ClientSigns where a validator client signs: a request would never be answered."""
    if load_config(folder).signing is SigningSource.VALIDATOR_CLIENT:
        raise ClientSigns("ask node", folder=folder, instead=instead)


def selected(
    cluster: Cluster, validators: Sequence[str] | None, *, every: bool
) -> tuple[PubKey, ...]:
    """The root keys that are named, each once; all of them with ``every``.

    Raises:
        ValidatorUnknown: a text is no root key of the cluster, or there is none.
    """
    if every:
        return tuple(sorted(cluster.by_pubkey))
    chosen: dict[PubKey, None] = {}
    for text in validators or ():
        spelt = text.lower() if text.lower().startswith("0x") else "0x" + text.lower()
        try:
            pubkey = PubKey(parse_hex(spelt, size=PUBLIC_KEY_SIZE_BYTES, field="validator"))
        except InputInvalid as error:
            raise ValidatorUnknown("find validator", got=text[:100], reason=error) from error
        if pubkey not in cluster.by_pubkey:
            raise ValidatorUnknown("find validator", got=spelt)
        chosen[pubkey] = None
    if not chosen:
        raise ValidatorUnknown("find validator", got="none")
    return tuple(chosen)


def confirm(question: str, *, yes: bool) -> None:
    """Ask the person at the terminal; ends the command with exit code 1 if he says no."""
    if not yes:
        typer.confirm(question, abort=True, err=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastingRows:
    """What the node's database has of one kind of duty that never ends."""

    partials: tuple[tuple[PubKey, Payload, int], ...] = ()  # validator, what, share index
    signed: tuple[tuple[PubKey, Payload], ...] = ()  # by the group
    submitted: tuple[tuple[PubKey, Payload], ...] = ()  # known to be taken


def lasting_rows(folder: Path, kind: DutyType) -> LastingRows:
    """Read them, whether the node runs or not; nothing where it never ran.

    Raises:
        DatabaseUnreadable: the file system or SQLite refuses.
    """
    path = folder / _DATABASE_FILE
    if not path.exists():
        return LastingRows()
    try:
        with closing(sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S)) as connection:
            connection.execute("PRAGMA query_only = ON")
            return _rows(connection, kind)
    except (sqlite3.Error, InputInvalid) as error:
        raise DatabaseUnreadable("read database", file=path, reason=error) from error


def _rows(connection: sqlite3.Connection, kind: DutyType) -> LastingRows:
    number = (int(kind),)
    partials = connection.execute(
        "SELECT pubkey, data, share_index FROM parsigdb WHERE duty_type = ? ORDER BY slot", number
    ).fetchall()
    signed = connection.execute(
        "SELECT slot, pubkey, data FROM aggsigdb WHERE duty_type = ? ORDER BY slot", number
    ).fetchall()
    notes = connection.execute(
        "SELECT slot, keys FROM aggsigdb_submitted WHERE duty_type = ?", number
    ).fetchall()
    taken = {
        (slot, keys[at : at + PUBLIC_KEY_SIZE_BYTES])
        for slot, keys in notes
        for at in range(0, len(keys), _KEY_SIZE_BYTES)
    }
    return LastingRows(
        partials=tuple((pubkey, decode_payload(data), share) for pubkey, data, share in partials),
        signed=tuple((pubkey, decode_payload(data)) for _, pubkey, data in signed),
        submitted=tuple(
            (pubkey, decode_payload(data))
            for slot, pubkey, data in signed
            if (slot, pubkey) in taken
        ),
    )
