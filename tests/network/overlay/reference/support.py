"""A node of ours without TLS, for peers that speak as the reference does."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.network.overlay.world import Node, nodes_of

from tetrarch.network.overlay.spreading import ItemId


@contextlib.asynccontextmanager
async def plain_node(folder: Path) -> AsyncIterator[Node]:
    (made,) = nodes_of(folder, 1, secured=False)
    async with made.running():
        yield made


async def blocks_of(node: Node, count: int) -> list[ItemId]:
    for number in range(count):
        await node.make_block(b"block %d" % number, number)
    return list(node.chain.main())


def run(work: Any) -> None:
    asyncio.run(work)
