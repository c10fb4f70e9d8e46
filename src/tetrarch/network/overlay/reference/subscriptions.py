"""What both ends of the reference's subscriptions do alike: fragments and gossip go both ways."""

from collections.abc import Awaitable, Callable

from tetrarch.network.link import Stream
from tetrarch.network.overlay.chain import ChainPort
from tetrarch.network.overlay.profile import FRAGMENTS
from tetrarch.network.overlay.reference.carrier import ReferenceCarrier
from tetrarch.network.overlay.reference.wire import decode
from tetrarch.network.proto import node_pb2, types_pb2


async def read_all(stream: Stream, hear: Callable[[bytes], Awaitable[None]]) -> None:
    """Until the stream ends, with its ``StreamBroken``."""
    while True:
        await hear(await stream.read())


async def write_fragments(stream: Stream, carrier: ReferenceCarrier, chain: ChainPort) -> None:
    """Never returns. What is here no more by its turn is left out."""
    while True:
        content = await chain.content(FRAGMENTS, await carrier.fragments.next())
        if content is not None:
            await stream.write(types_pb2.Fragment(content=content).SerializeToString())


async def write_gossip(stream: Stream, carrier: ReferenceCarrier) -> None:
    """Never returns."""
    while True:
        nodes = await carrier.gossip.next()
        await stream.write(node_pb2.Gossip(nodes=nodes).SerializeToString())


async def read_fragments(stream: Stream, carrier: ReferenceCarrier) -> None:
    """Never returns. Raises OverlayMessageInvalid: what came is none."""

    async def hear(data: bytes) -> None:
        carrier.hear_fragment(decode(types_pb2.Fragment, data).content)

    await read_all(stream, hear)


async def read_gossip(stream: Stream, carrier: ReferenceCarrier) -> None:
    """Never returns. Raises OverlayMessageInvalid: what came is none."""

    async def hear(data: bytes) -> None:
        carrier.hear_gossip(decode(node_pb2.Gossip, data).nodes)

    await read_all(stream, hear)
