"""Options, checks and orders that the commands of ``ledger``, ``leader`` and ``pool`` share. Imports little: `--help` stays fast."""

from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import typer

from tetrarch.cli.node_questions import order_node
from tetrarch.errors import ConfigInvalid

KEY_SIZE_BYTES: Final = 32

KeyFile: TypeAlias = Annotated[
    Path, typer.Option("--key-file", help="Of the account that pays; `tetrarch ledger account`.")
]
Url: TypeAlias = Annotated[str, typer.Option(help="The node's monitoring listener.")]
Folder: TypeAlias = Annotated[Path, typer.Option(help="The node's folder, for its control token.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def key_option(option: str, text: str) -> bytes:
    """32 bytes of an option's text.

    Raises:
        ConfigInvalid: it has not 64 hexadecimal digits.
    """
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != KEY_SIZE_BYTES:
        raise ConfigInvalid("read option", option=option, expected="64 hexadecimal digits")
    return key


def order(path: str, asked: object, *, url: str, folder: Path) -> dict[str, Any]:
    """What the node at ``url`` answers after it did what was ``asked``, by the token in its folder.

    Raises:
        ControlTokenUnusable, ControlDenied: the folder has no token, or another node's.
        NodeAway, NodeAnswerInvalid, ControlRefused: see ``order_node``.
    """
    from tetrarch.api.control_token import TOKEN_FILE, read_control_token  # noqa: PLC0415

    token = read_control_token(folder / TOKEN_FILE)
    return order_node(url, path, asked, token=token, kind=dict[str, Any])
