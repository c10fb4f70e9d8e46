"""Questions of anybody: whatever is asked is answered, or refused by one kind of error."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.network.overlay.support import profile

from tetrarch.errors import PeerFault
from tetrarch.network.overlay.memory_chain import MemoryChain, make_block
from tetrarch.network.overlay.profile import BLOCKS
from tetrarch.network.overlay.reference.answers import Answers
from tetrarch.network.overlay.reference.paths import PAGE_MAX, PathLost, path_pages
from tetrarch.network.overlay.reference.wire import ids_of
from tetrarch.network.overlay.spreading import ItemId


async def grown(count: int) -> MemoryChain:
    chain = MemoryChain()
    for number in range(count):
        await chain.take(BLOCKS, make_block(chain.tip(), number, b"x"))
    return chain


@given(st.data(), st.binary(max_size=200))
def test_any_bytes_at_any_method(data: st.DataObject, request: bytes) -> None:
    async def scenario() -> None:
        answers = Answers(await grown(3), own=lambda: profile(1), others=list)
        methods = answers.methods()
        method = methods[data.draw(st.sampled_from(sorted(methods)))]
        try:
            async for answer in method(request):
                assert isinstance(answer, bytes)
        except PeerFault:
            pass

    asyncio.run(scenario())


def test_a_path_comes_in_pages_and_whole() -> None:
    chain = asyncio.run(grown(2 * PAGE_MAX + 3))
    main = list(chain.main())
    pages = list(path_pages(chain, (ItemId(b"?" * 32), main[1]), None))
    assert [len(page) for page in pages] == [PAGE_MAX, PAGE_MAX, 2]
    assert [item for page in pages for item in page] == main[2:]
    assert list(path_pages(chain, (main[5],), main[5])) == []
    with pytest.raises(PathLost):
        list(path_pages(chain, (ItemId(b"?" * 32),), None))
    with pytest.raises(PathLost):
        list(path_pages(chain, (main[1],), ItemId(b"?" * 32)))


def test_a_chain_that_goes_another_way_meanwhile_ends_the_path() -> None:
    """Else the rest would begin at the first block again."""
    chain = asyncio.run(grown(PAGE_MAX + 10))
    other = asyncio.run(longer_fork(chain))
    pages = path_pages(chain, (chain.block0,), None)
    assert len(next(pages)) == PAGE_MAX
    for block in other:
        asyncio.run(chain.take(BLOCKS, block))
    with pytest.raises(PathLost):
        list(pages)


async def longer_fork(chain: MemoryChain) -> list[bytes]:
    other, blocks = MemoryChain(), []
    for number in range(chain.tip().height + 1):
        blocks.append(make_block(other.tip(), 1000 + number, b"other"))
        await other.take(BLOCKS, blocks[-1])
    return blocks


def test_ids_are_bounded_and_whole() -> None:
    assert ids_of([b"i" * 32] * 2) == (b"i" * 32,) * 2
    with pytest.raises(PeerFault):
        ids_of([b"i" * 31])
    with pytest.raises(PeerFault):
        ids_of([b"i" * 32] * 3, count_max=2)
