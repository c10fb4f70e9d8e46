"""The real file: crashes, full disks, wrong folders, two owners."""

import asyncio
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tetrarch.storage.database import Database
from tetrarch.storage.errors import (
    FolderNotWritable,
    StorageCorrupt,
    StorageFailed,
    StorageFull,
    StorageInUse,
    StorageTooNew,
)
from tetrarch.storage.lock import OwnerLock
from tetrarch.storage.migrations import Schema
from tetrarch.storage.sqlite import open_connection

FIRST = ("CREATE TABLE note (text TEXT NOT NULL)",)
NOTES = Schema(component="notes", steps=(FIRST,))


def add(text):
    return lambda connection: connection.execute("INSERT INTO note VALUES (?)", (text,)).rowcount


def count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM note").fetchone()[0])


def test_what_was_written_survives_closing(tmp_path: Path) -> None:
    async def session() -> int:
        database = Database.open(tmp_path / "node.db", (NOTES,))
        await database.write(add("x"))
        notes = await database.read(count)
        await database.close()
        return notes

    assert [asyncio.run(session()), asyncio.run(session())] == [1, 2]


def test_only_the_owner_may_read_the_files(tmp_path: Path) -> None:
    async def main() -> None:
        database = Database.open(tmp_path / "node.db", (NOTES,))
        await database.write(add("x"))
        modes = {entry.name: entry.stat().st_mode & 0o077 for entry in os.scandir(tmp_path)}
        assert modes == dict.fromkeys(("node.db", "node.db-wal", "node.db-shm", "node.db.lock"), 0)
        await database.close()

    asyncio.run(main())


WRITER = """
import asyncio, sys
from pathlib import Path
from tetrarch.storage.database import Database
from tests.storage.test_database import NOTES, add

async def main():
    database = Database.open(Path(sys.argv[1]), (NOTES,))
    for number in range(1_000_000):
        await database.write(add(str(number)))
        print(number, flush=True)

asyncio.run(main())
"""


def test_kill_9_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        answered = [int(process.stdout.readline()) for _ in range(50)][-1]
        process.send_signal(signal.SIGKILL)
        answered = max([answered, *(int(line) for line in process.stdout if line.endswith("\n"))])
    connection = open_connection(path, (NOTES,))
    assert count(connection) >= answered + 1
    connection.close()


def test_a_second_owner_is_refused_in_this_and_in_another_process(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "node.db"
        database = Database.open(path, (NOTES,))
        with pytest.raises(StorageInUse, match=str(os.getpid())):
            Database.open(path, (NOTES,))
        other = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            WRITER,
            str(path),
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        _, stderr = await other.communicate()
        assert other.returncode != 0
        assert b"StorageInUse" in stderr
        await database.close()
        await Database.open(path, (NOTES,)).close()

    asyncio.run(main())


def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    program = (
        "import os,sys,pathlib; from tetrarch.storage.lock import OwnerLock; "
        "OwnerLock.acquire(pathlib.Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)], check=False).returncode == -9
    OwnerLock.acquire(path).release()


def test_a_full_database_fails_the_write_whole_and_heals(tmp_path: Path) -> None:
    def limit(pages: int):
        return lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()

    def many(connection: sqlite3.Connection) -> None:
        for _ in range(200):
            add("y" * 3000)(connection)

    async def main() -> None:
        database = Database.open(tmp_path / "node.db", (NOTES,))
        await database.write(add("kept"))
        await database.write(limit(20))
        answers = await asyncio.gather(
            database.write(add("innocent")), database.write(many), return_exceptions=True
        )
        assert isinstance(answers[1], StorageFull)
        kept = 1 if isinstance(answers[0], StorageFull) else 2
        assert await database.read(count) == kept, "a group is kept or lost as a whole"
        await database.write(limit(1_000_000))
        await database.write(many)
        assert await database.read(count) == kept + 200
        await database.close()

    asyncio.run(main())


FILE_LIMIT = """
import asyncio, sys, resource, signal
from pathlib import Path
from tetrarch.storage.database import Database
from tests.storage.test_database import NOTES, add, count

async def main():
    database = Database.open(Path(sys.argv[1]), (NOTES,))
    await database.write(add("kept"))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft = (Path(sys.argv[1] + "-wal")).stat().st_size + 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))
    try:
        await database.write(add("lost" * 5000))
    except Exception as error:
        print(type(error).__name__)
    print(await database.read(count))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await database.write(add("later"))
    print(await database.read(count))
    await database.close()

asyncio.run(main())
"""


def test_a_refused_disk_write_leaves_the_rest_readable(tmp_path: Path) -> None:
    assert resource.RLIM_INFINITY == -1
    answer = subprocess.run(
        [sys.executable, "-c", FILE_LIMIT, str(tmp_path / "node.db")],
        capture_output=True,
        text=True,
        check=True,
    )
    name, before, after = answer.stdout.split()
    assert name in {StorageFailed.__name__, StorageFull.__name__}
    assert (before, after) == ("1", "2")


@pytest.mark.parametrize("damage", ["not a database", "torn pages"])
def test_a_corrupt_file_is_named_with_how_to_mend_it(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "node.db"
    connection = open_connection(path, (NOTES,))
    for _ in range(300):
        add("z" * 500)(connection)
    connection.close()
    if damage == "not a database":
        path.write_bytes(b"hello" * 1000)
    else:
        content = bytearray(path.read_bytes())
        content[8192:40960] = bytes(range(256)) * 128
        path.write_bytes(content)
    with pytest.raises(StorageCorrupt, match=r"node\.db.*backup") as caught:
        Database.open(path, (NOTES,))
    assert caught.value.exit_code == 74
    OwnerLock.acquire(tmp_path / "node.db.lock").release()


def test_a_folder_that_does_not_take_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(FolderNotWritable, match="absent") as caught:
        Database.open(tmp_path / "absent" / "node.db", (NOTES,))
    assert caught.value.exit_code == 73
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(FolderNotWritable, match="folder"):
        Database.open(tmp_path / "folder.db", (NOTES,))


def test_steps_are_applied_once_and_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    later = Schema(
        component="notes", steps=(FIRST, ("ALTER TABLE note ADD COLUMN mood TEXT DEFAULT 'good'",))
    )
    first = open_connection(path, (NOTES,))
    add("a")(first)
    first.close()
    for _ in range(2):
        second = open_connection(path, (later,))
        assert second.execute("SELECT text, mood FROM note").fetchall() == [("a", "good")]
        second.close()
    with pytest.raises(StorageTooNew, match="notes"):
        open_connection(path, (NOTES,))


def test_a_broken_step_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    open_connection(path, (NOTES,)).close()
    broken = Schema(component="notes", steps=(FIRST, ("CREATE TABLE b (x)", "NONSENSE")))
    with pytest.raises(sqlite3.OperationalError):
        open_connection(path, (broken,))
    connection = open_connection(path, (NOTES,))
    assert connection.execute("SELECT name FROM sqlite_master WHERE name = 'b'").fetchall() == []
    connection.close()
