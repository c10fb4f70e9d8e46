"""A chain of one block: nothing is kept, and nobody is blamed."""

import asyncio

import pytest

from tetrarch.network.overlay.chain import ChainPort, Verdict
from tetrarch.network.overlay.empty_chain import EmptyChain
from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS
from tetrarch.network.overlay.spreading import ItemId

BLOCK0, OTHER = b"0" * 32, ItemId(b"1" * 32)


def test_there_is_one_block_and_nothing_else() -> None:
    async def scenario() -> None:
        chain: ChainPort = EmptyChain(BLOCK0)
        first = chain.block0
        assert (chain.tip().block, chain.tip().height) == (first, 0)
        assert chain.has(BLOCKS, first)
        assert not chain.has(BLOCKS, OTHER)
        assert (chain.height_of(first), chain.height_of(OTHER)) == (0, None)
        assert (chain.fork_depth(first), chain.fork_depth(OTHER)) == (0, None)
        assert chain.checkpoints() == (first,)
        assert chain.path((OTHER,), None, count_max=9) == ()
        assert [each async for each in chain.headers((first, OTHER))] == [BLOCK0]
        assert [each async for each in chain.branches(())] == []
        assert chain.read_header(chain.tip().header).block == first
        with pytest.raises(ValueError):
            chain.read_header(b"another")
        for topic in (BLOCKS, FRAGMENTS):
            assert await chain.take(topic, b"anything") is Verdict.STALE
            assert await chain.content(topic, chain.item_id(topic, b"anything")) is None

    asyncio.run(scenario())
