"""A chain goes into a file and comes out of it the same; nothing in the file is believed."""

import asyncio
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from tests.ledger.test_chain import GENESIS, Opened, opened, run
from tests.ledger.test_checking import SLOTS, filled

from tetrarch.ledger.archive import (
    BLOCK_SIZE_BYTES_MAX,
    MAGIC,
    ArchiveInvalid,
    Imported,
    export_blocks,
    first_of,
    import_blocks,
    read_archive,
)
from tetrarch.ledger.store import SCHEMA, LedgerDamaged, LedgerStore
from tetrarch.storage.database import Database


def exported(folder: Path) -> bytes:
    async def main() -> bytes:
        out = BytesIO()
        database = Database.open(folder / "ledger.sqlite", (SCHEMA,))
        try:
            await export_blocks(LedgerStore(database), out, on_progress=lambda *_: None)
        finally:
            await database.close()
        return out.getvalue()

    return asyncio.run(main())


@pytest.fixture
def archive(tmp_path: Path) -> bytes:
    (tmp_path / "from").mkdir()
    filled(tmp_path / "from")
    return exported(tmp_path / "from")


async def imported(node: Opened, data: bytes) -> Imported:
    blocks = read_archive(BytesIO(data))
    assert first_of(blocks) == GENESIS
    return await import_blocks(
        node.chain, blocks, reason=lambda: str(node.log.lines[-1]), on_progress=lambda _: None
    )


def test_what_is_imported_is_the_same_chain(tmp_path: Path, archive: bytes) -> None:
    (tmp_path / "to").mkdir()

    async def main() -> None:
        async with opened(tmp_path / "from") as before, opened(tmp_path / "to") as node:
            final = before.chain.tree.final
            assert await imported(node, archive) == Imported(SLOTS - 1, 0)
            assert node.tip.id == final.id
            assert node.chain.tree.final.header.chain_length >= SLOTS - 3
            assert await imported(node, archive) == Imported(0, SLOTS - 1), "a second time"

    run(main())


def test_an_import_that_was_interrupted_goes_on(tmp_path: Path, archive: bytes) -> None:
    (tmp_path / "to").mkdir()
    half = archive[: len(archive) // 2]

    async def main() -> None:
        async with opened(tmp_path / "to") as node:
            with pytest.raises(ArchiveInvalid, match="ends within"):
                await imported(node, half)
            some = node.tip.header.chain_length
            assert 0 < some < SLOTS - 1
        async with opened(tmp_path / "to") as node:
            assert await imported(node, archive) == Imported(SLOTS - 1 - some, some)

    run(main())


def test_a_block_that_does_not_hold_is_named(tmp_path: Path, archive: bytes) -> None:
    (tmp_path / "to").mkdir()
    place = len(archive) - 40  # within the last block
    broken = archive[:place] + bytes([archive[place] ^ 1]) + archive[place + 1 :]

    async def main() -> None:
        async with opened(tmp_path / "to") as node:
            with pytest.raises(ArchiveInvalid, match=f"block={SLOTS - 1} verdict=invalid"):
                await imported(node, broken)
            assert node.tip.header.chain_length == SLOTS - 2

    run(main())


def test_a_block_that_is_left_out_is_missed(tmp_path: Path, archive: bytes) -> None:
    (tmp_path / "to").mkdir()
    first, second, *rest = list(read_archive(BytesIO(archive)))
    del second
    data = MAGIC + b"".join(len(each).to_bytes(4, "big") + each for each in (first, *rest))

    async def main() -> None:
        async with opened(tmp_path / "to") as node:
            with pytest.raises(ArchiveInvalid, match=r"block=1 verdict=orphan .*missing"):
                await imported(node, data)

    run(main())


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "it is none"),
        (b"something else" * 9, "it is none"),
        (MAGIC + b"\0\0", "block=0"),
        (MAGIC + bytes(4), "bytes=0"),
        (MAGIC + (BLOCK_SIZE_BYTES_MAX + 1).to_bytes(4, "big"), f"{BLOCK_SIZE_BYTES_MAX + 1}"),
        (MAGIC + (9).to_bytes(4, "big") + b"four", "ends within"),
    ],
)
def test_what_is_no_archive_is_told(data: bytes, match: str) -> None:
    with pytest.raises(ArchiveInvalid, match=match):
        list(read_archive(BytesIO(data)))


def blocks(*some: bytes) -> Iterator[bytes]:
    yield from some


def test_an_archive_without_a_first_block_is_told() -> None:
    with pytest.raises(ArchiveInvalid, match="no block"):
        first_of(blocks())
    with pytest.raises(ArchiveInvalid, match="block=0"):
        first_of(blocks(b"x" * 50))


def test_a_store_that_misses_a_block_is_not_exported(tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    filled(tmp_path / "from")

    async def main() -> None:
        database = Database.open(tmp_path / "from/ledger.sqlite", (SCHEMA,))
        await database.write(
            lambda connection: connection.execute("DELETE FROM ledger_blocks WHERE length = 4")
        )
        try:
            with pytest.raises(LedgerDamaged, match="missing"):
                await export_blocks(LedgerStore(database), BytesIO(), on_progress=lambda *_: None)
        finally:
            await database.close()

    asyncio.run(main())
