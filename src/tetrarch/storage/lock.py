"""One owner per database or folder, held as an advisory lock that dies with its process."""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Self

from tetrarch.storage.errors import StorageInUse, cannot_create


class OwnerLock:
    """Holds the lock file ``path`` from ``acquire`` to ``release``.

    The kernel drops the lock when the process ends, however it ends, so no stale lock needs a
    person. The file stays: deleting it would let two owners in. It names the owner's process
    for whoever finds it locked. A second lock from the same process is refused too.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor: int | None = descriptor

    @classmethod
    def acquire(cls, path: Path) -> Self:
        """Take the lock or say who has it.

        Raises:
            StorageInUse: another owner is alive.
            FolderNotWritable, StorageFullAtStart: the lock file cannot be created.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise cannot_create("lock database", path, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise StorageInUse("lock database", path=path, owner_process=owner) from error
        # The process number is only advice; a full disk must not keep the node from starting.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
        return cls(path, descriptor)

    def release(self) -> None:
        """Give the lock up. Doing it twice does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def owner_of(path: Path) -> str | None:
    """The process that holds the lock ``path``, in words; None: nobody does."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # given up at once, below
    except OSError:
        return os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
    finally:
        os.close(descriptor)
    return None
