"""What only the simulated database can do: lose power and fill up at a chosen moment."""

import asyncio
import sqlite3

import pytest

from tetrarch.storage.errors import StorageClosed, StorageFull
from tetrarch.storage.inline import InlineDatabase
from tetrarch.storage.migrations import Schema

NOTES = Schema(component="notes", steps=(("CREATE TABLE note (text TEXT NOT NULL)",),))


def add(text):
    return lambda connection: connection.execute("INSERT INTO note VALUES (?)", (text,)).rowcount


def texts(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT text FROM note")]


@pytest.mark.parametrize(("after_commit", "kept"), [(False, ["old"]), (True, ["old", "new"])])
def test_a_crash_drops_exactly_what_was_not_committed(after_commit, kept) -> None:
    async def main() -> None:
        database = InlineDatabase.open((NOTES,), commit_delay_s=0.001)
        await database.write(add("old"))
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(database.write(add("new")))
            await asyncio.sleep(0)
            database.crash(after_commit=after_commit)
        assert waiting.cancelled(), "nobody is told about a write in a crash"
        with pytest.raises(StorageClosed):
            await database.write(add("dead"))
        restarted = database.reopen((NOTES,))
        assert await restarted.read(texts) == kept
        await restarted.close()

    asyncio.run(main())


def test_a_full_disk_fails_writes_and_room_heals_it() -> None:
    async def main() -> None:
        database = InlineDatabase.open((NOTES,))
        await database.write(add("old"))
        database.full = True
        with pytest.raises(StorageFull):
            await database.write(add("new"))
        assert await database.read(texts) == ["old"]
        database.full = False
        await database.write(add("new"))
        assert await database.read(texts) == ["old", "new"]
        await database.close()

    asyncio.run(main())
