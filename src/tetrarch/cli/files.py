"""Files that a command is given, read up to a bound."""

import sys
from pathlib import Path
from typing import Any, BinaryIO

from tetrarch.errors import ConfigInvalid, InputInvalid, OperatorError


class FileUnreadable(OperatorError):
    """A file that a command was given is missing or cannot be read."""

    code = "file_unreadable"
    exit_code = 66  # sysexits.h EX_NOINPUT
    mend = "name a file that exists and that this user may read"


def read_bounded(path: Path, size_max: int) -> bytes:
    """Up to ``size_max + 1`` bytes of a file, or of standard input for ``-``.

    Raises:
        FileUnreadable: it is not there, or not for this user.
    """
    try:
        if str(path) == "-":
            return sys.stdin.buffer.read(size_max + 1)
        with path.open("rb") as stream:
            return stream.read(size_max + 1)
    except OSError as error:
        raise FileUnreadable("read file", path=path, reason=error.strerror) from None


def open_file(path: Path) -> BinaryIO:
    """To read on; the caller closes it.

    Raises:
        FileUnreadable: it is not there, or not for this user.
    """
    try:
        return path.open("rb")
    except OSError as error:
        raise FileUnreadable("read file", path=path, reason=error.strerror) from None


def read_block0(path: Path) -> Any:
    """A chain's first block.

    Raises:
        ConfigInvalid: the file has none; or there is no such file.
    """
    from tetrarch.errors import PeerFault  # noqa: PLC0415
    from tetrarch.ledger.blocks import FRAGMENT_SIZE_BYTES_MAX, decode_block  # noqa: PLC0415
    from tetrarch.ledger.genesis import read_genesis  # noqa: PLC0415

    data = read_bounded(path, 2 * FRAGMENT_SIZE_BYTES_MAX)
    try:
        found = decode_block(data)
        read_genesis(found)
    except (PeerFault, InputInvalid) as error:
        raise ConfigInvalid("read first block", path=path, reason=error) from None
    return found
