"""The chain in memory, that stands for a ledger in tests, is one."""

import asyncio

from tetrarch.network.overlay.chain import Tip, Verdict
from tetrarch.network.overlay.memory_chain import INVALID, MemoryChain, make_block
from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS


def extend(chain: MemoryChain, count: int, number: int = 0, after: Tip | None = None) -> list[Tip]:
    tips = [after or chain.tip()]
    for _ in range(count):
        block = make_block(tips[-1], number, b"content")
        assert asyncio.run(chain.take(BLOCKS, block)) is Verdict.NEW
        item = chain.item_id(BLOCKS, block)
        tips.append(Tip(item, tips[-1].height + 1, b""))
    return tips


def test_verdicts() -> None:
    chain = MemoryChain()
    block = make_block(chain.tip(), 0, b"content")
    for content, verdict in (
        (block, Verdict.NEW),
        (block, Verdict.KNOWN),
        (b"short", Verdict.INVALID),
        (make_block(chain.tip(), 0, INVALID), Verdict.INVALID),
        (make_block(Tip(chain.block0, 7, b""), 0, b"height"), Verdict.INVALID),
        (make_block(Tip(b"?" * 32, 7, b""), 0, b"x"), Verdict.ORPHAN),  # type: ignore[arg-type]
    ):
        assert asyncio.run(chain.take(BLOCKS, content)) is verdict
    for content, verdict in (
        (b"payment", Verdict.NEW),
        (b"payment", Verdict.KNOWN),
        (INVALID, Verdict.INVALID),
    ):
        assert asyncio.run(chain.take(FRAGMENTS, content)) is verdict


def test_the_longest_wins_and_paths_are_of_it() -> None:
    chain = MemoryChain()
    short = extend(chain, 3, number=1)
    assert chain.tip().block == short[-1].block
    long = extend(chain, 5, number=2, after=short[1])
    assert chain.tip().block == long[-1].block
    assert chain.tip().height == 6
    assert list(chain.main()) == [short[0].block, *(tip.block for tip in long)]
    assert chain.path([short[-1].block, short[1].block], None, count_max=2) == (
        long[1].block,
        long[2].block,
    )
    assert chain.path([], long[2].block, count_max=100) == tuple(
        tip.block for tip in (short[1], long[1], long[2])
    )
    assert chain.fork_depth(short[-1].block) == 5
    assert chain.fork_depth(long[2].block) == 0
    assert chain.fork_depth(b"?" * 32) is None  # type: ignore[arg-type]


def test_checkpoints_go_back_to_the_first_block() -> None:
    chain = MemoryChain()
    tips = extend(chain, 40)
    heights = {tip.block: tip.height for tip in tips}
    found = [heights[each] for each in chain.checkpoints()]
    assert found == [40, 39, 38, 36, 32, 24, 8, 0]
    assert MemoryChain().checkpoints() == (MemoryChain().block0,)
