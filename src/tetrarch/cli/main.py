"""The ``tetrarch`` command: all its groups."""

import json
from typing import Annotated

import typer

from tetrarch import __version__
from tetrarch.cli import (
    cluster,
    consensus,
    demo,
    devchain,
    duty,
    election,
    enclave,
    exits,
    fee_recipient,
    leader,
    ledger,
    overlay,
    peer,
    pool,
    run,
    signer,
    sim,
    slashing_protection,
)
from tetrarch.cli.errors import run_command

app = typer.Typer(
    name="tetrarch",
    help="Several operators' nodes act as one: distributed validator, enclave, mesh.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(cluster.app, name="cluster")
app.add_typer(consensus.app, name="consensus")
app.add_typer(slashing_protection.app, name="slashing-protection")
app.add_typer(exits.app, name="exit")
app.add_typer(fee_recipient.app, name="fee-recipient")
app.add_typer(demo.app, name="demo")
app.add_typer(duty.app, name="duty")
app.add_typer(election.app, name="election")
app.add_typer(enclave.app, name="enclave")
app.add_typer(leader.app, name="leader")
app.add_typer(ledger.app, name="ledger")
app.add_typer(overlay.app, name="overlay")
app.add_typer(peer.app, name="peer")
app.add_typer(pool.app, name="pool")
app.add_typer(sim.app, name="sim")
app.command(name="run")(run.run)
app.command(name="signer")(signer.signer)
app.command(name="config")(run.show_config)
app.command(name="devchain")(devchain.devchain)


@app.command()
@run_command
def version(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print the version.

    Example: tetrarch version --json
    """
    typer.echo(json.dumps({"version": __version__}) if as_json else __version__)


def main() -> None:
    """Run the command line."""
    app()
