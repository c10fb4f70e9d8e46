"""``tetrarch exit``: ask the node for voluntary exits, see how far they are, publish one."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from tetrarch.cli.asked import (
    AsJson,
    Folder,
    Validators,
    confirm,
    lasting_rows,
    refuse_client_mode,
    selected,
)
from tetrarch.cli.errors import run_command
from tetrarch.cluster.load import load_cluster
from tetrarch.duties.requested import ExitRequest
from tetrarch.duties.types import DutyType, ExitPayload, PubKey
from tetrarch.errors import InputInvalid, OperatorError, Transient
from tetrarch.ethereum.spec.messages import SignedVoluntaryExit
from tetrarch.operator_files import EXITS_FOLDER, OperatorFolder, read_exit, write_request

app = typer.Typer(
    name="exit",
    help="Leave the chain for good: a threshold of operators must ask for the same exit.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

WARNING = (
    "An exit cannot be taken back: once published, the validator stops earning, waits in the exit\n"
    "queue, and its whole balance goes to the withdrawal address. It keeps its duties until then."
)
EPOCH_MAX = 2**62
_FILE_SIZE_BYTES_MAX = 1 << 16
_TIMEOUT_S = 10.0


class ExitFileInvalid(OperatorError):
    """The file is no signed exit, or cannot be read."""

    code = "exit_file_invalid"
    exit_code = 65  # EX_DATAERR
    mend = "name a file of a node's folder exits/, or what another tool exported"


class ExitNotTaken(OperatorError):
    """The beacon node did not take the exit, and says why."""

    code = "exit_not_taken"
    exit_code = 69  # EX_UNAVAILABLE
    mend = "see what the beacon node says; an exit is taken from its epoch on, once per validator"


Epoch: TypeAlias = Annotated[
    int,
    typer.Option(min=0, max=EPOCH_MAX, help="Valid from this epoch on; alike on all nodes."),
]


@app.command()
@run_command
def sign(
    folder: Folder,
    epoch: Epoch,
    validators: Validators = None,
    every: Annotated[bool, typer.Option("--all", help="Every validator of the cluster.")] = False,
    broadcast: Annotated[
        bool, typer.Option("--broadcast", help="Publish it as soon as it is signed and valid.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask this operator's node to sign exits. Nothing happens until a threshold of operators did.

    The node picks the request up in its next slot, or when it is started. The signed exit comes
    into FOLDER/exits on every node. Without --broadcast this node does not publish it; run the
    command again with --broadcast, or `tetrarch exit broadcast`, when the time has come.

    \b
    Example: tetrarch exit sign my-cluster/node0 --validator 0x93247f... --epoch 194048
    Exit codes: 0 asked for, 65 cluster files are wrong, 66 a file is missing, 73 not writable,
    78 no such validator, or a validator client signs for this node.
    """  # noqa: D301 - \b keeps the help\'s lines
    cluster = load_cluster(folder)
    refuse_client_mode(
        folder, "ask the validator client for the exit; the node takes it from there"
    )
    chosen = selected(cluster, validators, every=every)
    confirm(
        f"{WARNING}\n\nAsk for the exit of {len(chosen)} validator(s) from epoch {epoch} on"
        + (" AND PUBLISH IT?" if broadcast else ", to be kept and not published by this node?"),
        yes=yes,
    )
    files = [
        write_request(folder, ExitRequest(pubkey=pubkey, epoch=epoch, broadcast=broadcast))
        for pubkey in chosen
    ]
    if as_json:
        typer.echo(json.dumps({"requests": [str(file) for file in files]}))
        return
    typer.echo(
        f"asked for {len(files)} exit(s); {cluster.threshold} operators must ask for the same"
    )
    typer.echo(f"see how far they are: tetrarch exit list {folder}")


@app.command("list")
@run_command
def list_(folder: Folder, as_json: AsJson = False) -> None:
    """List the exits that this node knows: who asked, whether they are signed and published.

    Works while the node runs, and while it does not.

    \b
    Example: tetrarch exit list my-cluster/node0
    Exit codes: 0 listed, 65 cluster files are wrong, 66 a file is missing.
    """  # noqa: D301 - \b keeps the help\'s lines
    found = _exits(folder)
    if as_json:
        typer.echo(json.dumps({"exits": found}))
        return
    for each in found or ():
        typer.echo(_line(each))
    if not found:
        typer.echo("no exit is asked for")


@app.command()
@run_command
def status(
    folder: Folder,
    validator: Annotated[str, typer.Option(help="Its root key, 0x...")],
    as_json: AsJson = False,
) -> None:
    """Tell how far one validator's exit is, and what it waits for.

    \b
    Example: tetrarch exit status my-cluster/node0 --validator 0x93247f...
    Exit codes: 0 told, 65 cluster files are wrong, 66 a file is missing, 78 no such validator.
    """  # noqa: D301 - \b keeps the help\'s lines
    cluster = load_cluster(folder)
    (pubkey,) = selected(cluster, [validator], every=False)
    found = [each for each in _exits(folder) if each["validator"] == "0x" + pubkey.hex()]
    if as_json:
        typer.echo(json.dumps({"exits": found}))
        return
    if not found:
        typer.echo("no exit is asked for")
    for each in found:
        typer.echo(_line(each))
        nodes = ", ".join(f"node{node}" for node in each["missing_nodes"]) or "none"
        if not each["signed"]:
            left = each["threshold"] - len(each["nodes"])
            typer.echo(f"  waits for {left} more operator(s); not asked yet: {nodes}")
            if not each["asked_here"]:
                typer.echo("  this node's operator has not asked for it")
        elif not each["published"]:
            typer.echo(f"  publish it: tetrarch exit broadcast {each['file']} --beacon-node URL")


@app.command()
@run_command
def broadcast(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A signed exit.")],
    beacon_node: Annotated[str, typer.Option("--beacon-node", help="URL of its HTTP API.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Publish a signed exit. One beacon node is enough, and any operator may do it.

    \b
    Example: tetrarch exit broadcast my-cluster/node0/exits/exit-0x93247f....json
    --beacon-node http://127.0.0.1:5052
    Exit codes: 0 published, 65 the file is no exit, 69 the beacon node did not take it.
    """  # noqa: D301 - \b keeps the help\'s lines
    signed = _read(file)
    index, epoch = signed.message.validator_index, signed.message.epoch
    confirm(f"{WARNING}\n\nPublish the exit of validator {index} (epoch {epoch})?", yes=yes)
    asyncio.run(_publish(signed, beacon_node))
    typer.echo(f"published: validator {index} leaves")


def _read(file: Path) -> SignedVoluntaryExit:
    try:
        with file.open("rb") as opened:
            return read_exit(opened.read(_FILE_SIZE_BYTES_MAX))
    except OSError as error:
        raise ExitFileInvalid("read exit", file=file, reason=error.strerror) from error
    except InputInvalid as error:
        raise ExitFileInvalid("read exit", file=file, reason=error) from error


async def _publish(signed: SignedVoluntaryExit, url: str) -> None:
    from tetrarch.ethereum.beacon_node.client import connect_beacon_node  # noqa: PLC0415 - slow

    try:
        async with asyncio.timeout(_TIMEOUT_S), connect_beacon_node(url) as client:
            await client.submit_exit(signed)
    except (Transient, TimeoutError) as error:
        raise ExitNotTaken("publish exit", reason=str(error) or "timed out") from error


def _exits(folder: Path) -> list[dict[str, Any]]:
    """One entry for each (validator, epoch), in order."""
    cluster = load_cluster(folder)
    requests = OperatorFolder.requests_of(folder)
    asked = {(each.pubkey, each.epoch): each for each in requests if isinstance(each, ExitRequest)}
    rows = lasting_rows(folder, DutyType.EXIT)
    epochs: dict[tuple[PubKey, int], set[int]] = {key: set() for key in asked}
    for pubkey, payload, share in rows.partials:
        if isinstance(payload, ExitPayload):
            epochs.setdefault((pubkey, payload.message.epoch), set()).add(share - 1)
    signed, published = (
        {(key, each.message.epoch) for key, each in some if isinstance(each, ExitPayload)}
        for some in (rows.signed, rows.submitted)
    )
    return [
        {
            "validator": "0x" + pubkey.hex(),
            "epoch": epoch,
            "asked_here": (pubkey, epoch) in asked,
            "broadcast": (pubkey, epoch) in asked and asked[pubkey, epoch].broadcast,
            "nodes": sorted(nodes),
            "missing_nodes": sorted(set(range(cluster.node_count)) - nodes),
            "threshold": cluster.threshold,
            "signed": (pubkey, epoch) in signed,
            "published": (pubkey, epoch) in published,
            "file": str(folder / EXITS_FOLDER / f"exit-0x{pubkey.hex()}.json"),
        }
        for (pubkey, epoch), nodes in sorted(epochs.items())
    ]


def _line(each: dict[str, Any]) -> str:
    state = "published" if each["published"] else "signed" if each["signed"] else "waits"
    count = f"{len(each['nodes'])} of {each['threshold']} operators"
    return f"{each['validator']} epoch {each['epoch']}: {state}, {count}"
