"""The ``tetrarch`` command: all its parts, each imported when it is called for."""

import json
from collections import UserDict
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from tetrarch import __version__
from tetrarch.cli.errors import run_command


@dataclass(frozen=True, slots=True)
class Part:
    """A group, or one command, as its module has it: ``attribute`` is a ``Typer`` or a function."""

    module: str
    attribute: str = "app"

    def load(self, name: str) -> object:
        """The command, called ``name``. Cost: up to a second for what it imports."""
        part = getattr(import_module(f"tetrarch.cli.{self.module}"), self.attribute)
        alone = typer.Typer()
        if isinstance(part, typer.Typer):
            alone.add_typer(part, name=name)
        else:
            alone.command(name=name)(part)
        return typer.main.get_group(alone).commands[name]


PARTS: Final = {
    "cluster": Part("cluster"),
    "consensus": Part("consensus"),
    "slashing-protection": Part("slashing_protection"),
    "exit": Part("exits"),
    "fee-recipient": Part("fee_recipient"),
    "demo": Part("demo"),
    "duty": Part("duty"),
    "election": Part("election"),
    "enclave": Part("enclave"),
    "leader": Part("leader"),
    "ledger": Part("ledger"),
    "overlay": Part("overlay"),
    "peer": Part("peer"),
    "pool": Part("pool"),
    "sim": Part("sim"),
    "run": Part("run", "run"),
    "signer": Part("signer", "signer"),
    "config": Part("run", "show_config"),
    "devchain": Part("devchain", "devchain"),
}


class Commands(UserDict[str, Any]):
    """By name. A part is loaded when it is called for: no other has to wait for it."""

    def __getitem__(self, name: str) -> Any:
        found = self.data[name]
        if isinstance(found, Part):
            found = self.data[name] = found.load(name)
        return found


class Parts(TyperGroup):
    """The group of all ``PARTS``, and of what is added to it."""

    def __init__(self, **settings: Any) -> None:
        """As ``TyperGroup``."""
        super().__init__(**settings)
        self.commands = Commands({**PARTS, **self.commands})


app = typer.Typer(
    name="tetrarch",
    cls=Parts,
    help="Several operators' nodes act as one: distributed validator, enclave, mesh.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def tetrarch() -> None:
    """Several operators' nodes act as one: distributed validator, enclave, mesh."""  # a group, however few it has


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
