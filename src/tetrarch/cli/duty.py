"""``tetrarch duty``: what became of duties, and why."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer
from rich.console import Console, RenderableType

from tetrarch.cli.errors import run_command
from tetrarch.errors import InputInvalid

T = TypeVar("T")

app = typer.Typer(
    help="What became of duties, and why: from the nodes' own records.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

EXIT_FAILED = 1  # the duty failed
EXIT_NOT_FOUND = 2  # nobody knows it

UrlOption = Annotated[
    str | None, typer.Option("--url", help="The node's monitoring listener, as http://host:3620.")
]
FolderOption = Annotated[
    Path | None,
    typer.Option("--folder", help="The node's folder: its listener, or its database if it is off."),
]
OfflineOption = Annotated[
    bool, typer.Option("--offline", help="Read the folder's database, and ask nobody.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command()
@run_command
def explain(
    duty: Annotated[str, typer.Argument(help="SLOT/TYPE, as 9/attester.", show_default=False)],
    url: UrlOption = None,
    folder: FolderOption = None,
    offline: OfflineOption = False,
    as_json: JsonOption = False,
) -> None:
    """Tell the story of a duty: every node's steps, who led, who signed when, and what failed.

    The node asks its peers for their records; what they answer is their word, not this node's.

    Example: tetrarch duty explain 9/attester --folder cluster/node0

    Exit codes: 0 told, 1 told and this node says that it failed, 2 nobody knows the duty or it
    is written wrongly, 65 wrong answer, 66 no records in the folder, 69 no node answers.
    """
    from tetrarch.api.duty_views import read_duty  # noqa: PLC0415 - keeps `--help` fast
    from tetrarch.cli.duty_picture import draw_story  # noqa: PLC0415
    from tetrarch.cli.duty_source import Source  # noqa: PLC0415

    asked = _read(read_duty, duty, "DUTY")
    story = Source.choose(url=url, folder=folder, offline=offline).story(asked)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(story)).decode())
    else:
        _print(draw_story(story))
    reports = [node.reports[0] for node in story.nodes if node.reports]
    own = next((node for node in story.nodes if node.is_own), None)
    if not any(report.name == str(asked) for report in reports):
        raise typer.Exit(EXIT_NOT_FOUND)
    if own is not None and any(
        report.name == str(asked) and report.outcome.value == "failed" for report in own.reports
    ):
        raise typer.Exit(EXIT_FAILED)


@app.command(name="list")
@run_command
def list_duties(
    failed: Annotated[bool, typer.Option("--failed", help="Only duties that failed.")] = False,
    since_slot: Annotated[int, typer.Option(min=0, help="Only from that slot on.")] = 0,
    duty_type: Annotated[str | None, typer.Option("--type", help="Only of that type.")] = None,
    url: UrlOption = None,
    folder: FolderOption = None,
    offline: OfflineOption = False,
    as_json: JsonOption = False,
) -> None:
    """List the latest duties, as this node knows them: the newest last, at most 512.

    Example: tetrarch duty list --failed --since-slot 100 --folder cluster/node0

    Exit codes: 0 listed, 2 wrong type, 65 wrong answer, 66 no records in the folder, 69 no node answers.
    """
    from tetrarch.api.duty_views import read_type  # noqa: PLC0415 - keeps `--help` fast
    from tetrarch.cli.duty_picture import draw_list  # noqa: PLC0415
    from tetrarch.cli.duty_source import Source  # noqa: PLC0415

    kind = None if duty_type is None else _read(read_type, duty_type, "--type")
    source = Source.choose(url=url, folder=folder, offline=offline)
    reports, offline_only = source.reports(since_slot=since_slot, failed=failed, duty_type=kind)
    if as_json:
        told = {"from_database_alone": offline_only, "duties": reports}
        typer.echo(msgspec.json.format(msgspec.json.encode(told)).decode())
    else:
        _print(draw_list(reports, from_database_alone=offline_only))


def _read(read: Callable[[str], T], text: str, name: str) -> T:
    try:
        return read(text)
    except InputInvalid as error:
        raise typer.BadParameter(str(error), param_hint=name) from None


def _print(picture: RenderableType) -> None:
    # Where nobody watches, a table must not be cut to 80 columns.
    width = None if sys.stdout.isatty() else 140
    Console(width=width, highlight=False).print(picture)
