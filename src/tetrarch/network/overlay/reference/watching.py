"""Readers that are no nodes: they hear of each new block, or of each new end of our chain."""

from collections.abc import AsyncGenerator

from tetrarch.errors import PeerFault
from tetrarch.network.overlay.chain import ChainPort
from tetrarch.network.overlay.profile import BLOCKS
from tetrarch.network.overlay.reference.answers import Answer
from tetrarch.network.overlay.reference.carrier import Outgoing
from tetrarch.network.overlay.reference.wire import WATCH, decode
from tetrarch.network.overlay.spreading import ItemId
from tetrarch.network.proto import types_pb2, watch_pb2

BEHIND_MAX = 16  # blocks that a reader may be behind


class ReaderLags(PeerFault):
    """A reader took its blocks too slowly; it can begin again where it was with ``SyncMultiverse``."""

    code = "overlay_reader_lags"


class Watchers:
    """All readers. The chain's owner tells of each block that is valid, parents first."""

    def __init__(self, chain: ChainPort) -> None:
        self._chain = chain
        self._readers: dict[Outgoing[ItemId], None] = {}
        self._tip_readers: dict[Outgoing[ItemId], None] = {}

    def methods(self) -> dict[str, Answer]:
        """By path."""
        return {
            f"{WATCH}BlockSubscription": self.blocks,
            f"{WATCH}TipSubscription": self.tips,
        }

    def block_is_new(self, item: ItemId) -> None:
        """A block was taken; our chain may end there."""
        for reader in self._readers:
            reader.put(item)
        tip = self._chain.tip().block
        for reader in self._tip_readers:
            reader.put(tip)

    async def blocks(self, request: bytes) -> AsyncGenerator[bytes, None]:
        """Each new block from now on. Raises ReaderLags."""
        decode(watch_pb2.BlockSubscriptionRequest, request)
        lost: list[None] = []
        reader: Outgoing[ItemId] = Outgoing(BEHIND_MAX, on_drop=lambda: lost.append(None))
        self._readers[reader] = None
        try:
            while True:
                item = await reader.next()
                if lost:
                    raise ReaderLags("watch blocks", behind_max=BEHIND_MAX)
                content = await self._chain.content(BLOCKS, item)
                if content is not None:
                    yield types_pb2.Block(content=content).SerializeToString()
        finally:
            del self._readers[reader]

    async def tips(self, request: bytes) -> AsyncGenerator[bytes, None]:
        """The header of our tip now, and of each that is another; who is slow gets the newest only."""
        decode(watch_pb2.TipSubscriptionRequest, request)
        reader: Outgoing[ItemId] = Outgoing(1, on_drop=lambda: None)
        self._tip_readers[reader] = None
        told: ItemId | None = None
        try:
            while True:
                tip = self._chain.tip()
                if tip.block != told:
                    told = tip.block
                    yield types_pb2.Header(content=tip.header).SerializeToString()
                await reader.next()
        finally:
            del self._tip_readers[reader]
