"""``tetrarch leader``: whose blocks a running node makes, when, and what became of them."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tetrarch.cli.errors import run_command
from tetrarch.cli.ledger_options import AsJson, Folder, Url, key_option, order
from tetrarch.cli.node_questions import DEFAULT_URL, ask_node

app = typer.Typer(
    help="Whose blocks a running node makes, when, and what became of them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def group() -> None:
    """Whose blocks a running node makes."""


@app.command(name="list")
@run_command
def list_leaders(url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """The node's leaders, and how far their schedules are known.

    Example: tetrarch leader list

    Exit codes: 0, 65 what answers has no ledger, 69 nobody answers.
    """
    told = ask_node(url, "/leadership/leaders", {}, dict[str, Any])
    if as_json:
        typer.echo(json.dumps(told))
        return
    for each in told["leaders"]:
        what = each.get("key") or each.get("pool")
        latest = each["latest_date"] or "never"
        typer.echo(f"{each['number']:>4}  {each['kind']:<5} {what}  signed last for {latest}")
    for each in told["schedules"]:
        known = f"{each['slots_known']} of {each['slots']} slots"
        typer.echo(f"      epoch {each['epoch']}, leader {each['leader']}: {known} known")


@app.command()
@run_command
def schedule(url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """The slots to come in which the node's leaders make blocks.

    Example: tetrarch leader schedule --json

    Exit codes: 0, 65 what answers has no ledger, 69 nobody answers.
    """
    told = ask_node(url, "/leadership/schedule", {}, list[dict[str, Any]])
    if as_json:
        typer.echo(json.dumps({"schedule": told}))
        return
    for each in told:
        typer.echo(f"{each['date']:>12}  leader {each['leader']}  {each['at']}")


@app.command()
@run_command
def logs(url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """What became of each slot in which the node was to make a block.

    Example: tetrarch leader logs

    Exit codes: 0, 65 what answers has no ledger, 69 nobody answers.
    """
    told = ask_node(url, "/leadership/logs", {}, list[dict[str, Any]])
    if as_json:
        typer.echo(json.dumps({"logs": told}))
        return
    for each in told:
        if each["outcome"] == "pending":
            continue
        status = each["status"]
        detail = ""
        if "Block" in status:
            detail = status["Block"]["block"]
        elif "Rejected" in status:
            detail = status["Rejected"]["reason"]
        date, leader = each["scheduled_at_date"], each["enclave_leader_id"]
        typer.echo(f"{date:>12}  leader {leader}  {each['outcome']:<9} {detail}")


@app.command()
@run_command
def add(
    pool: Annotated[
        str | None,
        typer.Option(metavar="ID", help="A stake pool's id. Default: a leader in turn."),
    ] = None,
    url: Url = DEFAULT_URL,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Have the enclave of a running node make the keys of one more leader.

    Example: tetrarch leader add --folder node0

    Exit codes: 0, 65 it cannot be, and why, 66 no token, 69 nobody answers, 77 not its token, 78 no id.
    """
    asked = {} if pool is None else {"pool": key_option("--pool", pool).hex()}
    told = order("/leadership/add", asked, url=url, folder=folder)
    what = told.get("key") or told.get("pool")
    typer.echo(json.dumps(told) if as_json else f"leader {told['number']}, {told['kind']}: {what}")


@app.command()
@run_command
def remove(
    number: Annotated[int, typer.Argument(help="As `tetrarch leader list` has it.")],
    url: Url = DEFAULT_URL,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Make a running node's enclave forget a leader's keys, for good.

    Example: tetrarch leader remove 0 --folder node0

    Exit codes: 0, 65 there is no such leader, 66 no token, 69 nobody answers, 77 not its token.
    """
    told = order("/leadership/remove", {"number": number}, url=url, folder=folder)
    typer.echo(json.dumps(told) if as_json else f"leader {number} is gone")
