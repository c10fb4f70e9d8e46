"""``tetrarch overlay``: a node of the open network alone, to try it and to relay."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from tetrarch.cli.errors import run_command
from tetrarch.errors import ConfigInvalid

app = typer.Typer(
    help="A node of the open network alone.", no_args_is_help=True, rich_markup_mode=None
)


@app.callback()
def group() -> None:
    """A node of the open network alone."""


@app.command()
@run_command
def node(
    listen: Annotated[
        list[str], typer.Option(help="Where to listen, as IP:PORT or [IPV6]:PORT. Repeat.")
    ],
    folder: Annotated[Path, typer.Option(help="The node's key, certificate and known nodes.")],
    trusted: Annotated[
        list[str] | None,
        typer.Option(
            help="Whom to ask first, as IP:PORT, or IP:PORT,NODE_ID,CERTIFICATE_SHA256. Before it may "
            "stand how it talks: tls:, plain:, or reference: for a node of the reference. Repeat."
        ),
    ] = None,
    privileged: Annotated[
        list[str] | None,
        typer.Option(help="Whom to keep linked with, as IP:PORT or a node's id. Repeat."),
    ] = None,
    public: Annotated[
        str,
        typer.Option(
            help="What others are told, if not the first --listen. none: nothing. auto, or auto:PORT "
            "where a router hands that port on: what they find out."
        ),
    ] = "",
    layer: Annotated[
        list[str] | None,
        typer.Option(help="rings, vicinity or cyclon; all three if none is named. Repeat."),
    ] = None,
    private_addresses: Annotated[
        bool,
        typer.Option("--private-addresses", help="Others may be in a private network, or here."),
    ] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Without TLS: nothing is hidden.")] = False,
    plain_nodes: Annotated[
        bool, typer.Option("--plain-nodes", help="Talk with nodes without TLS, too.")
    ] = False,
    proxy: Annotated[
        list[str] | None,
        typer.Option(help="A proxy of ours, as IP or IP/BITS: it says who calls. Repeat."),
    ] = None,
    proxy_certificate: Annotated[
        list[str] | None,
        typer.Option(help="SHA-256 of a certificate that our proxy shows. Repeat."),
    ] = None,
    chain: Annotated[
        str, typer.Option(help="Names the trial chain; all nodes the same.")
    ] = "trial",
    round_s: Annotated[
        float, typer.Option(min=0.1, max=600, help="Between rounds of gossip.")
    ] = 10,
    block_every_s: Annotated[
        float, typer.Option(min=0, max=86_400, help="Make a block so often. 0: never.")
    ] = 0,
    block_size_bytes: Annotated[
        int, typer.Option(min=1, max=4_000_000, help="Of blocks that are made.")
    ] = 1000,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            help="Of the policy, as failures_max=3; docs/explanation/overlay.md names all. Repeat."
        ),
    ] = None,
    monitoring_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Answer `tetrarch peer` here, on 127.0.0.1."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log every step.")] = False,
) -> None:
    """Take part in an overlay until stopped. Its chain is a trial: in memory, anybody makes blocks.

    Example: tetrarch overlay node --listen 127.0.0.1:3000 --folder overlay-3000 --private-addresses

    Exit codes: 0 stopped by a signal, 65 a damaged key or database, 69 an address is taken,
    73 the folder is in use or cannot be written, 78 an address that is none.
    """
    from tetrarch.cli.overlay_node import Trial, run_trial  # noqa: PLC0415 - keeps `--help` fast
    from tetrarch.clock import SystemClock  # noqa: PLC0415
    from tetrarch.config import OverlayConfig  # noqa: PLC0415
    from tetrarch.network.overlay.machine import LAYERS  # noqa: PLC0415
    from tetrarch.network.overlay.tuning import read_rule  # noqa: PLC0415
    from tetrarch.observability.logs import LogFormat, LogLevel, build_log  # noqa: PLC0415
    from tetrarch.stop_signals import on_stop_signal  # noqa: PLC0415
    from tetrarch.supervision import sole_cause  # noqa: PLC0415

    log = build_log(
        sys.stderr,
        clock=SystemClock(),
        log_format=LogFormat.CONSOLE if sys.stderr.isatty() else LogFormat.JSON,
        level=LogLevel.DEBUG if verbose else LogLevel.INFO,
        node=listen[0],
    )
    if not chain:
        raise ConfigInvalid("read option", option="--chain", reason="is empty")
    config = OverlayConfig(
        listen=tuple(listen),
        trusted=tuple(trusted or ()),
        privileged=tuple(privileged or ()),
        public=public,
        layers=tuple(layer or LAYERS),
        private_addresses=private_addresses,
        plain=plain,
        plain_nodes=plain_nodes,
        proxies=tuple(proxy or ()),
        proxy_certificates=tuple(proxy_certificate or ()),
        round_ms=round(1000 * round_s),
        policy=dict(map(read_rule, rule or ())),
    )
    trial = Trial(
        config=config,
        chain=chain,
        block_every_s=block_every_s,
        block_size_bytes=block_size_bytes,
        monitoring_port=monitoring_port,
    )

    async def main() -> None:
        task = asyncio.current_task()

        def stop(_name: str) -> None:
            if task is not None:
                task.cancel()

        on_stop_signal(stop)
        await run_trial(trial, folder, log)

    try:
        asyncio.run(main())
    except asyncio.CancelledError:
        return
    except BaseExceptionGroup as group:
        raise sole_cause(group) from None
