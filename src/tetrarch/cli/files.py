"""Files that a command is given, read up to a bound."""

import sys
from pathlib import Path

from tetrarch.errors import OperatorError


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
