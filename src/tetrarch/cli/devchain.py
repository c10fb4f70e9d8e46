"""``tetrarch devchain``: a made-up beacon chain behind the beacon API."""

import asyncio
import json
import math
import re
from collections.abc import Sequence
from typing import Annotated

import typer

from tetrarch.cli.errors import run_command
from tetrarch.clock import Clock, SystemClock
from tetrarch.errors import ConfigInvalid
from tetrarch.ethereum.devchain.config import FORKS, DevChainConfig, Faults
from tetrarch.ethereum.devchain.server import DevChainServer
from tetrarch.ethereum.spec.values import Fork
from tetrarch.stop_signals import on_stop_signal

PRESETS = ("minimal", "mainnet")
_RANGE = re.compile(r"(\d{1,6})(?:\.\.(\d{1,6}))?")


def parse_indices(text: str, *, option: str = "--self-run") -> tuple[int, ...]:
    """Validator indices from ``8..63``, ``0,2,4..7`` or nothing; both ends count.

    Raises:
        ConfigInvalid: another form.
    """
    indices: set[int] = set()
    for part in filter(None, text.replace(" ", "").split(",")):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise ConfigInvalid("read options", option=option, got=part[:32])
        first = int(match[1])
        indices.update(range(first, int(match[2] or first) + 1))
    return tuple(sorted(indices))


def parse_activations(texts: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Pairs of a validator and its activation epoch, from ``7@3`` or ``4..6@2``.

    Raises:
        ConfigInvalid: another form.
    """
    pairs: list[tuple[int, int]] = []
    for text in texts:
        named, _, epoch = text.partition("@")
        indices = parse_indices(named, option="--activate-later")
        if not (indices and epoch.isascii() and epoch.isdigit() and len(epoch) < 12):
            raise ConfigInvalid("read options", option="--activate-later", got=text[:32])
        pairs.extend((index, int(epoch)) for index in indices)
    return tuple(pairs)


@run_command
def devchain(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Listen here; 0: any.")] = 5052,
    also_port: Annotated[
        list[int] | None,
        typer.Option(help="Listen here, too, as several beacon nodes would. May be repeated."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    validators: Annotated[int, typer.Option(min=1, max=65_536, help="Interop validators.")] = 64,
    slot_seconds: Annotated[float, typer.Option(min=0.1, max=600, help="Length of a slot.")] = 6.0,
    fork: Annotated[str, typer.Option(help="altair, deneb, electra or fulu.")] = "electra",
    preset: Annotated[str, typer.Option(help="minimal or mainnet.")] = "minimal",
    genesis_delay: Annotated[
        float, typer.Option(min=0, max=86_400, help="Seconds until slot 0.")
    ] = 5.0,
    genesis_time: Annotated[
        int | None, typer.Option(help="Unix seconds of slot 0, instead of the delay.")
    ] = None,
    builder: Annotated[bool, typer.Option("--builder", help="Offer blinded blocks.")] = False,
    self_run: Annotated[
        str, typer.Option(help="Validators that the chain runs itself: 8..63 or 1,3,5.")
    ] = "",
    sync_members: Annotated[
        str,
        typer.Option(help="Who fills the first sync committees, instead of a draw: 64 or 0..7."),
    ] = "",
    activate_later: Annotated[
        list[str] | None,
        typer.Option(help="Who becomes active later, and in which epoch: 7@3. May be repeated."),
    ] = None,
    exit_after_epochs: Annotated[
        int, typer.Option(min=0, help="Epochs that a validator serves before it may leave.")
    ] = 64,
    slow_ms: Annotated[int, typer.Option(min=0, help="Fault: answer so late.")] = 0,
    error_rate: Annotated[
        float, typer.Option(min=0, max=1, help="Fault: share of 500 answers.")
    ] = 0.0,
    wrong_head: Annotated[
        bool, typer.Option("--wrong-head", help="Fault: hand out the head's parent.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON lines: where it listens, and the end.")
    ] = False,
) -> None:
    """Serve a development beacon chain with interop validators, until SIGINT or SIGTERM.

    GET /tetrarch/devchain/report says which duties came in time and which messages were
    slashable; POST /tetrarch/devchain/faults switches faults.

    Example: tetrarch devchain --port 5052 --validators 64 --slot-seconds 4 --self-run 8..63

    Exit codes: 0 stopped by a signal, 69 port in use, 78 bad options, 2 wrong command line.
    """
    if fork not in set(FORKS):
        raise ConfigInvalid("read options", option="--fork", got=fork, known=", ".join(FORKS))
    if preset not in PRESETS:
        raise ConfigInvalid("read options", option="--preset", got=preset)
    clock = SystemClock()
    config = DevChainConfig(
        genesis_time_s=genesis_time or math.ceil(clock.wall_s() + genesis_delay),
        fork=Fork(fork),
        preset=preset,
        validators=validators,
        slot_duration_ms=round(slot_seconds * 1000),
        self_run=parse_indices(self_run),
        sync_members=parse_indices(sync_members, option="--sync-members"),
        activate_later=parse_activations(activate_later or ()),
        builder=builder,
        exit_after_epochs=exit_after_epochs,
        faults=Faults(slow_ms=slow_ms, error_rate=error_rate, wrong_head=wrong_head),
        host=host,
        port=port,
    )
    asyncio.run(serve(config, clock, also_ports=tuple(also_port or ()), as_json=as_json))


async def serve(
    config: DevChainConfig, clock: Clock, *, also_ports: tuple[int, ...] = (), as_json: bool
) -> None:
    """Serve until a signal; raises ``ListenFailed``."""
    stopped = asyncio.Event()
    on_stop_signal(lambda _name: stopped.set())
    async with DevChainServer(config, clock, also_ports=also_ports) as server:
        if as_json:
            shown = {"url": server.url, "genesis_time": config.genesis_time_s}
            typer.echo(json.dumps({"event": "listening", **shown}))
        else:
            about = f"{config.fork.value}, {config.preset}, {config.validators} validators"
            typer.echo(f"{server.url}  {about}, genesis at {config.genesis_time_s}")
        await server.run_until(stopped)
        chain = server.chain
        if as_json:
            ended = {"event": "stopped", "slot": chain.slot, "head_slot": chain.head.slot}
            typer.echo(json.dumps({**ended, "finalized_epoch": chain.finalized[0]}))
