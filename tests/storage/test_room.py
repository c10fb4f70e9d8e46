import asyncio
from pathlib import Path

import pytest

from tetrarch.storage.database import Database
from tetrarch.storage.errors import StorageFull
from tetrarch.storage.migrations import Schema
from tetrarch.storage.room import RoomWatch

SCHEMA = Schema(component="test", steps=(("CREATE TABLE item (value BLOB)",),))


def test_a_full_disk_is_told_once_and_so_is_its_end(tmp_path: Path) -> None:
    turns: list[bool] = []

    async def scenario() -> None:
        database = Database.open(tmp_path / "small.sqlite", (SCHEMA,))
        watch = RoomWatch(database, turns.append, quiet_s=0)

        async def store() -> int | None:
            return await watch.write(
                lambda db: db.execute("INSERT INTO item VALUES (zeroblob(100000))").lastrowid
            )

        try:
            ((pages,),) = await watch.read(lambda db: db.execute("PRAGMA page_count").fetchall())
            await watch.write(lambda db: db.execute(f"PRAGMA max_page_count = {pages + 10}"))
            for _ in range(3):
                with pytest.raises(StorageFull):
                    await store()
            await database.write(lambda db: db.execute("PRAGMA max_page_count = 100000"))
            assert await store() == 1
            assert await store() == 2
        finally:
            await database.close()

    asyncio.run(scenario())
    assert turns == [True, False]
