"""Small files that are there whole or not at all, and stay there through a crash."""

import contextlib
import os
from pathlib import Path

SECRET_MODE = 0o600


def replace_file(path: Path, content: bytes) -> None:
    """Put ``content`` where ``path`` is, readable by its owner alone; durable after ``sync_folder``.

    Raises:
        OSError: nothing was replaced.
    """
    temporary = path.with_name(path.name + ".tmp")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET_MODE)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()  # on a full disk half a file takes the room of others
        raise


def sync_folder(path: Path) -> None:
    """Make the names in the folder ``path`` durable.

    Raises:
        OSError: they may not be.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, content: bytes) -> None:
    """``replace_file`` and ``sync_folder``. Cost: two waits for the disk, some ms.

    Raises:
        OSError: the old content may be there, or the new one; never a mixture.
    """
    replace_file(path, content)
    sync_folder(path.parent)
