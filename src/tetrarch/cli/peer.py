"""``tetrarch peer``: whom a running node of the overlay knows, what it thinks of each, and what it shall do."""

from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar

import msgspec
import typer

from tetrarch.cli.errors import run_command
from tetrarch.errors import OperatorError

EXIT_NOT_LINKED = 1

Told = TypeVar("Told")

# Shown in a terminal: printable characters only.
Text: TypeAlias = Annotated[str, msgspec.Meta(max_length=255, pattern="^[ -~]*$")]
UrlOption = Annotated[
    str | None, typer.Option("--url", help="The node's monitoring listener, as http://host:3620.")
]
FolderOption = Annotated[
    Path | None, typer.Option("--folder", help="The node's folder, whose listener is asked.")
]
TokenOption = Annotated[
    Path | None,
    typer.Option("--token-file", help="The node's control token, if not in its folder."),
]
ClusterOption = Annotated[
    bool, typer.Option("--cluster", help="Of the cluster's own nodes, along its mesh.")
]
NodeArgument = Annotated[
    str,
    typer.Argument(metavar="ID", help="The first digits of its id, or all."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

app = typer.Typer(
    help="Whom a node of the overlay knows, what it thinks of each, and whom it shall shun or dial.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class PeerUnknown(OperatorError):
    """The cluster has no other node of that index."""

    code = "peer_unknown"
    exit_code = 65  # EX_DATAERR
    mend = "see `tetrarch peer list --cluster`"


class _Summary(msgspec.Struct, frozen=True):
    node: Text
    address: Text
    disposition: Text
    linked: bool
    layers: tuple[Text, ...]
    score: float


class _Banned(msgspec.Struct, frozen=True):
    node: Text
    reason: Text
    since: Text


class _Listed(msgspec.Struct, frozen=True):
    own: Text
    addresses: tuple[Text, ...]
    nodes: tuple[_Summary, ...]
    banned: tuple[_Banned, ...]


class _Points(msgspec.Struct, frozen=True):
    reason: Text
    points: float
    detail: Text


class _Quarantine(msgspec.Struct, frozen=True):
    reason: Text
    until: Text


class _Explained(_Summary, frozen=True):
    since: Text = ""
    met: Text | None = None
    latency_s: float | None = None
    failures: tuple[Text, ...] = ()
    faults: tuple[dict[str, Text], ...] = ()
    last_messages: dict[str, Text] = {}
    contributions: int = 0
    tip: dict[str, Any] | None = None
    times_quarantined: int = 0
    quarantine: _Quarantine | None = None
    quarantine_at_points: float = 0.0
    points: tuple[_Points, ...] = ()


class _ClusterPeer(msgspec.Struct, frozen=True):
    """A node of the cluster, as another sees it along the mesh."""

    index: int
    address: Text
    connected: bool
    score: float
    since: Text
    met: Text | None
    latency_s: float | None
    failures: tuple[Text, ...]
    faults: tuple[dict[str, Text], ...]
    last_messages: dict[Text, Text]
    contributions: int
    points: tuple[_Points, ...]
    nickname: Annotated[str, msgspec.Meta(max_length=64)] | None = None  # in any script
    version: Text | None = None


class _Cluster(msgspec.Struct, frozen=True):
    own_index: int
    peers: tuple[_ClusterPeer, ...]


class _Ban(msgspec.Struct, frozen=True):
    node: Text
    banned: bool


class _Unban(msgspec.Struct, frozen=True):
    node: Text
    was_banned: bool


class _Connect(msgspec.Struct, frozen=True):
    address: Text
    node: Text | None
    linked: bool
    why_not: Text


@app.callback()
def group() -> None:
    """Whom a node of the overlay knows, what it thinks of each, and whom it shall shun or dial."""


@app.command(name="list")
@run_command
def list_peers(
    url: UrlOption = None,
    folder: FolderOption = None,
    cluster: ClusterOption = False,
    as_json: JsonOption = False,
) -> None:
    """List the nodes that a running node knows, put aside or banned, best first.

    With --cluster: the nodes of its own cluster, which it may have without an overlay.

    Example: tetrarch peer list --url http://127.0.0.1:3620

    Exit codes: 0 told, 65 what answers is no such node, 69 no node answers.
    """
    from tetrarch.cli.node_questions import ask_node, monitoring_url  # noqa: PLC0415

    if cluster:
        _list_cluster(ask_node(monitoring_url(url, folder), "/peers", {}, _Cluster), as_json)
        return
    told = ask_node(monitoring_url(url, folder), "/overlay/nodes", {}, _Listed)
    if as_json:
        typer.echo(msgspec.json.encode(told).decode())
        return
    typer.echo(f"{told.own[:16]}  this node, at {', '.join(told.addresses)}")
    width = max((len(each.address) for each in told.nodes), default=0)
    for each in told.nodes:
        linked = "linked" if each.linked else ""
        typer.echo(
            f"{each.node[:16]}  {each.address:{width}}  {each.disposition:11}  {linked:6}"
            f"  {each.score:7.1f}  {', '.join(each.layers)}"
        )
    for ban in told.banned:
        typer.echo(f"{ban.node[:16]}  banned since {ban.since}: {ban.reason}")


@app.command()
@run_command
def explain(
    node: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="The first digits of its id, or all; with --cluster its index."
        ),
    ],
    url: UrlOption = None,
    folder: FolderOption = None,
    cluster: ClusterOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say what a running node saw of another, and how its score comes about.

    Example: tetrarch peer explain 3f9a62

    Exit codes: 0 told, 65 no such node is known, or what answers is none, 69 no node answers.
    """
    from tetrarch.cli.node_questions import ask_node, monitoring_url  # noqa: PLC0415

    if cluster:
        _explain_cluster(
            ask_node(monitoring_url(url, folder), "/peers", {}, _Cluster), node, as_json
        )
        return
    told = ask_node(monitoring_url(url, folder), "/overlay/node", {"id": node}, _Explained)
    if as_json:
        typer.echo(msgspec.json.encode(told).decode())
        return
    typer.echo(f"{told.node}\n{told.address}, {told.disposition}, since {told.since}")
    if told.quarantine is not None:
        typer.echo(f"quarantined until {told.quarantine.until}: {told.quarantine.reason}")
    latency = "not measured" if told.latency_s is None else f"{told.latency_s * 1000:.1f} ms"
    typer.echo(f"layers {', '.join(told.layers) or 'none'}; latency {latency}")
    _tell_score(told)
    typer.echo(f"put aside at {told.quarantine_at_points:.1f}")


@app.command()
@run_command
def ban(
    node: NodeArgument,
    reason: Annotated[str, typer.Option(help="Shown with the ban.")] = "",
    url: UrlOption = None,
    folder: FolderOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have a running node talk with another no more, until `unban`, also after a restart.

    With all 64 digits it need not be known.

    Example: tetrarch peer ban 3f9a62 --reason "floods us" --folder overlay-3000

    Exit codes: 0 banned, 65 no such node is known, 66 no token, 69 no node answers, 77 not its token.
    """
    told = _order("/overlay/ban", {"node": node, "reason": reason}, url, folder, token_file, _Ban)
    typer.echo(msgspec.json.encode(told).decode() if as_json else f"{told.node} is banned")


@app.command()
@run_command
def unban(
    node: NodeArgument,
    url: UrlOption = None,
    folder: FolderOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a ban back: the node may come back when it is heard of.

    Example: tetrarch peer unban 3f9a62 --folder overlay-3000

    Exit codes: 0 it is not banned, 65 no ban is of such a node, 66 no token, 69 no node answers,
    77 not its token.
    """
    told = _order("/overlay/unban", {"node": node}, url, folder, token_file, _Unban)
    if as_json:
        typer.echo(msgspec.json.encode(told).decode())
    else:
        typer.echo(f"{told.node} {'may come back' if told.was_banned else 'was not banned'}")


@app.command()
@run_command
def connect(
    peer: Annotated[
        str,
        typer.Argument(metavar="PEER", help="As IP:PORT, or IP:PORT,NODE_ID,CERTIFICATE_SHA256."),
    ],
    url: UrlOption = None,
    folder: FolderOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have a running node dial an address now, and keep the link until it knows who is there.

    Example: tetrarch peer connect 192.0.2.1:3000 --folder overlay-3000

    Exit codes: 0 linked, 1 not linked, and why, 65 no address, 66 no token, 69 no node answers,
    77 not its token.
    """
    told = _order("/overlay/connect", {"peer": peer}, url, folder, token_file, _Connect)
    if as_json:
        typer.echo(msgspec.json.encode(told).decode())
    elif told.linked:
        typer.echo(f"linked with {told.node} at {told.address}")
    else:
        met = "" if told.node is None else f" with {told.node}"
        typer.echo(f"not linked{met} at {told.address}: {told.why_not}")
    if not told.linked:
        raise typer.Exit(EXIT_NOT_LINKED)


def _list_cluster(told: _Cluster, as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.encode(told).decode())
        return
    typer.echo(f"node {told.own_index}  this node")
    for each in told.peers:
        state = "connected" if each.connected else "away"
        names = " ".join(filter(None, (_printable(each.nickname or ""), each.version)))
        typer.echo(f"node {each.index}  {each.address}  {state:9}  {each.score:7.1f}  {names}")


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)


def _explain_cluster(told: _Cluster, text: str, as_json: bool) -> None:
    found = next((each for each in told.peers if str(each.index) == text.strip()), None)
    if found is None:
        others = ", ".join(str(each.index) for each in told.peers)
        raise PeerUnknown("explain peer", got=text[:100], expected=f"one of {others}")
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
        return
    state = "connected" if found.connected else "away"
    typer.echo(f"node {found.index}\n{found.address}, {state}, seen since {found.since}")
    latency = "not measured" if found.latency_s is None else f"{found.latency_s * 1000:.1f} ms"
    typer.echo(f"latency {latency}; its part in {found.contributions} duties")
    _tell_score(found)


def _tell_score(told: _Explained | _ClusterPeer) -> None:
    for name, at in told.last_messages.items():
        typer.echo(f"last of {name}: {at}")
    typer.echo(f"score {told.score:.1f}" + ("" if told.points else ": nothing for or against it"))
    for part in told.points:
        typer.echo(f"  {part.points:+8.2f}  {part.reason}: {part.detail}")


def _order(
    path: str,
    asked: dict[str, str],
    url: str | None,
    folder: Path | None,
    token_file: Path | None,
    kind: type[Told],
) -> Told:
    from tetrarch.api.control_token import TOKEN_FILE, read_control_token  # noqa: PLC0415
    from tetrarch.cli.node_questions import monitoring_url, order_node  # noqa: PLC0415

    token = read_control_token(token_file or (folder or Path()) / TOKEN_FILE)
    return order_node(monitoring_url(url, folder), path, asked, token=token, kind=kind)
