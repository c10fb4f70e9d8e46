"""A ledger takes what holds, says why not of the rest, and is the same after a restart."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from tests.ledger.chain_maker import START_S, bft_block, bft_genesis, unsigned_block
from tests.ledger.makers import (
    account_id,
    bft_key,
    bft_public,
    bft_signed,
    signed_fragment,
)
from tests.network.mesh_world import RecordingLog

from tetrarch.ledger.accounts import ACCOUNTS, account_of
from tetrarch.ledger.applying import Place, apply_block, first_place
from tetrarch.ledger.blocks import (
    Block,
    content_hash,
    encode_block,
    encode_content,
    fragment_id,
)
from tetrarch.ledger.chain import LedgerChain
from tetrarch.ledger.checkpoints import encode_certificate
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.finality import Certificate, Checkpoint, Link
from tetrarch.ledger.fragments.signed import SignedFragment, encode_fragment
from tetrarch.ledger.fragments.transfer import Output, Transfer
from tetrarch.ledger.genesis import genesis_block
from tetrarch.ledger.headers import encode_header
from tetrarch.ledger.parameters import Parameters
from tetrarch.ledger.ports import LedgerPorts
from tetrarch.ledger.state_taking import TakenState
from tetrarch.ledger.store import SCHEMA, LedgerDamaged, LedgerStore
from tetrarch.ledger.tables import Base
from tetrarch.ledger.tree import Switch
from tetrarch.network.overlay.chain import Verdict
from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS
from tetrarch.network.overlay.spreading import ItemId
from tetrarch.storage.database import Database

GENESIS = genesis_block(bft_genesis(parameters=Parameters(slots_per_epoch=1000)))
TEN = Transfer((Output(account_id(1), 10),))
T = TypeVar("T")


@dataclass
class FixedClock:
    now_s: float = START_S + 500.0

    def wall_s(self) -> float:
        return self.now_s


class Here:
    """Work in the caller's own thread."""

    async def run(self, function: Callable[[], T], /) -> T:
        return function()


class Opened:
    """A ledger in a folder, and what it said."""

    def __init__(
        self, chain: LedgerChain, store: LedgerStore, log: RecordingLog, clock: FixedClock
    ) -> None:
        self.chain = chain
        self.store = store
        self.log = log
        self.clock = clock
        self.switches: list[Switch] = []
        chain.news.on_switch(self.switches.append)

    async def take(self, block: Block) -> Verdict:
        return await self.chain.take(BLOCKS, encode_block(block))

    async def pool(self, fragment: SignedFragment) -> Verdict:
        return await self.chain.take(FRAGMENTS, encode_fragment(fragment))

    def why(self, event: str, what: str) -> str:
        return str(self.log.find(event, what=what)[-1])

    @property
    def tip(self) -> Place:
        return self.chain.tree.tip


@asynccontextmanager
async def opened(
    folder: Path,
    block0: Block = GENESIS,
    *,
    prunes: bool = False,
    taken: TakenState | None = None,
    **how: Any,
) -> AsyncIterator[Opened]:
    """``taken``: that it begins with."""
    database = Database.open(folder / "ledger.sqlite", (SCHEMA,))
    log, clock = RecordingLog(), FixedClock()
    try:
        ports = LedgerPorts(
            store=LedgerStore(database),
            compute=Here(),
            clock=clock,
            log=cast("Any", log),
            prunes=prunes,
        )
        if taken is not None:
            await ports.store.begin_with(block0, taken.block, taken.cells, taken.proven)
        yield Opened(await LedgerChain.open(ports, block0, **how), ports.store, log, clock)
    finally:
        await database.close()


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


ROOT = first_place(GENESIS, Base())


def transfer(place: Place, number: int = 0, value: int = 10) -> SignedFragment:
    counter = account_of(place.layer, account_id(number)).counter
    body = Transfer((Output(account_id(9), value),))
    return signed_fragment(number, body, counter=counter, block0=ROOT.id)


def grown(place: Place, *slots: int, payer: int | None = None) -> list[tuple[Place, Block]]:
    made = []
    for slot in slots:
        paid = () if payer is None else (transfer(place, payer, slot),)
        block = bft_block(place, BlockDate(0, slot), *paid)
        place = apply_block(place, block)
        made.append((place, block))
    return made


def ids(*places: Place) -> tuple[ItemId, ...]:
    return tuple(ItemId(place.id) for place in places)


def test_blocks_are_taken_and_there_after_a_restart(tmp_path: Path) -> None:
    made = grown(ROOT, *range(1, 8), payer=0)

    async def main() -> None:
        async with opened(tmp_path) as first:
            assert (first.chain.block0,) == ids(ROOT)
            for _, block in made:
                assert await first.take(block) is Verdict.NEW
            assert await first.take(made[3][1]) is Verdict.KNOWN
            tip = first.chain.tip()
            assert (tip.block, tip.height) == (*ids(made[-1][0]), 7)
        async with opened(tmp_path) as again:
            assert again.chain.tip() == tip
            assert dict(ACCOUNTS.items(again.tip.layer)) == dict(ACCOUNTS.items(made[-1][0].layer))
            assert await again.chain.content(BLOCKS, tip.block) == encode_block(made[-1][1])

    run(main())


def test_another_chains_folder_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path):
            pass
        with pytest.raises(LedgerDamaged, match="another chain"):
            async with opened(tmp_path, genesis_block(bft_genesis(name="other"))):
                pass

    run(main())


def test_what_does_not_hold_is_refused_and_said(tmp_path: Path) -> None:
    (one, block), (_, second) = grown(ROOT, 1, 2)
    wrong_leader = unsigned_block(ROOT, BlockDate(0, 1))
    wrong_leader = replace(wrong_leader, header=bft_signed(wrong_leader.header, 2))
    overspent = bft_block(ROOT, BlockDate(0, 1), transfer(ROOT, value=1001))
    same_slot = bft_block(one, BlockDate(0, 1))

    async def main() -> None:
        async with opened(tmp_path) as node:
            data = encode_block(block)
            assert await node.chain.take(BLOCKS, data[:-1]) is Verdict.INVALID
            assert await node.chain.take(BLOCKS, b"") is Verdict.INVALID
            assert "header" in node.why("ledger_refused", what="block")
            assert await node.take(wrong_leader) is Verdict.INVALID
            assert "turn" in node.why("ledger_refused", what="block")
            assert await node.take(overspent) is Verdict.INVALID
            assert "holds" in node.why("ledger_refused", what="block")
            assert await node.take(second) is Verdict.ORPHAN
            assert await node.take(block) is Verdict.NEW
            assert await node.take(same_slot) is Verdict.INVALID
            assert "after" in node.why("ledger_refused", what="block")
            assert await node.take(second) is Verdict.NEW
            assert len(node.chain.tree) == 2

    run(main())


def test_a_slot_that_its_epoch_has_not_is_refused(tmp_path: Path) -> None:
    for date in (BlockDate(0, 1000), BlockDate(2**32 - 1, 2**32 - 1)):
        block = unsigned_block(ROOT, date)

        async def main(block: Block = block) -> None:
            async with opened(tmp_path) as node:
                assert await node.take(block) is Verdict.INVALID
                assert "slots_per_epoch" in node.why("ledger_refused", what="block")

        run(main())


def test_while_too_much_is_not_final_nothing_is_written(tmp_path: Path) -> None:
    made = grown(ROOT, 1, 2, 3)

    async def main() -> None:
        async with opened(tmp_path, blocks_max=2) as node:
            verdicts = [await node.take(block) for _, block in made]
            assert verdicts == [Verdict.NEW, Verdict.NEW, Verdict.STALE]
            assert node.log.find("ledger_full")
        async with opened(tmp_path, blocks_max=2) as again:
            assert again.tip.id == made[1][0].id

    run(main())


def test_a_block_of_the_future_is_refused_until_its_slot_begins(tmp_path: Path) -> None:
    ((_, block),) = grown(ROOT, 503)

    async def main() -> None:
        async with opened(tmp_path) as node:
            assert await node.take(block) is Verdict.INVALID
            assert "not begun" in node.why("ledger_refused", what="block")
            node.clock.now_s += 1
            assert await node.take(block) is Verdict.NEW, "two slots ahead, as clocks differ"

    run(main())


def test_a_longer_branch_counts_and_says_what_changed(tmp_path: Path) -> None:
    (a1, _), (a2, _) = left = grown(ROOT, 1, 2)
    (b1, _), (b2, _), (b3, _) = right = grown(ROOT, 3, 4, 5)

    async def main() -> None:
        async with opened(tmp_path) as node:
            for _, block in (*left, *right):
                await node.take(block)
            assert [each.id for each in node.switches[-1].undone] == [a2.id, a1.id]
            assert [each.id for each in node.switches[-1].done] == [b1.id, b2.id, b3.id]
            chain = node.chain
            assert chain.fork_depth(ItemId(a2.id)) == 3
            assert chain.fork_depth(ItemId(b2.id)) == 0
            assert chain.fork_depth(ItemId(bytes(32))) is None
            assert chain.path(ids(a2, a1, ROOT), None, count_max=9) == ids(b1, b2, b3)
            assert [each async for each in chain.branches(())] == list(
                ids(ROOT, a1, a2, b1, b2, b3)
            )
            assert [each async for each in chain.branches(ids(b2))] == list(ids(a1, a2, b3))
        async with opened(tmp_path) as again:
            assert again.tip.id == b3.id

    run(main())


def test_paths_and_checkpoints_are_of_the_branch_that_counts(tmp_path: Path) -> None:
    made = grown(ROOT, *range(1, 21))
    places = [ROOT, *(place for place, _ in made)]

    async def main() -> None:
        async with opened(tmp_path) as node:
            for _, block in made:
                await node.take(block)
            chain = node.chain
            assert chain.checkpoints() == ids(*(places[n] for n in (20, 19, 18, 16, 12, 4, 0)))
            ((aside, block),) = grown(places[7], 30)
            await node.take(block)
            assert chain.checkpoints()[:3] == ids(places[20], aside, places[19])
            assert chain.path(ids(places[5]), None, count_max=3) == ids(*places[6:9])
            assert chain.path(ids(places[5]), ItemId(places[7].id), count_max=9) == ids(
                *places[6:8]
            )
            assert chain.path((ItemId(bytes(32)),), None, count_max=2) == ids(*places[1:3])
            assert chain.path(ids(places[20]), None, count_max=2) == ()
            told = [each async for each in chain.headers(ids(places[3], ROOT))]
            assert told == [encode_header(places[3].header), encode_header(ROOT.header)]
            summary = chain.read_header(told[0])
            assert (summary.block, summary.parent, summary.height) == (
                *ids(places[3], places[2]),
                3,
            )
            assert (chain.item_id(BLOCKS, encode_block(made[2][1])),) == ids(places[3])
            for broken in (lambda: chain.read_header(b"?"), lambda: chain.item_id(BLOCKS, b"?")):
                with pytest.raises(ValueError, match="header"):
                    broken()

    run(main())


def test_fragments_wait_until_a_block_has_them(tmp_path: Path) -> None:
    fragment, other = transfer(ROOT), transfer(ROOT, 2)
    block = bft_block(ROOT, BlockDate(0, 1), fragment)

    async def main() -> None:
        async with opened(tmp_path) as node:
            assert await node.pool(fragment) is Verdict.NEW
            assert await node.pool(fragment) is Verdict.KNOWN
            assert await node.pool(other) is Verdict.NEW
            item = ItemId(fragment_id(encode_fragment(fragment)))
            assert node.chain.item_id(FRAGMENTS, encode_fragment(fragment)) == item
            assert node.chain.has(FRAGMENTS, item)
            assert await node.chain.content(FRAGMENTS, item) == encode_fragment(fragment)
            await node.take(block)
            assert not node.chain.has(FRAGMENTS, item)
            assert len(node.chain.mempool) == 1
            assert await node.pool(fragment) is Verdict.STALE, "it is used"

    run(main())


def test_false_fragments_are_refused_and_useless_ones_are_not_kept(tmp_path: Path) -> None:
    false = replace(transfer(ROOT), fee=1)
    poor = signed_fragment(7, TEN, fee=5, block0=ROOT.id)

    async def main() -> None:
        async with opened(tmp_path) as node:
            assert await node.pool(false) is Verdict.INVALID
            assert "signature" in node.why("ledger_refused", what="fragment")
            assert await node.chain.take(FRAGMENTS, b"\xff") is Verdict.INVALID
            assert await node.pool(poor) is Verdict.STALE
            assert "holds" in node.why("ledger_not_taken", what="fragment")

    run(main())


def test_what_a_reorganisation_took_out_waits_again(tmp_path: Path) -> None:
    ((_, lost),) = grown(ROOT, 1, payer=0)
    ((_, same),) = grown(ROOT, 2, payer=2)
    longer = [*grown(ROOT, 3, 4)]

    async def main() -> None:
        async with opened(tmp_path) as node:
            await node.take(lost)
            await node.take(same)
            assert len(node.chain.mempool) == 0
            for _, block in longer:
                await node.take(block)
            waiting = list(node.chain.mempool.ready(node.tip.layer))
            assert [each.data for each in waiting] == list(lost.fragments)

    run(main())


def test_blocks_are_taken_one_at_a_time(tmp_path: Path) -> None:
    made = grown(ROOT, *range(1, 6))

    async def main() -> None:
        async with opened(tmp_path) as node:
            verdicts = await asyncio.gather(*(node.take(block) for _, block in made))
            assert verdicts == [Verdict.NEW] * 5
            again = await asyncio.gather(*(node.take(made[4][1]) for _ in range(3)))
            assert again == [Verdict.KNOWN] * 3

    run(main())


def test_unknown_items_are_not_here(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as node:
            unknown = ItemId(bytes(32))
            assert await node.chain.content(BLOCKS, unknown) is None
            assert await node.chain.content(FRAGMENTS, unknown) is None
            assert node.chain.height_of(unknown) is None
            assert [each async for each in node.chain.headers((unknown,))] == []

    run(main())


# -- finality ---------------------------------------------------------------------------------------

ALONE = genesis_block(bft_genesis(1, parameters=Parameters(slots_per_epoch=1000)))
BEGUN = first_place(ALONE, Base())


def certified_block(place: Place, slot: int, *links: Link) -> Block:
    certificates = []
    for link in links:
        signed = link.to_sign(BEGUN.id)
        signatures = {bft_public(n): bft_key(n).sign(signed) for n in range(3)}
        certificates.append(encode_certificate(Certificate(link, signatures)))
    content = encode_content(certificates)
    block = unsigned_block(place, BlockDate(0, slot))
    header = replace(
        block.header, content_size_bytes=len(content), content_hash=content_hash(content)
    )
    return Block(bft_signed(header, 0), tuple(certificates))


def checkpoint(place: Place) -> Checkpoint:
    return place.checkpoint


class Certified:
    """Blocks at slots 1 and 2, and one at slot 3 that makes the first of them final; and another branch."""

    def __init__(self) -> None:
        self.blocks = [certified_block(BEGUN, 1)]
        self.one = apply_block(BEGUN, self.blocks[0])
        self.blocks.append(certified_block(self.one, 2))
        self.two = apply_block(self.one, self.blocks[1])
        first, second = checkpoint(self.one), checkpoint(self.two)
        links = (Link(checkpoint(BEGUN), first), Link(first, second))
        self.blocks.append(certified_block(self.two, 3, *links))
        self.three = apply_block(self.two, self.blocks[2])
        self.others = [certified_block(BEGUN, 4)]
        place = apply_block(BEGUN, self.others[0])
        for slot in range(5, 9):
            self.others.append(certified_block(place, slot))
            place = apply_block(place, self.others[-1])
        self.longest = place


def test_what_a_certificate_makes_final_is_never_undone(tmp_path: Path) -> None:
    made = Certified()

    async def main() -> None:
        async with opened(tmp_path, ALONE) as node:
            finals: list[bytes] = []
            node.chain.news.on_final(lambda places: finals.extend(place.id for place in places))
            for block in made.blocks:
                assert await node.take(block) is Verdict.NEW
            assert finals == [made.one.id]
            assert node.chain.tree.final.id == made.one.id
            for block in made.others:
                assert await node.take(block) is Verdict.STALE, "however long"
            assert node.tip.id == made.three.id
        async with opened(tmp_path, ALONE) as again:
            assert (again.chain.tree.final.id, again.tip.id) == (made.one.id, made.three.id)
            assert await again.take(made.others[0]) is Verdict.STALE
            assert again.chain.height_of(ItemId(made.one.id)) == 1

    run(main())


def test_a_shorter_branch_counts_once_it_is_justified_and_the_longer_is_dropped(
    tmp_path: Path,
) -> None:
    made = Certified()

    async def main() -> None:
        async with opened(tmp_path, ALONE) as node:
            for block in (*made.others, *made.blocks[:2]):
                assert await node.take(block) is Verdict.NEW
            assert node.tip.id == made.longest.id
            await node.take(made.blocks[2])
            assert node.tip.id == made.three.id
            assert [place.id for place in node.switches[-1].done] == [
                made.one.id,
                made.two.id,
                made.three.id,
            ]
            lost = ItemId(made.longest.id)
            assert node.chain.height_of(lost) is None
            assert await node.chain.content(BLOCKS, lost) is None
            assert node.chain.path(ids(BEGUN), None, count_max=9) == ids(
                made.one, made.two, made.three
            )
        async with opened(tmp_path, ALONE) as again:
            assert again.tip.id == made.three.id

    run(main())
