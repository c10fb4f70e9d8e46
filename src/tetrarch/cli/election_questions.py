"""``tetrarch election leader``, ``members`` and ``watch``: what a running member knows."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec
import typer

from tetrarch.cli.errors import run_command

EXIT_NO_LEADER = 1
EVENT_MAX_BYTES = 1 << 20

# Shown in a terminal: printable characters only.
Text: TypeAlias = Annotated[str, msgspec.Meta(max_length=255, pattern="^[ -~]*$")]
UrlOption = Annotated[
    str | None, typer.Option("--url", help="The node's monitoring listener, as http://host:3620.")
]
FolderOption = Annotated[
    Path | None, typer.Option("--folder", help="The node's folder, whose listener is asked.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


class _Leader(msgspec.Struct, frozen=True):
    term: int
    leader: Text
    members: tuple[Text, ...]
    is_own: bool
    certificate: dict[str, Any]


class _Newest(msgspec.Struct, frozen=True):
    leader: _Leader | None


class _Member(msgspec.Struct, frozen=True):
    name: Text
    is_own: bool
    is_heard: bool
    is_listed: bool
    signing_key: Text


class _Members(msgspec.Struct, frozen=True):
    own: Text
    may_vote: bool
    mode: Text
    rule: Text
    lease_ms: int
    attestation: Text
    quorum: int
    configuration_hash: Text
    members: tuple[_Member, ...]


@run_command
def leader(
    url: UrlOption = None,
    folder: FolderOption = None,
    as_json: JsonOption = False,
    certificate: Annotated[
        bool, typer.Option("--certificate", help="Print the proof, for `tetrarch election verify`.")
    ] = False,
) -> None:
    """Say who leads, as a running node knows it.

    Example: tetrarch election leader --folder cluster/node0

    Exit codes: 0 there is a leader, 1 none was certified yet, 65 what answers is no such node,
    69 no node answers.
    """
    from tetrarch.cli.node_questions import ask_node, monitoring_url  # noqa: PLC0415

    newest = ask_node(monitoring_url(url, folder), "/election/leader", {}, _Newest).leader
    if certificate and newest is not None:
        typer.echo(json.dumps(newest.certificate))
    elif as_json:
        typer.echo(msgspec.json.encode(_Newest(newest)).decode())
    else:
        typer.echo("no leader was certified yet" if newest is None else _line(newest))
    if newest is None:
        raise typer.Exit(EXIT_NO_LEADER)


@run_command
def members(
    url: UrlOption = None, folder: FolderOption = None, as_json: JsonOption = False
) -> None:
    """Say who takes part, by which rules, and whom the asked node hears.

    Example: tetrarch election members --url http://127.0.0.1:3620

    Exit codes: 0 told, 65 what answers is no such node, 69 no node answers.
    """
    from tetrarch.cli.node_questions import ask_node, monitoring_url  # noqa: PLC0415

    told = ask_node(monitoring_url(url, folder), "/election/members", {}, _Members)
    if as_json:
        typer.echo(msgspec.json.encode(told).decode())
        return
    lease = f"leases of {told.lease_ms} ms" if told.lease_ms else "no leases"
    count = len(told.members)
    typer.echo(f"{told.mode}, {told.rule}, {lease}; {told.quorum} of {count} make a leader")
    typer.echo(f"configuration {told.configuration_hash}")
    width = max((len(member.name) for member in told.members), default=0)
    for member in told.members:
        heard = "this node" if member.is_own else "heard" if member.is_heard else "silent"
        listed = "in the list" if member.is_listed else "not in the list"
        key = member.signing_key or "not met yet"
        typer.echo(f"{member.name:{width}}  {heard:9}  {listed:15}  {key}")
    if not told.may_vote:
        typer.echo("this node does not vote yet: too few others told it what it had promised")


@run_command
def watch(url: UrlOption = None, folder: FolderOption = None, as_json: JsonOption = False) -> None:
    """Print the leader, then each new one, until stopped.

    Example: tetrarch election watch --folder cluster/node0 --json

    Exit codes: 0 stopped, 65 what answers is no such node, 69 no node answers, or it ended.
    """
    from tetrarch.cli.node_questions import (  # noqa: PLC0415
        NodeAnswerInvalid,
        follow_node,
        monitoring_url,
    )
    from tetrarch.decoding import UNDECODABLE  # noqa: PLC0415

    address = monitoring_url(url, folder)

    async def main() -> None:
        async for event in follow_node(address, "/election/events", size_max=EVENT_MAX_BYTES):
            try:
                newest = msgspec.json.decode(event, type=_Leader)
            except UNDECODABLE as error:
                raise NodeAnswerInvalid("watch leaders", url=address, reason=error) from None
            typer.echo(msgspec.json.encode(newest).decode() if as_json else _line(newest))
            sys.stdout.flush()

    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        return


def _line(newest: _Leader) -> str:
    listed = ", ".join(newest.members)
    own = " (this node)" if newest.is_own else ""
    return f"term {newest.term}: {newest.leader}{own} leads {listed}"
