"""Part of ``tetrarch ledger``: what members of a chain agree on: who they are, and its parameters."""

import json
from typing import Annotated, Any, TypeAlias

import typer

from tetrarch.cli.errors import run_command
from tetrarch.cli.ledger_options import AsJson, Folder, Url, key_option, order
from tetrarch.cli.node_questions import DEFAULT_URL, ask_node
from tetrarch.errors import ConfigInvalid

votes = typer.Typer(rich_markup_mode=None)

MemberArguments: TypeAlias = Annotated[
    list[str], typer.Argument(metavar="MEMBER...", help="All of them: keys that vote.")
]


@votes.command(name="sign-members")
@run_command
def sign_members(
    members: MemberArguments,
    folder: Folder,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Agree, as a member, to who shall make blocks final from now on; prints VOTER:SIGNATURE for `change-members`.

    Example: tetrarch ledger sign-members ab12... cd34... --folder node0

    Exit codes: 0, 65 it cannot be, and why, 66 no token, 69 nobody answers, 77 not its token, 78 no keys.
    """
    asked = {"members": _members(members)}
    told = order("/ledger/sign-members", asked, url=url, folder=folder)
    typer.echo(json.dumps(told) if as_json else f"{told['voter']}:{told['signature']}")


@votes.command(name="change-members")
@run_command
def change_members(
    members: MemberArguments,
    signature: Annotated[
        list[str], typer.Option(metavar="VOTER:SIGNATURE", help="Of a present member. Repeat.")
    ],
    folder: Folder,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Change who makes blocks final, by the signatures of a quorum of those who do, over the same members in the same order.

    Example: tetrarch ledger change-members ab12... cd34... --signature ef56...:0123... --folder node0

    Exit codes: 0 it waits for a block, 65 it cannot hold, and why, 66 no token, 69 nobody answers, 77 not its token,
    78 no keys.
    """
    signatures = {}
    for each in signature:
        voter, separator, given = each.partition(":")
        if not separator:
            raise ConfigInvalid("read option", option="--signature", expected="VOTER:SIGNATURE")
        signatures[voter] = given
    asked = {"members": _members(members), "signatures": signatures}
    told = order("/ledger/change-members", asked, url=url, folder=folder)
    typer.echo(json.dumps(told) if as_json else f"fragment {told['fragment']}")


@votes.command(name="vote-parameters")
@run_command
def vote_parameters(
    change: Annotated[
        list[str],
        typer.Option(
            "--set", metavar="NAME=VALUE", help="As `ledger parameters` names it. Repeat."
        ),
    ],
    epoch: Annotated[int, typer.Option(min=2, max=2**32 - 1, help="From which on it holds.")],
    folder: Folder,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Vote, as the member whose node this is, for other parameters of the chain; a quorum's equal votes decide.

    The epoch after the next is the earliest. Lengths of slots, epochs and key periods stay as they are.

    Example: tetrarch ledger vote-parameters --set mode=praos --set fees.constant=2 --epoch 9 --folder node0

    Exit codes: 0 it waits for a block, 65 it cannot hold, and why, 66 no token, 69 nobody answers, 77 not its token,
    78 no NAME=VALUE.
    """
    changes = {}
    for each in change:
        name, separator, value = each.partition("=")
        if not separator:
            raise ConfigInvalid("read option", option="--set", got=each[:60], expected="NAME=VALUE")
        changes[name] = value
    asked = {"epoch": epoch, "changes": changes}
    told = order("/ledger/vote-parameters", asked, url=url, folder=folder)
    typer.echo(json.dumps(told) if as_json else f"fragment {told['fragment']}")


@votes.command()
@run_command
def parameters(url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Print what the chain goes by, what was agreed on for later, and what is being voted on.

    Example: tetrarch ledger parameters

    Exit codes: 0, 69 nobody answers.
    """
    told = ask_node(url, "/ledger/parameters", {}, dict[str, Any])
    if as_json:
        typer.echo(json.dumps(told))
        return
    for name, value in told["now"].items():
        typer.echo(f"{name} = {value}")
    for coming in told["coming"]:
        differ = {
            name: value
            for name, value in coming["parameters"].items()
            if value != told["now"][name]
        }
        typer.echo(f"from epoch {coming['epoch']}: {_listed(differ)}")
    for vote in told["votes"]:
        typer.echo(f"voted for epoch {vote['epoch']}: {vote['votes']} of {vote['needed']} needed")


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in values.items()) or "the same"


def _members(texts: list[str]) -> list[str]:
    return [key_option("MEMBER", each).hex() for each in texts]
