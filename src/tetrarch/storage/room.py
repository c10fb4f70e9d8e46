"""A database that says when its disk is full, and when there is room again."""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import TypeVar

from tetrarch.observability.logs import Log
from tetrarch.storage.database import Database
from tetrarch.storage.errors import StorageFull

R = TypeVar("R")

MEND = "free space on this disk; until then nothing is signed, and nothing stored is lost"


# A write that changes nothing succeeds on a full disk too: only a while without a failure counts.
QUIET_S = 30.0


class RoomWatch:
    """``Database`` with one line at each turn; callers get its errors as they are."""

    def __init__(self, database: Database, log: Log, *, quiet_s: float = QUIET_S) -> None:
        self._database = database
        self._log = log
        self._quiet_s = quiet_s
        self._failed_s: float | None = None  # the loop's time of the last failure while full

    async def write(self, function: Callable[[sqlite3.Connection], R], /) -> R:
        """As ``Database.write``."""
        try:
            value = await self._database.write(function)
        except StorageFull:
            if self._failed_s is None:
                self._log.error("disk_full", path=str(self._database.path), mend=MEND)
            self._failed_s = asyncio.get_running_loop().time()
            raise
        if self._failed_s is not None:
            quiet_s = asyncio.get_running_loop().time() - self._failed_s
            if quiet_s >= self._quiet_s:
                self._failed_s = None
                self._log.info("disk_has_room", path=str(self._database.path))
        return value

    async def read(self, function: Callable[[sqlite3.Connection], R], /) -> R:
        """As ``Database.read``."""
        return await self._database.read(function)
