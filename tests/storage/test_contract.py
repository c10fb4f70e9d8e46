"""One contract, two databases: what production and the simulator must both keep.

The simulator's database is only worth something as far as it behaves like the real one, so
every test here runs against both.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tetrarch.storage.database import Database
from tetrarch.storage.errors import StorageClosed
from tetrarch.storage.inline import InlineDatabase
from tetrarch.storage.migrations import Schema

NOTES = Schema(
    component="notes",
    steps=(("CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)",),),
)


class OopsError(Exception):
    pass


def add(text):
    def function(connection: sqlite3.Connection) -> int:
        return int(connection.execute("INSERT INTO note (text) VALUES (?)", (text,)).lastrowid or 0)

    return function


def texts(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT text FROM note ORDER BY id")]


@pytest.fixture(params=["threaded", "inline"])
def run(request, tmp_path: Path):
    """Run a test body with an open database, and close it."""

    def runner(body: Callable[..., Awaitable[None]]) -> None:
        async def main() -> None:
            database: Database | InlineDatabase
            if request.param == "threaded":
                database = Database.open(tmp_path / "node.db", (NOTES,))
            else:
                database = InlineDatabase.open((NOTES,))
            try:
                await body(database)
            finally:
                await database.close()

        asyncio.run(main())

    return runner


def test_a_write_that_returned_is_seen_by_the_next_read(run) -> None:
    async def body(database) -> None:
        assert await database.write(add("one")) == 1
        assert await database.read(texts) == ["one"]

    run(body)


def test_writes_keep_the_order_of_their_calls(run) -> None:
    async def body(database) -> None:
        wanted = [f"n{number}" for number in range(600)]
        async with asyncio.TaskGroup() as group:
            for text in wanted:
                group.create_task(database.write(add(text)))
        assert await database.read(texts) == wanted

    run(body)


def test_a_failing_function_leaves_no_trace_and_spares_the_others(run) -> None:
    def half(connection: sqlite3.Connection) -> None:
        add("half")(connection)
        raise OopsError

    async def body(database) -> None:
        answers = await asyncio.gather(
            database.write(add("a")),
            database.write(half),
            database.write(add("b")),
            return_exceptions=True,
        )
        assert [type(answer) for answer in answers] == [int, OopsError, int]
        assert await database.read(texts) == ["a", "b"]

    run(body)


def test_a_broken_constraint_reaches_its_caller_alone(run) -> None:
    async def body(database) -> None:
        answers = await asyncio.gather(
            database.write(add("a")),
            database.write(add("a")),
            database.write(add("c")),
            return_exceptions=True,
        )
        assert isinstance(answers[1], sqlite3.IntegrityError)
        assert await database.read(texts) == ["a", "c"]

    run(body)


def test_a_function_may_roll_back_a_part_of_itself(run) -> None:
    def partly(connection: sqlite3.Connection) -> None:
        connection.execute("SAVEPOINT inner")
        add("undone")(connection)
        connection.execute("ROLLBACK TO inner")
        connection.execute("RELEASE inner")
        add("kept")(connection)

    async def body(database) -> None:
        await database.write(partly)
        assert await database.read(texts) == ["kept"]

    run(body)


def test_a_read_cannot_write(run) -> None:
    async def body(database) -> None:
        with pytest.raises(Exception, match="readonly"):
            await database.read(add("sneaky"))
        await database.write(add("after"))
        assert await database.read(texts) == ["after"]

    run(body)


def test_a_cancelled_caller_harms_nobody(run) -> None:
    async def body(database) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await database.write(add("left"))
        await database.write(add("stayed"))
        assert (await database.read(texts))[-1] == "stayed"

    run(body)


def test_closing_finishes_what_waits_then_refuses(run) -> None:
    async def body(database) -> None:
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(database.write(add("last")))
            await asyncio.sleep(0)
            await database.close()
        assert waiting.result() == 1
        with pytest.raises(StorageClosed):
            await database.write(add("late"))
        with pytest.raises(StorageClosed):
            await database.read(texts)
        await database.close()

    run(body)
