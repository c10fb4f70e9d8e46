"""A part of our chain, however long, a page at a time: nothing is held but one page of ids. Pure."""

from collections.abc import Iterator, Sequence

from tetrarch.network.overlay.chain import ChainPort
from tetrarch.network.overlay.spreading import ItemId

PAGE_MAX = 64


class PathLost(Exception):
    """Our chain went another way meanwhile, or does not have what was asked for."""


def path_pages(
    chain: ChainPort, checkpoints: Sequence[ItemId], to: ItemId | None
) -> Iterator[tuple[ItemId, ...]]:
    """Blocks after the first of ``checkpoints`` that is on our chain, up to ``to`` or the tip.

    Raises:
        PathLost: none of them is, or ``to`` is not; or that changed while pages were taken.
    """
    start = next((each for each in checkpoints if _is_on_chain(chain, each)), None)
    if start is None or (to is not None and not _is_on_chain(chain, to)):
        raise PathLost
    while start != to:
        if not _is_on_chain(chain, start):
            raise PathLost
        page = chain.path((start,), to, count_max=PAGE_MAX)
        if not page:
            return
        yield page
        start = page[-1]


def _is_on_chain(chain: ChainPort, block: ItemId) -> bool:
    return chain.height_of(block) is not None and chain.fork_depth(block) == 0
