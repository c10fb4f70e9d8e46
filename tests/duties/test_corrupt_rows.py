"""Rows that are not what was written: one clear error for the operator, whoever reads them."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.duties.duty_world import (
    GENESIS_S,
    FixedClock,
    RecordingLog,
    Validators,
    block,
    proposal_set,
    signed_randao,
)

from tetrarch.consensus.messages import MessageType, ValueHash
from tetrarch.consensus.votes import Vote
from tetrarch.duties.aggsigdb import AggSigDB
from tetrarch.duties.dutydb import DutyDB
from tetrarch.duties.parsigdb import ParSigDB
from tetrarch.duties.types import Duty, DutyType
from tetrarch.duties.votelog import DurableVoteLog
from tetrarch.node import SCHEMAS
from tetrarch.storage.database import Database
from tetrarch.storage.errors import StorageCorrupt

VALIDATORS = Validators(2)
PUBKEY = VALIDATORS.pubkeys[0]
SLOT = 9
ATTESTER, PROPOSER = Duty(SLOT, DutyType.ATTESTER), Duty(SLOT, DutyType.PROPOSER)
RANDAO = Duty(SLOT, DutyType.RANDAO)
FUZZ_ROUNDS = 300

Read = Callable[[Database], Awaitable[Any]]


def parsigdb(storage: Database) -> ParSigDB:
    return ParSigDB(
        storage=storage,
        threshold=3,
        clock=FixedClock(GENESIS_S + 12 * SLOT + 4),
        is_open=lambda _: True,
        log=RecordingLog(),
    )


def dutydb(storage: Database) -> DutyDB:
    return DutyDB(storage=storage, preset="minimal")


READS: dict[str, Read] = {
    "dutydb attester": lambda storage: dutydb(storage).decided(ATTESTER),
    "dutydb proposer": lambda storage: dutydb(storage).decided(PROPOSER),
    "dutydb since": lambda storage: dutydb(storage).decided_since(SLOT),
    "parsigdb": lambda storage: parsigdb(storage).load(),
    "aggsigdb": lambda storage: AggSigDB(storage=storage).find(RANDAO, PUBKEY),
    "aggsigdb of duty": lambda storage: AggSigDB(storage=storage).submissions(RANDAO),
    "aggsigdb_submitted": lambda storage: AggSigDB(storage=storage).submissions(RANDAO),
    "votes": lambda storage: DurableVoteLog(storage=storage).votes(ATTESTER),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database file in which every table has rows."""
    path = tmp_path / "node.sqlite"

    async def fill() -> None:
        storage = Database.open(path, SCHEMAS)
        await dutydb(storage).store(VALIDATORS.unsigned())
        await dutydb(storage).store(proposal_set(PUBKEY, block()))
        await parsigdb(storage).store_internal(VALIDATORS.partials(1))
        await AggSigDB(storage=storage).store(signed_randao(PUBKEY))
        await AggSigDB(storage=storage).note_submitted(signed_randao(PUBKEY))
        vote = Vote(
            duty=ATTESTER,
            round=1,
            type=MessageType.PREPARE,
            value_hash=ValueHash(b"h" * 32),
            content=b"signed",
        )
        await DurableVoteLog(storage=storage).record([vote])
        await storage.close()

    asyncio.run(fill())
    return path


def change(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(statement, values).rowcount > 0


def read(path: Path, name: str) -> Any:
    async def main() -> Any:
        storage = Database.open(path, SCHEMAS)
        try:
            return await READS[name](storage)
        finally:
            await storage.close()

    return asyncio.run(main())


@pytest.mark.parametrize("name", READS)
def test_whole_rows_are_read(path: Path, name: str) -> None:
    read(path, name)


@pytest.mark.parametrize(
    ("name", "statement", "told"),
    [
        ("dutydb attester", "UPDATE dutydb SET data = x'00'", "duty=9/attester"),
        ("dutydb attester", "UPDATE dutydb SET data = ''", "duty=9/attester"),
        ("dutydb attester", "UPDATE dutydb SET data = 'text'", "duty=9/attester"),
        (
            "dutydb attester",
            "UPDATE dutydb SET pubkey = zeroblob(48) WHERE id = 1",
            "duty=9/attester",
        ),
        ("dutydb proposer", "UPDATE dutydb SET data = zeroblob(200)", "duty=9/proposer"),
        ("dutydb since", "UPDATE dutydb SET data = 7", "duty=9/"),
        ("dutydb since", "UPDATE dutydb SET duty_type = 99 WHERE duty_type = 1", "since_slot=9"),
        ("parsigdb", "UPDATE parsigdb SET data = x'05'", "slot=9 duty_type=2"),
        ("parsigdb", "UPDATE parsigdb SET duty_type = 0", "slot=9 duty_type=0"),
        ("parsigdb", "UPDATE parsigdb SET signature = x'01'", "slot=9 duty_type=2"),
        ("parsigdb", "UPDATE parsigdb SET share_index = -1", "slot=9 duty_type=2"),
        ("aggsigdb", "UPDATE aggsigdb SET data = zeroblob(9)", "duty=9/randao"),
        ("aggsigdb", "UPDATE aggsigdb SET data = 12", "duty=9/randao"),
        ("aggsigdb", "UPDATE aggsigdb SET signature = x'01'", "duty=9/randao"),
        ("aggsigdb of duty", "UPDATE aggsigdb SET pubkey = x'01'", "duty=9/randao"),
        ("aggsigdb_submitted", "UPDATE aggsigdb_submitted SET keys = x'01'", "duty=9/randao"),
        ("aggsigdb_submitted", "UPDATE aggsigdb_submitted SET keys = 'text'", "duty=9/randao"),
        ("votes", "UPDATE votes SET message_type = 9", "duty=9/attester"),
        ("votes", "UPDATE votes SET content = 'text'", "duty=9/attester"),
        ("votes", "UPDATE votes SET value_hash = 3", "duty=9/attester"),
    ],
)
def test_row_that_does_not_decode_is_named_with_its_file(
    path: Path, name: str, statement: str, told: str
) -> None:
    change(path, statement)
    with pytest.raises(StorageCorrupt) as raised:
        read(path, name)
    line = str(raised.value)
    table = name.split(maxsplit=1)[0]
    for part in ("storage_corrupt", f"path={path}", f"table={table}", told, "restore the last"):
        assert part in line, line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("name", "table", "column"),
    [
        ("dutydb attester", "dutydb", "data"),
        ("dutydb proposer", "dutydb", "data"),
        ("parsigdb", "parsigdb", "data"),
        ("aggsigdb", "aggsigdb", "data"),
    ],
)
def test_whatever_bytes_there_are_they_decode_or_are_called_corrupt(
    path: Path, name: str, table: str, column: str
) -> None:
    rng = Random(f"corrupt {name}")

    def overwrite(connection: sqlite3.Connection, *, values: tuple[object, ...]) -> None:
        connection.execute(
            f"UPDATE {table} SET {column} = ? WHERE slot = ? AND duty_type = ? AND pubkey = ?",
            values,
        )

    async def main() -> None:
        storage = Database.open(path, SCHEMAS)
        try:
            originals = await storage.read(
                lambda connection: connection.execute(
                    f"SELECT {column}, slot, duty_type, pubkey FROM {table}"
                ).fetchall()
            )
            refused = 0
            for _ in range(FUZZ_ROUNDS):
                for original, *key in originals:
                    value = spoilt(original, rng)
                    await storage.write(partial(overwrite, values=(value, *key)))
                try:
                    await READS[name](storage)
                except StorageCorrupt:
                    refused += 1
            assert refused > FUZZ_ROUNDS // 10
        finally:
            await storage.close()

    asyncio.run(main())


def spoilt(data: bytes, rng: Random) -> bytes:
    """``data`` with a few bits flipped, cut short, or grown."""
    changed = bytearray(data)
    match rng.randrange(3):
        case 0:
            for _ in range(rng.randint(1, 4)):
                changed[rng.randrange(min(len(changed), 400))] ^= 1 << rng.randrange(8)
        case 1:
            del changed[rng.randrange(len(changed)) :]
        case _:
            changed += rng.randbytes(rng.randint(1, 9))
    return bytes(changed)
