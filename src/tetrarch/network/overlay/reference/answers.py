"""Questions of the reference's service that anybody may ask, and what is answered. No connection is needed.

Each takes a request as bytes and gives its answers as bytes, one after another, as the asker takes them.
"""

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from typing import TypeAlias

from tetrarch.errors import PeerFault
from tetrarch.network.overlay.chain import ChainPort
from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS, Profile, Topic
from tetrarch.network.overlay.reference.paths import PathLost, path_pages
from tetrarch.network.overlay.reference.records import is_of_use, wrap
from tetrarch.network.overlay.reference.wire import (
    CHECKPOINTS_MAX,
    NODE,
    PEERS_MAX,
    WATCH,
    decode,
    id_of,
    ids_of,
)
from tetrarch.network.overlay.spreading import ItemId
from tetrarch.network.proto import node_pb2, types_pb2, watch_pb2

Answer: TypeAlias = Callable[[bytes], AsyncGenerator[bytes, None]]


class NotHere(PeerFault):
    """What was asked for is not on our chain, or not any more."""

    code = "overlay_item_not_here"


class Answers:
    """``own`` and ``others`` give the profiles that may be told."""

    def __init__(
        self,
        chain: ChainPort,
        *,
        own: Callable[[], Profile],
        others: Callable[[], Iterable[Profile]],
    ) -> None:
        self._chain = chain
        self._own = own
        self._others = others

    def methods(self) -> dict[str, Answer]:
        """By path. ``Tip`` and ``Peers`` answer once."""
        return {
            f"{NODE}Tip": self.tip,
            f"{NODE}Peers": self.peers,
            f"{NODE}GetBlocks": self.get_blocks,
            f"{NODE}GetHeaders": self.get_headers,
            f"{NODE}GetFragments": self.get_fragments,
            f"{NODE}PullHeaders": self.pull_headers,
            f"{NODE}PullBlocks": self.pull_blocks,
            f"{NODE}PullBlocksToTip": self.pull_blocks_to_tip,
            f"{WATCH}SyncMultiverse": self.sync_multiverse,
        }

    async def tip(self, request: bytes) -> AsyncGenerator[bytes, None]:
        """The header of the block where our chain ends."""
        decode(node_pb2.TipRequest, request)
        header = self._chain.tip().header
        yield node_pb2.TipResponse(block_header=header).SerializeToString()

    async def peers(self, request: bytes) -> AsyncGenerator[bytes, None]:
        """Our own record if others can use it, then some of those that we link with."""
        limit = min(decode(node_pb2.PeersRequest, request).limit, PEERS_MAX)
        told = [each for each in (self._own(), *self._others()) if is_of_use(each)]
        records = [wrap(each.record) for each in told[:limit]]
        yield node_pb2.PeersResponse(peers=records).SerializeToString()

    async def get_blocks(self, request: bytes) -> AsyncGenerator[bytes, None]:
        """Whole blocks, in the order asked for."""
        for item in ids_of(decode(types_pb2.BlockIds, request).ids):
            yield await self._block(item)

    async def get_headers(self, request: bytes) -> AsyncGenerator[bytes, None]:
        """Headers, in the order asked for."""
        items = ids_of(decode(types_pb2.BlockIds, request).ids)
        if not all(self._chain.has(BLOCKS, item) for item in items):
            raise NotHere("get headers", blocks=len(items))
        async for header in self._chain.headers(items):
            yield types_pb2.Header(content=header).SerializeToString()

    async def get_fragments(self, request: bytes) -> AsyncGenerator[bytes, None]:
        """Whole fragments, in the order asked for; the reference never answers this."""
        for item in ids_of(decode(types_pb2.FragmentIds, request).ids):
            content = await self._content(FRAGMENTS, item)
            yield types_pb2.Fragment(content=content).SerializeToString()

    async def pull_headers(self, request: bytes) -> AsyncGenerator[bytes, None]:
        """Headers of our chain after the first checkpoint that is on it, up to the last one named."""
        asked = decode(node_pb2.PullHeadersRequest, request)
        checkpoints = ids_of(getattr(asked, "from"), count_max=CHECKPOINTS_MAX)
        async for header in self._headers(checkpoints, id_of(asked.to)):
            yield header

    async def pull_blocks(self, request: bytes) -> AsyncGenerator[bytes, None]:
        """The same with whole blocks."""
        asked = decode(node_pb2.PullBlocksRequest, request)
        checkpoints = ids_of(getattr(asked, "from"), count_max=CHECKPOINTS_MAX)
        async for block in self._blocks(checkpoints, id_of(asked.to)):
            yield block

    async def pull_blocks_to_tip(self, request: bytes) -> AsyncGenerator[bytes, None]:
        """Blocks of our chain after the first checkpoint that is on it, to its end."""
        asked = decode(node_pb2.PullBlocksToTipRequest, request)
        checkpoints = ids_of(getattr(asked, "from"), count_max=CHECKPOINTS_MAX)
        async for block in self._blocks(checkpoints, None):
            yield block

    async def sync_multiverse(self, request: bytes) -> AsyncGenerator[bytes, None]:
        """Blocks of all branches, parents first, but for those named and what is below them."""
        asked = decode(watch_pb2.SyncMultiverseRequest, request)
        known = ids_of(getattr(asked, "from"), count_max=CHECKPOINTS_MAX)
        async for item in self._chain.branches(known):
            yield await self._block(item)

    async def _blocks(
        self, checkpoints: Sequence[ItemId], to: ItemId | None
    ) -> AsyncGenerator[bytes, None]:
        try:
            for page in path_pages(self._chain, checkpoints, to):
                for item in page:
                    yield await self._block(item)
        except PathLost:
            raise NotHere("pull blocks", checkpoints=len(checkpoints)) from None

    async def _headers(
        self, checkpoints: Sequence[ItemId], to: ItemId
    ) -> AsyncGenerator[bytes, None]:
        try:
            for page in path_pages(self._chain, checkpoints, to):
                async for header in self._chain.headers(page):
                    yield types_pb2.Header(content=header).SerializeToString()
        except PathLost:
            raise NotHere("pull headers", checkpoints=len(checkpoints)) from None

    async def _block(self, item: ItemId) -> bytes:
        return types_pb2.Block(content=await self._content(BLOCKS, item)).SerializeToString()

    async def _content(self, topic: Topic, item: ItemId) -> bytes:
        content = await self._chain.content(topic, item)
        if content is None:
            raise NotHere("get item", item=item.hex())
        return content
