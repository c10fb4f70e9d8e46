"""A state goes into a file and begins another node; nothing in the file is believed."""

from io import BytesIO

import pytest
from tests.ledger.chain_maker import bft_genesis
from tests.ledger.state_world import GENESIS, change, live
from tests.ledger.test_chain import opened, run

from tetrarch.ledger.genesis import genesis_block
from tetrarch.ledger.state_file import (
    MAGIC,
    NoState,
    StateFileInvalid,
    export_state,
    import_state,
)
from tetrarch.ledger.state_parts import PART_SIZE_BYTES_MAX


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = BytesIO()

    async def main() -> None:
        async with opened(tmp_path_factory.mktemp("lived"), GENESIS) as ledger:
            with pytest.raises(NoState):
                await export_state(ledger.chain.giving, out)
            assert not out.getvalue()
            await live(ledger, 1, 24, changes={13: change()})
            contents = await export_state(ledger.chain.giving, out)
            assert contents.height == 19

    run(main())
    return out.getvalue()


def test_what_is_imported_is_the_state(exported: bytes) -> None:
    taken = import_state(BytesIO(exported), GENESIS)
    assert taken.block.header.chain_length == 19
    assert [height for height, _ in taken.proven.proofs] == [15, 19]


def test_another_chains_is_refused(exported: bytes) -> None:
    with pytest.raises(StateFileInvalid, match="verify vote"):
        import_state(BytesIO(exported), genesis_block(bft_genesis(name="other")))


def test_a_file_that_is_cut_anywhere_is_refused(exported: bytes) -> None:
    for size_bytes in range(0, len(exported), 97):
        with pytest.raises(StateFileInvalid):
            import_state(BytesIO(exported[:size_bytes]), GENESIS)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"something else",
        MAGIC + b"\0\0\0\0",
        MAGIC + (PART_SIZE_BYTES_MAX + 1).to_bytes(4, "big"),
        MAGIC + b"\0\0\0\1\1",
        MAGIC + b"\0\0\0\1x",
    ],
)
def test_a_file_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(StateFileInvalid):
        import_state(BytesIO(data), GENESIS)
