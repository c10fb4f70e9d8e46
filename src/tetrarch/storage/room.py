"""A database that says when its disk is full, and when there is room again."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tetrarch.storage.database import Database
from tetrarch.storage.errors import StorageFull, StorageFullAtStart

R = TypeVar("R")


# A write that changes nothing succeeds on a full disk too: only a while without a failure counts.
QUIET_S = 30.0


class RoomWatch:
    """``Database``, and a call at each turn; callers get its errors as they are."""

    def __init__(
        self, database: Database, on_turn: Callable[[bool], None], *, quiet_s: float = QUIET_S
    ) -> None:
        """``on_turn(True)``: a write found the disk full; ``on_turn(False)``: no longer."""
        self._database = database
        self._on_turn = on_turn
        self._quiet_s = quiet_s
        self._failed_s: float | None = None  # the loop's time of the last failure while full

    async def write(self, function: Callable[[sqlite3.Connection], R], /) -> R:
        """As ``Database.write``."""
        try:
            value = await self._database.write(function)
        except StorageFull:
            if self._failed_s is None:
                self._on_turn(True)
            self._failed_s = asyncio.get_running_loop().time()
            raise
        if self._failed_s is not None:
            quiet_s = asyncio.get_running_loop().time() - self._failed_s
            if quiet_s >= self._quiet_s:
                self._failed_s = None
                self._on_turn(False)
        return value

    async def read(self, function: Callable[[sqlite3.Connection], R], /) -> R:
        """As ``Database.read``."""
        return await self._database.read(function)


@contextmanager
def needing_room() -> Iterator[None]:
    """A full disk is no passing trouble where the node cannot start without its write."""
    try:
        yield
    except StorageFull as error:
        raise StorageFullAtStart("start node", **error.fields) from error
