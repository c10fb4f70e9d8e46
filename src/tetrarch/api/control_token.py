"""The token by which an operator's commands may change something of a running node: a file of its folder."""

import re
from pathlib import Path

from tetrarch.entropy import Entropy
from tetrarch.errors import OperatorError
from tetrarch.storage.durable_file import write_durably
from tetrarch.storage.errors import cannot_create

TOKEN_FILE = "control-token"  # noqa: S105 - the file's name
TOKEN_ENTROPY_BYTES = 32
_FORM = re.compile(r"[0-9a-f]{64}")


class ControlTokenUnusable(OperatorError):
    """The file with the token of a node's controls is missing, cannot be read, or holds none."""

    code = "control_token_unusable"
    exit_code = 66  # EX_NOINPUT
    mend = (
        "name the node's --folder or its --token-file; a node without one makes it when it starts"
    )


def open_control_token(folder: Path, entropy: Entropy) -> str:
    """The token in ``folder``, made if it is not there, in a file for this user only.

    Raises:
        ControlTokenUnusable: the file is there, and damaged.
        FolderNotWritable, StorageFullAtStart: it cannot be made.
    """
    path = folder / TOKEN_FILE
    if not path.exists():
        try:
            write_durably(path, entropy(TOKEN_ENTROPY_BYTES).hex().encode() + b"\n")
        except OSError as error:
            raise cannot_create("write control token", path, error) from None
    return read_control_token(path)


def read_control_token(path: Path) -> str:
    """The token in the file ``path``.

    Raises:
        ControlTokenUnusable: names the file, never its content.
    """
    try:
        with path.open("rb") as file:
            content = file.read(2 * TOKEN_ENTROPY_BYTES + 3)
    except OSError as error:
        raise ControlTokenUnusable("read token", file=path, reason=error.strerror) from None
    token = content.decode("ascii", errors="replace").rstrip("\r\n")
    if not _FORM.fullmatch(token):
        raise ControlTokenUnusable("read token", file=path, expected="64 hexadecimal digits")
    return token
