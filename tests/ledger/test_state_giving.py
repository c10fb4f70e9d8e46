"""A node gives the newest state that it can prove, also after a restart, and forgets what is older than what it gives."""

from pathlib import Path

import pytest
from tests.ledger.state_world import (
    GENESIS,
    change,
    contents_of,
    folder,
    gathered,
    live,
    part_of,
)
from tests.ledger.test_chain import opened, run
from tests.ledger.test_checking import checked, edited
from tests.ledger.test_state_taking import taken_of

from tetrarch.ledger.state_chunks import hash_of
from tetrarch.ledger.state_parts import CONTENTS
from tetrarch.ledger.state_store import STATES_KEPT
from tetrarch.ledger.store import LedgerDamaged
from tetrarch.network.overlay.profile import BLOCKS
from tetrarch.network.overlay.spreading import ItemId


def test_nothing_is_given_before_the_first_epoch_is_over_and_final(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, GENESIS) as ledger:
            await live(ledger, 1, 9)
            assert await contents_of(ledger) is None
            await live(ledger, 10, 10)
            contents = await contents_of(ledger)
            assert contents is not None
            assert contents.height == 9, "the votes for the next epoch's first block prove it"

    run(main())


def test_the_newest_two_are_there_after_a_restart_and_older_ones_are_gone(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, GENESIS) as ledger:
            await live(ledger, 1, 25)
            first = await contents_of(ledger)
            assert first is not None
            assert first.height == 19
            await live(ledger, 26, 31)
            for part in (first.block_part, *first.proofs, *first.chunks):
                found = await part_of(ledger, part)
                assert found is not None, "who began with it can go on"
                assert hash_of(found) == part
        async with opened(tmp_path, GENESIS) as ledger:
            contents = await contents_of(ledger)
            assert contents is not None
            assert contents.height == 29
            await live(ledger, 32, 41)
            assert await part_of(ledger, first.chunks[-1]) is None
            assert len(await ledger.store.states()) == STATES_KEPT
            assert await part_of(ledger, first.proofs[0]) is not None, "proofs stay"
            assert await part_of(ledger, b"\1" * 32) is None

    run(main())


def test_who_prunes_forgets_blocks_that_are_older_than_what_it_gives(tmp_path: Path) -> None:
    """It knows what is final all the same, checks itself from the state on, and gives what it has."""

    async def main() -> None:
        async with opened(tmp_path, GENESIS, prunes=True) as ledger:
            await live(ledger, 1, 34, changes={13: change()})
            assert ledger.chain.main.lowest == 19
            main = ledger.chain.main
            below = [block for block in main.last(100) if (main.place_of(block) or 0) < 19]
            assert below == []
        async with opened(tmp_path, GENESIS, prunes=True) as ledger:
            assert ledger.chain.main.lowest == 19
            assert ledger.tip.header.chain_length == 34
            genesis = ItemId(GENESIS.header.id)
            assert ledger.chain.path([genesis], None, count_max=9) == ()
            assert await ledger.chain.content(BLOCKS, genesis) is not None, "the first is kept"
            await live(ledger, 35, 45)
            assert ledger.chain.main.lowest == 29

    run(main())
    found = checked(tmp_path, GENESIS)
    assert (found.lowest, found.final.header.chain_length) == (29, 44)


def test_who_began_with_a_state_gives_the_next_one_and_is_checked_by_its_proofs(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with opened(folder(tmp_path / "one"), GENESIS) as ledger:
            await live(ledger, 1, 34, changes={13: change()})
            parts = await gathered(ledger)
        taken = taken_of(parts)
        async with opened(folder(tmp_path / "two"), GENESIS, taken=taken) as late:
            assert (await gathered(late))[CONTENTS] == parts[CONTENTS], "the same, at once"
            await live(late, 30, 45)
            assert taken_of(await gathered(late)).block.header.chain_length == 39

    run(main())
    found = checked(tmp_path / "two", GENESIS)
    assert (found.lowest, found.finals) == (29, 17)


def test_a_chain_of_some_epochs_is_as_its_first_block_makes_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, GENESIS) as ledger:
            await live(ledger, 1, 24, changes={13: change()})

    run(main())
    assert checked(tmp_path, GENESIS).finals == 24


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("DELETE FROM ledger_proofs WHERE height = 15", "needed"),
        ("UPDATE ledger_chunks SET content = zeroblob(5) WHERE state = 19", "its proof says"),
        ("DELETE FROM ledger_states", "no state is kept"),
        ("DELETE FROM ledger_blocks WHERE length = 19", "lowest final block is missing"),
        ("DELETE FROM ledger_blocks WHERE length = 22", "a final block is missing"),
    ],
)
def test_what_is_wrong_with_a_pruned_store_is_named(
    tmp_path: Path, query: str, reason: str
) -> None:
    async def main() -> None:
        async with opened(tmp_path, GENESIS, prunes=True) as ledger:
            await live(ledger, 1, 34, changes={13: change()})

    run(main())
    edited(tmp_path, lambda connection: connection.execute(query))
    with pytest.raises(LedgerDamaged, match=reason):
        checked(tmp_path, GENESIS)
