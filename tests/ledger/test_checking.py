"""A store is checked from its first block on; what is wrong with it is named."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.ledger.chain_maker import bft_block
from tests.ledger.test_chain import GENESIS, ROOT, grown, opened, run, transfer
from tests.ledger.test_opinion import at, say

from tetrarch.ledger.applying import apply_block
from tetrarch.ledger.blocks import Block
from tetrarch.ledger.checking import Checked, check_store
from tetrarch.ledger.checkpoints import encode_certificate
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.store import SCHEMA, LedgerDamaged, LedgerStore
from tetrarch.storage.database import Database

SLOTS = 12


def filled(folder: Path) -> None:
    """All but the last block is final; a branch is not."""

    async def main() -> None:
        async with opened(folder) as ledger:
            place = ROOT
            for slot in range(1, SLOTS + 1):
                at(ledger, slot)
                date = BlockDate(0, slot)
                carried = ledger.chain.opinion.for_block(place, date)
                paid = transfer(place, 0, slot)
                block = bft_block(place, date, *map(encode_certificate, carried), paid)
                before, place = place, apply_block(place, block)
                await ledger.take(block)
                if slot == SLOTS:
                    ((_, aside),) = grown(before, SLOTS, payer=1)
                    await ledger.take(aside)
                await say(ledger, ledger.chain.opinion.link_for(slot), 0, 1, 2)

    run(main())


def checked(folder: Path, block0: Block = GENESIS) -> Checked:
    async def main() -> Checked:
        database = Database.open(folder / "ledger.sqlite", (SCHEMA,))
        try:
            return await check_store(
                LedgerStore(database), block0, on_progress=lambda _done, _of: None
            )
        finally:
            await database.close()

    return asyncio.run(main())


def test_what_a_node_left_is_as_it_should_be(tmp_path: Path) -> None:
    filled(tmp_path)
    found = checked(tmp_path)
    assert (found.finals, found.opens) == (SLOTS, 2)
    assert found.final.header.chain_length == SLOTS - 1


def edited(folder: Path, edit: Callable[[sqlite3.Connection], object]) -> None:
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as connection:
        edit(connection)
        connection.commit()


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("DELETE FROM ledger_cells WHERE name = 'accounts'", "table=accounts"),
        ("DELETE FROM ledger_cells WHERE name = 'ancestors'", "table=ancestors"),
        (
            "UPDATE ledger_blocks SET content = x'00' WHERE length = 4",
            "height=4",
        ),
        ("UPDATE ledger_blocks SET content = substr(content, 1, 200) WHERE length = 3", "height=3"),
        ("DELETE FROM ledger_heads", "nothing is stored"),
        (
            "UPDATE ledger_heads SET block = (SELECT id FROM ledger_blocks WHERE length = 3)",
            "not that of the last",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, statement: str, named: str) -> None:
    filled(tmp_path)
    edited(tmp_path, lambda connection: connection.execute(statement))
    with pytest.raises(LedgerDamaged, match=named):
        checked(tmp_path)
