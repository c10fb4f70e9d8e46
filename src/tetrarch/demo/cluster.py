"""Prepares a demo: files, ports and the commands that its processes run."""

import math
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from tetrarch.clock import Clock
from tetrarch.demo.plan import PlannedEvent
from tetrarch.demo.processes import Child, free_ports
from tetrarch.demo.show import Demo, Shape
from tetrarch.errors import ConfigInvalid
from tetrarch.ethereum.devchain.config import fork_version
from tetrarch.ethereum.spec.presets import preset_named
from tetrarch.ethereum.spec.values import Fork

FEE_RECIPIENT = "0x" + "fe" * 20  # of nobody: the nodes vote for no block that pays another
PRESET = "minimal"
# Before genesis: keys are dealt, then every process starts; two cores start about two a second.
START_S = 6.0
START_PER_NODE_S = 2.0
DEAL_PER_VALIDATOR_S = 0.02

PORT_FIRST, PORTS = 20_000, 12_000  # for the mesh: below what systems give out by themselves


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What was asked for on the command line."""

    slots: int
    slot_duration_ms: int
    validators: int
    nodes: int
    fork: str
    events: tuple[PlannedEvent, ...] = ()
    outside_sync_committee: bool = False  # one more validator is all of it, and the chain runs it
    absent: int = 0  # validators of the chain that nobody runs: they make its committees large
    preset: str = PRESET
    beacon_nodes: int = 1  # addresses of the one chain


def build_demo(
    options: DemoOptions, *, folder: Path, clock: Clock, console: Console, show: bool
) -> Demo:
    """Lay out everything in ``folder``, which is emptied. Starts nothing yet.

    Raises:
        ConfigInvalid: ``folder`` holds something that is no demo's.
    """
    _empty(folder)
    cluster = folder / "cluster"
    ports = free_ports(options.beacon_nodes + options.nodes)
    chain_ports, monitoring_ports = ports[: options.beacon_nodes], ports[options.beacon_nodes :]
    start_s = START_S + options.nodes * START_PER_NODE_S
    start_s += options.nodes * options.validators * DEAL_PER_VALIDATOR_S
    genesis_time_s = math.ceil(clock.wall_s() + start_s)
    chain_urls = [f"http://127.0.0.1:{port}" for port in chain_ports]
    return Demo(
        shape=Shape(
            slots=options.slots,
            slot_duration_ms=options.slot_duration_ms,
            slots_per_epoch=preset_named(options.preset).slots_per_epoch,
            validators=options.validators,
            nodes=options.nodes,
            threshold=math.ceil(2 * options.nodes / 3),
            fork=options.fork,
            events=options.events,
        ),
        clock=clock,
        dealer=_dealer(options, folder, cluster),
        chain=_chain(options, folder, chain_ports, genesis_time_s),
        chain_url=chain_urls[0],
        nodes=tuple(
            Child(
                name=f"node{index}",
                arguments=(
                    "run",
                    str(cluster / f"node{index}"),
                    *(part for url in chain_urls for part in ("--beacon-node", url)),
                    "--monitoring-port",
                    str(port),
                ),
                log_path=folder / f"node{index}.log",
            )
            for index, port in enumerate(monitoring_ports)
        ),
        node_urls=tuple(f"http://127.0.0.1:{port}" for port in monitoring_ports),
        genesis_time_s=genesis_time_s,
        console=console,
        show=show,
    )


def _dealer(options: DemoOptions, folder: Path, cluster: Path) -> Child:
    return Child(
        name="cluster create",
        arguments=(
            "cluster",
            "create",
            str(cluster),
            "--nodes",
            str(options.nodes),
            "--interop",
            f"0..{options.validators - 1}",
            "--fork-version",
            "0x" + fork_version(Fork.PHASE0).hex(),
            "--base-port",
            str(_free_range(options.nodes)),
            "--insecure-keystores",
            "--fee-recipient",
            FEE_RECIPIENT,
            "--json",
        ),
        log_path=folder / "create.log",
    )


def _chain(options: DemoOptions, folder: Path, ports: list[int], genesis_time_s: int) -> Child:
    outsider = [str(options.validators)] if options.outside_sync_committee else []
    return Child(
        name="devchain",
        arguments=(
            "devchain",
            "--port",
            str(ports[0]),
            *(part for port in ports[1:] for part in ("--also-port", str(port))),
            "--validators",
            str(options.validators + len(outsider) + options.absent),
            "--self-run",
            ",".join(outsider),
            "--sync-members",
            ",".join(outsider),
            "--slot-seconds",
            str(options.slot_duration_ms / 1000),
            "--fork",
            options.fork,
            "--preset",
            options.preset,
            "--genesis-time",
            str(genesis_time_s),
        ),
        log_path=folder / "devchain.log",
    )


def _empty(folder: Path) -> None:
    """Make ``folder`` empty; refuse to delete what no demo has written."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / "create.log").exists():
            raise ConfigInvalid("prepare demo", folder=folder, reason="it holds other files")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)


def _free_range(count: int) -> int:
    """The first of ``count`` adjacent free ports, below those that systems give out by themselves.

    Where the search begins is drawn by the system, so that two demos do not find the same.
    """
    (drawn,) = free_ports(1)
    for step in range(0, PORTS, count):
        base = PORT_FIRST + (drawn + step) % PORTS
        if all(_is_free(base + offset) for offset in range(count)):
            return base
    raise ConfigInvalid("find free ports", count=count)


def _is_free(port: int) -> bool:
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
