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


@run_command
def demo(
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
