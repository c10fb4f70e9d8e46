"""``tetrarch election``: elect one leader among nodes, and check who was elected."""

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tetrarch.attestation.policy import Allowed, Demand
from tetrarch.cli import election_questions
from tetrarch.cli.errors import run_command
from tetrarch.cli.files import read_bounded
from tetrarch.election.configuration import Rule
from tetrarch.election.quorums import Mode
from tetrarch.enclave.protections import Protection
from tetrarch.errors import ConfigInvalid

if TYPE_CHECKING:
    from tetrarch.election.campaigning import Campaign
    from tetrarch.observability.logs import Log

app = typer.Typer(
    help="Elect one leader among nodes, with a proof that anybody can check.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

EXIT_INVALID = 1  # the certificate proves nothing


@app.callback()
def group() -> None:
    """Elect one leader among nodes, with a proof that anybody can check."""


@app.command()
@run_command
def node(
    port: Annotated[int, typer.Option("--port", "-p", min=1, max=65535, help="This node's port.")],
    others: Annotated[
        list[str],
        typer.Option("--node", "-n", help="Another node, as PORT or HOST:PORT. Repeat for each."),
    ],
    host: Annotated[
        str, typer.Option(help="This node's host, as the others name it.")
    ] = "127.0.0.1",
    listen: Annotated[
        str | None, typer.Option(help="Where to listen, if not at --host and --port: HOST:PORT.")
    ] = None,
    mode: Annotated[
        Mode, typer.Option(help="bft: a third may lie; crash: a minority may be down, nobody lies.")
    ] = Mode.BFT,
    rule: Annotated[Rule, typer.Option(help="Who leads where nobody does yet.")] = Rule.LOWEST,
    lease_ms: Annotated[
        int,
        typer.Option(
            min=0, max=3_600_000, help="How long a leader is sure to lead. 0: not at all."
        ),
    ] = 0,
    folder: Annotated[
        Path | None,
        typer.Option(help="Sealed state. Default: tetrarch-election-PORT in this folder."),
    ] = None,
    passphrase_file: Annotated[
        Path | None,
        typer.Option(help="Seals the state. Default: a key file, made in the folder."),
    ] = None,
    require: Annotated[
        list[Protection] | None,
        typer.Option(help="Do not run unless the host lets the enclave protect itself so. Repeat."),
    ] = None,
    attestation: Annotated[
        Demand,
        typer.Option(help="Nodes without evidence that is allowed: not asked, named, or refused."),
    ] = Demand.OFF,
    enclave_measurement: Annotated[
        list[str] | None,
        typer.Option(
            help="An enclave that may take part, as BACK_END:MEASUREMENT[:VERSION]; see `tetrarch "
            "enclave measure`. Repeat."
        ),
    ] = None,
    monitoring_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Answer `tetrarch election leader` and others here, with metrics, on 127.0.0.1. "
            "Default: nowhere.",
        ),
    ] = None,
    tpm: Annotated[
        Path | None,
        typer.Option(
            help="A TPM that vouches for this node's enclave, usually /dev/tpmrm0. `tetrarch "
            "enclave measure --tpm` prints the entry."
        ),
    ] = None,
    tpm_counter: Annotated[
        bool,
        typer.Option(
            "--tpm-counter",
            help="Know by a counter of the TPM whether the folder is the newest, instead of asking the "
            "others after a start. From the first start on, or never. Not with a virtual TPM whose "
            "state is part of the machine's snapshots.",
        ),
    ] = False,
    accept_cold_start: Annotated[
        bool,
        typer.Option(
            "--accept-cold-start",
            help="Begin although all nodes were down at once. Safe unless more folders than may "
            "fail were restored from backups.",
        ),
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log every step.")] = False,
) -> None:
    """Take part in an election until stopped; print each certified leader as one JSON line.

    All nodes must be given the same nodes, mode, rule, lease and attestation. Logs go to standard error.

    Example: tetrarch election node -p 5000 -n 5001

    Exit codes: 0 stopped by a signal, 65 damaged or foreign state, 66 no passphrase file,
    69 the port is taken, or there is no such TPM or counter, 73 the folder is in use or cannot be written, 77 a required protection
    is missing, 78 nodes that cannot be.
    """
    from tetrarch.clock import SystemClock  # noqa: PLC0415 - keeps `--help` fast
    from tetrarch.election.addresses import name_of, read_address  # noqa: PLC0415
    from tetrarch.election.campaigning import campaign  # noqa: PLC0415
    from tetrarch.observability.logs import LogFormat, LogLevel, build_log  # noqa: PLC0415
    from tetrarch.stop_signals import on_stop_signal  # noqa: PLC0415
    from tetrarch.supervision import Supervisor, sole_cause  # noqa: PLC0415

    if tpm_counter and tpm is None:
        raise ConfigInvalid("read option", option="--tpm-counter", reason="needs --tpm")
    own = name_of((host, port))
    log = build_log(
        sys.stderr,
        clock=SystemClock(),
        log_format=LogFormat.CONSOLE if sys.stderr.isatty() else LogFormat.JSON,
        level=LogLevel.DEBUG if verbose else LogLevel.INFO,
        node=own,
    )
    where = folder or Path(f"tetrarch-election-{port}")

    async def main() -> None:
        task = asyncio.current_task()

        def stop(_name: str) -> None:
            if task is not None:
                task.cancel()

        on_stop_signal(stop)
        async with campaign(
            own,
            [name_of(read_address(other, default_host=host)) for other in others],
            folder=where,
            mode=mode,
            rule=rule,
            lease_ms=lease_ms,
            listen=None if listen is None else read_address(listen, default_host=host),
            passphrase_file=passphrase_file,
            required=require or (),
            attestation=attestation,
            allowed=[Allowed.parse(entry) for entry in enclave_measurement or ()],
            tpm=tpm,
            counts_by_tpm=tpm_counter,
            accepts_cold_start=accept_cold_start,
            log=log,
        ) as running:
            c = running.configuration
            log.info(
                "election_begun",
                folder=str(where),
                members=len(c.members),
                quorum=c.quorum,
                mode=c.mode.value,
                configuration_hash=c.hash.hex(),
            )
            async with Supervisor(log) as tasks:
                if monitoring_port is not None:
                    tasks.spawn(_monitor(running, monitoring_port, log), name="monitoring")
                async for leading in running.leaders():
                    typer.echo(json.dumps(leading.document))
                    sys.stdout.flush()

    try:
        asyncio.run(main())
    except asyncio.CancelledError:
        return
    except BaseExceptionGroup as group:
        raise sole_cause(group) from None


async def _monitor(running: "Campaign", port: int, log: "Log") -> None:
    """Serve what this member knows until cancelled."""
    from tetrarch.api.election_views import (  # noqa: PLC0415 - keeps `--help` fast
        election_streams,
        election_views,
        watch_election,
    )
    from tetrarch.observability.metrics import Metrics  # noqa: PLC0415
    from tetrarch.observability.monitoring import Monitoring  # noqa: PLC0415

    metrics = Metrics()
    watch_election(running, metrics)
    monitoring = Monitoring(
        host="127.0.0.1",
        port=port,
        metrics=metrics,
        reasons=lambda: () if running.leading else ("no_leader: none was certified yet",),
        views=election_views(running),
        streams=election_streams(running),
        log=log,
    )
    await monitoring.run()


@app.command()
@run_command
def verify(
    certificate: Annotated[
        Path, typer.Argument(help="A line that a node printed, as a file; - for standard input.")
    ],
    configuration: Annotated[
        Path, typer.Option("--configuration", "-c", help="election.json of a node that you trust.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check that a quorum of the members certified this leader. Needs no node and no network.

    Example: tetrarch election verify leader.json -c tetrarch-election-5000/election.json

    Exit codes: 0 proven, 1 not, 66 no such file, 78 no election configuration.
    """
    from tetrarch.election.certificates import CertificateInvalid, check_leader  # noqa: PLC0415
    from tetrarch.election.documents import (  # noqa: PLC0415
        DOCUMENT_MAX_BYTES,
        read_certificate,
        read_configuration,
    )

    electorate, keys = read_configuration(read_bounded(configuration, DOCUMENT_MAX_BYTES))
    try:
        read = read_certificate(read_bounded(certificate, DOCUMENT_MAX_BYTES), electorate)
        check_leader(read, electorate, keys)
    except CertificateInvalid as error:
        if as_json:
            typer.echo(json.dumps({"proven": False, "reason": str(error)}))
        else:
            typer.echo(
                f"not proven: {certificate}: {error}; get the line again from a member, and a "
                "configuration from one that you trust; if it stays so, do not believe it"
            )
        raise typer.Exit(EXIT_INVALID) from None
    leader = electorate.members[read.leader.leader]
    signers = [electorate.members[source] for source, _ in read.signatures]
    if as_json:
        told = {"proven": True, "term": read.term, "leader": leader, "signed_by": signers}
        typer.echo(json.dumps(told))
    else:
        quorum = f"{len(signers)} of {electorate.count} members signed, {electorate.quorum} needed"
        if electorate.cluster_key is not None:
            quorum = "signed with the key that the members share"
        typer.echo(f"{leader} leads in term {read.term}: {quorum}")


app.command(name="leader")(election_questions.leader)
app.command(name="members")(election_questions.members)
app.command(name="watch")(election_questions.watch)
