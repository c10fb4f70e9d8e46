"""``tetrarch consensus``: what happened in consensus, from a node's dump of its messages."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from tetrarch.cli.errors import run_command
from tetrarch.consensus.dump import FILE_SIZE_BYTES_MAX, Dump, decode_dump
from tetrarch.consensus.replay import Line, RoundStory, Story, replay
from tetrarch.errors import InputInvalid, OperatorError
from tetrarch.observability.reference_metrics import peer_name

app = typer.Typer(
    help="What happened in consensus.", no_args_is_help=True, pretty_exceptions_enable=False
)


class DumpUnreadable(OperatorError):
    """The file is missing, cannot be read, or is no consensus dump."""

    code = "dump_unreadable"
    exit_code = 65  # sysexits.h EX_DATAERR
    mend = "give a file as /debug/consensus of a node with monitoring.debug served it"


@app.callback()
def group() -> None:
    """What happened in consensus."""


@app.command(name="replay")
@run_command
def replay_file(
    file: Annotated[Path, typer.Argument(help="The answer of /debug/consensus, as a file.")],
    slot: Annotated[int | None, typer.Option(help="Only this slot's duties.")] = None,
    messages: Annotated[bool, typer.Option(help="Print every message, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run a node's consensus messages through the machine again and tell each duty's story.

    Per round and kind of message one character per node: * heard, ? not, _ not expected.

    Example: curl -s localhost:3620/debug/consensus > dump.json; tetrarch consensus replay dump.json

    Exit codes: 0 replayed, 65 no consensus dump.
    """
    dump = _read(file)
    stories = [each for each in replay(dump) if slot is None or each.slot == slot]
    if as_json:
        told = {"dropped": dump.dropped, "duties": [asdict(story) for story in stories]}
        typer.echo(msgspec.json.encode(told).decode())
        return
    for story in stories:
        _print(story, messages=messages)
    if dump.dropped:
        typer.echo(f"({dump.dropped} older payloads were not kept: the first duties may lack some)")


def _read(file: Path) -> Dump:
    try:
        with file.open("rb") as stream:
            data = stream.read(FILE_SIZE_BYTES_MAX + 1)
        return decode_dump(data)  # one that is too long is cut, and thus no JSON
    except (OSError, InputInvalid) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DumpUnreadable("read consensus dump", file=file, reason=reason) from error


def _print(story: Story, *, messages: bool) -> None:
    ended = "undecided"
    if story.decided_value is not None:
        ended = f"decided {story.decided_value[:8]} in round {story.decided_round}"
    typer.echo(f"{story.slot}/{story.type} at {peer_name(story.own_index)}: {ended}")
    for round_ in story.rounds:
        typer.echo(f"  {_round_text(round_)}")
    for line in story.lines if messages else ():
        typer.echo(f"    {_line_text(line)}")
    for text in story.unexplained:
        typer.echo(f"  unexplained: the node sent {text}, which this machine would not")


def _round_text(story: RoundStory) -> str:
    marks = " ".join(f"{kind} {marks}" for kind, marks in story.presence.items())
    leads = peer_name(story.leader)
    return f"round {story.round} led by {leads}: {marks} {story.lacked}".rstrip()


def _line_text(line: Line) -> str:
    way = "sent" if line.sent else "heard"
    text = f"{line.at_ms:+10.1f} ms {way} {peer_name(line.source)} {line.type} round={line.round}"
    text += f" value={line.value}" if line.value else ""
    return text + (f" NOT TAKEN: {line.fault}" if line.fault else "")
