"""The ``tetrarch`` command: all its groups."""

import typer

from tetrarch import __version__
from tetrarch.cli import cluster, demo, devchain, run
from tetrarch.cli.errors import run_command

app = typer.Typer(
    name="tetrarch",
    help="Several operators' nodes act as one: distributed validator, enclave, mesh.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(cluster.app, name="cluster")
app.command(name="run")(run.run)
app.command(name="config")(run.show_config)
app.command(name="demo")(demo.demo)
app.command(name="devchain")(devchain.devchain)


@app.command()
@run_command
def version() -> None:
    """Print the version.

    Example: tetrarch version
    """
    typer.echo(__version__)


def main() -> None:
    """Run the command line."""
    app()
