"""What was taken is there after a restart, and what is final is there with the state that it left."""

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from tests.ledger.chain_maker import bft_block, bft_genesis, next_praos, praos_genesis
from tests.ledger.makers import account_id, signed_fragment

from tetrarch.ledger.accounts import ACCOUNTS, account_of
from tetrarch.ledger.applying import Place, apply_block, first_place
from tetrarch.ledger.blocks import Block, encode_block
from tetrarch.ledger.cells import TABLES, decode_value, encode_value
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.fragments.transfer import Output, Transfer
from tetrarch.ledger.genesis import genesis_block
from tetrarch.ledger.headers import BlockId
from tetrarch.ledger.store import SCHEMA, Finals, Kept, LedgerDamaged, LedgerStore
from tetrarch.ledger.tables import Base, Cell
from tetrarch.storage.database import Database
from tetrarch.storage.errors import StorageCorrupt

GENESIS = genesis_block(bft_genesis())
T = TypeVar("T")


def stored(path: Path, work: Callable[[LedgerStore], Coroutine[Any, Any, T]]) -> T:
    """In a process that opens the database and closes it."""

    async def main() -> T:
        database = Database.open(path / "ledger.sqlite", (SCHEMA,))
        try:
            return await work(LedgerStore(database))
        finally:
            await database.close()

    return asyncio.run(main())


def loaded(path: Path) -> Kept:
    kept = stored(path, lambda store: store.load())
    assert isinstance(kept, Kept)
    return kept


def begun() -> tuple[Place, Base]:
    base = Base()
    return first_place(GENESIS, base), base


def chain(place: Place, *slots: int) -> list[tuple[Place, Block]]:
    made = []
    for slot in slots:
        counter = account_of(place.layer, account_id(0)).counter
        body = Transfer((Output(account_id(1), slot),))
        paid = signed_fragment(0, body, counter=counter, block0=place.block0)
        block = bft_block(place, BlockDate(0, slot), paid)
        place = apply_block(place, block)
        made.append((place, block))
    return made


async def write_all(store: LedgerStore, root: Place) -> None:
    """A chain of three of which two are final, and a branch that is dropped."""
    draft_changes: dict[Cell, object] = {
        (table.name, key): value for table in TABLES for key, value in table.items(root.layer)
    }
    await store.begin(GENESIS, draft_changes)
    (one, b1), (two, b2), (_, b3) = chain(root, 1, 2, 3)
    (other, c1), *_ = chain(root, 4)
    for block in (b1, c1, b2, b3):
        await store.add(block)
    await store.finalize((one, two), (other.id,))


def test_an_empty_store_has_nothing(tmp_path: Path) -> None:
    assert stored(tmp_path, lambda store: store.load()) is None


def test_what_is_final_and_what_is_not_are_there_again(tmp_path: Path) -> None:
    root, _ = begun()
    (one, b1), (two, b2), (three, b3) = chain(root, 1, 2, 3)
    stored(tmp_path, lambda store: write_all(store, root))
    kept = loaded(tmp_path)
    assert (kept.root.id, kept.root.block0) == (two.id, root.id)
    assert kept.open_blocks == (b3,)
    assert dict(ACCOUNTS.items(kept.root.layer)) == dict(ACCOUNTS.items(two.layer))
    again = apply_block(kept.root, b3)
    assert dict(ACCOUNTS.items(again.layer)) == dict(ACCOUNTS.items(three.layer))

    async def asked(
        store: LedgerStore,
    ) -> tuple[Finals, list[bytes | None], bytes | None]:
        finals = await store.finals()
        contents = [await store.block(block.header.id) for block in (GENESIS, b1, b2, b3)]
        return finals, contents, await store.block(BlockId(bytes(32)))

    finals, contents, unknown = stored(tmp_path, asked)
    assert finals == Finals(0, (root.id, one.id, two.id))
    assert contents == [encode_block(block) for block in (GENESIS, b1, b2, b3)]
    assert unknown is None


def test_what_can_never_be_final_is_forgotten(tmp_path: Path) -> None:
    root, _ = begun()
    ((other, _),) = chain(root, 4)
    stored(tmp_path, lambda store: write_all(store, root))
    assert stored(tmp_path, lambda store: store.block(other.id)) is None


def test_a_block_is_kept_once(tmp_path: Path) -> None:
    root, _ = begun()
    ((_, b1),) = chain(root, 1)

    async def twice(store: LedgerStore) -> None:
        await store.begin(GENESIS, {})
        await store.add(b1)
        await store.add(b1)
        await store.add(GENESIS)

    stored(tmp_path, twice)
    assert loaded_blocks(tmp_path) == (b1,)


def loaded_blocks(path: Path) -> tuple[Block, ...]:
    return loaded(path).open_blocks


def test_values_that_are_gone_are_gone(tmp_path: Path) -> None:
    root, _ = begun()
    ((one, b1),) = chain(root, 1)
    without: dict[Cell, object] = {("accounts", account_id(0)): None}
    layer = root.layer.above(without)
    emptied = Place(root.block0, one.id, one.header, layer)

    async def remove(store: LedgerStore) -> None:
        await store.begin(
            GENESIS, {("accounts", account_id(0)): account_of(root.layer, account_id(0))}
        )
        await store.add(b1)
        await store.finalize((emptied,), ())

    stored(tmp_path, remove)
    assert list(ACCOUNTS.items(loaded(tmp_path).root.layer)) == []


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("DELETE FROM ledger_blocks WHERE length = 0", LedgerDamaged),
        ("DELETE FROM ledger_blocks WHERE length = 2", LedgerDamaged),
        (
            "UPDATE ledger_blocks SET content = substr(content, 1, 90) WHERE length = 3",
            LedgerDamaged,
        ),
        (
            """UPDATE ledger_blocks SET content =
                (SELECT content FROM ledger_blocks WHERE length = 1) WHERE length = 3""",
            LedgerDamaged,
        ),
        ("UPDATE ledger_cells SET content = x'c1'", StorageCorrupt),
        ("UPDATE ledger_cells SET name = 'nothing' WHERE name = 'settings'", StorageCorrupt),
    ],
    ids=["first", "final", "cut", "other", "value", "table"],
)
def test_damage_is_told(tmp_path: Path, statement: str, error: type[Exception]) -> None:
    root, _ = begun()
    stored(tmp_path, lambda store: write_all(store, root))
    connection = sqlite3.connect(tmp_path / "ledger.sqlite")
    with connection:
        connection.execute(statement)
    connection.close()
    with pytest.raises(error):
        loaded(tmp_path)


def test_every_value_of_a_chain_by_stake_is_kept_as_it_is() -> None:
    place = first_place(genesis_block(praos_genesis(600, 300)), Base())
    while place.header.date.epoch < 2:
        place, _ = next_praos(place, pools=2)
    seen = 0
    for table in TABLES:
        for _, value in table.items(place.layer):
            assert decode_value(table.name, encode_value(value)) == value
            seen += 1
    assert seen > len(TABLES)
    with pytest.raises(ValueError, match="no table"):
        decode_value("nothing", b"\0")


def test_all_tables_are_kept() -> None:
    place = first_place(genesis_block(praos_genesis(600)), Base())
    place, _ = next_praos(place, pools=1)
    names = {name for run in place.layer._runs for name, _ in run.changes}
    names |= set(place.layer._base._tables)
    assert names <= {table.name for table in TABLES}
