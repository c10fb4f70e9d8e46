"""``tetrarch demo``: the main job, shown on this machine."""

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tetrarch.cli.errors import run_command
from tetrarch.clock import SystemClock
from tetrarch.demo.cluster import DemoOptions, build_demo
from tetrarch.demo.plan import Action, parse_events
from tetrarch.demo.table import draw_summary
from tetrarch.errors import ConfigInvalid
from tetrarch.ethereum.spec.values import Fork

EXIT_MISSED = 1

app = typer.Typer(help="The main job, shown on this machine.", rich_markup_mode=None)


@app.callback(invoke_without_command=True)
@run_command
def demo(
    context: typer.Context,
    slots: Annotated[int, typer.Option(min=2, max=100_000, help="Slots to run.")] = 24,
    slot_seconds: Annotated[float, typer.Option(min=1.0, max=60.0, help="Length of a slot.")] = 4.0,
    validators: Annotated[int, typer.Option(min=1, max=1_000, help="Validators.")] = 16,
    nodes: Annotated[int, typer.Option(min=3, max=10, help="Nodes of the cluster.")] = 4,
    beacon_nodes: Annotated[int, typer.Option(min=1, max=5, help="Beacon nodes of each node.")] = 1,
    fork: Annotated[str, typer.Option(help="altair, deneb, electra or fulu.")] = "electra",
    kill: Annotated[
        list[str] | None, typer.Option(help="Kill a node: --kill 3@slot5. May be repeated.")
    ] = None,
    restart: Annotated[
        list[str] | None, typer.Option(help="Start it again: --restart 3@slot9.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Keep cluster and logs here (emptied first).")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object at the end, nothing else.")
    ] = False,
) -> None:
    """Run four nodes as one Ethereum validator against a development chain.

    Starts the chain and the nodes as real processes, shows each duty, and sums up. Keys on a
    terminal: a node's number kills or restarts it, q stops.

    Example: tetrarch demo --slots 32 --slot-seconds 4 --kill 3@slot5 --restart 3@slot9

    Exit codes: 0 nothing missed that should not have been, 1 something was, 78 bad options,
    70 a process died.
    """
    if context.invoked_subcommand is not None:
        return
    if fork not in set(Fork):
        raise ConfigInvalid("read options", option="--fork", got=fork)
    events = [
        *parse_events(kill or [], Action.KILL, node_count=nodes),
        *parse_events(restart or [], Action.RESTART, node_count=nodes),
    ]
    options = DemoOptions(
        slots=slots,
        slot_duration_ms=round(slot_seconds * 1000),
        validators=validators,
        nodes=nodes,
        fork=fork,
        beacon_nodes=beacon_nodes,
        events=tuple(events),
    )
    console = Console(stderr=as_json, quiet=as_json)
    with tempfile.TemporaryDirectory(prefix="tetrarch-demo-") as temporary:
        place = folder or Path(temporary)
        run = build_demo(
            options,
            folder=place,
            clock=SystemClock(),
            console=console,
            show=not as_json and sys.stdout.isatty(),
        )
        summary = asyncio.run(run.run())
    if as_json:
        typer.echo(json.dumps(summary.to_json()))
    else:
        console.print(draw_summary(summary))
    if not summary.succeeded:
        raise typer.Exit(EXIT_MISSED)


@app.command()
@run_command
def ledger(
    slots: Annotated[int, typer.Option(min=40, max=100_000, help="Slots of a second.")] = 50,
    folder: Annotated[
        Path | None, typer.Option(help="Keep the nodes' folders and logs here.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object at the end, nothing else.")
    ] = False,
) -> None:
    """Run a chain by four nodes and their enclaves: payments, a node that is killed and comes back, epochs.

    Example: tetrarch demo ledger --json

    Exit codes: 0 all of it held, 1 something did not, 70 a process died.
    """
    from tetrarch.demo.ledger import LedgerDemo  # noqa: PLC0415 - keeps `tetrarch demo` fast

    with tempfile.TemporaryDirectory(prefix="tetrarch-demo-") as temporary:
        place = folder or Path(temporary)
        tell = (lambda _line: None) if as_json else typer.echo
        demo_run = LedgerDemo(place, slots=slots, clock=SystemClock(), tell=tell)
        summary = asyncio.run(demo_run.run())
    if as_json:
        typer.echo(json.dumps(summary.to_json()))
    else:
        for name, value in summary.to_json().items():
            typer.echo(f"{name:<22}{value}")
    if not summary.succeeded:
        raise typer.Exit(EXIT_MISSED)
