"""A link that we made with a node of the reference: handshake, its three subscriptions, and questions."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import grpc
import grpc.aio
from google.protobuf.message import Message

from tetrarch.network.faults import StreamBroken
from tetrarch.network.overlay.chain import ChainPort
from tetrarch.network.overlay.greeting import ChainDiffers, NodeDiffers, VersionDiffers
from tetrarch.network.overlay.meeting import Introduction
from tetrarch.network.overlay.messages import CONTENT_MAX_BYTES, PULLED_MAX, OverlayMessageInvalid
from tetrarch.network.overlay.profile import BLOCKS, NodeId
from tetrarch.network.overlay.reference.carrier import Fetch, Pull, ReferenceCarrier
from tetrarch.network.overlay.reference.handshakes import (
    NONCE_SIZE_BYTES,
    VERSION,
    check_nonce,
    check_proof,
)
from tetrarch.network.overlay.reference.paths import PathLost, path_pages
from tetrarch.network.overlay.reference.subscriptions import (
    read_all,
    read_fragments,
    read_gossip,
    write_fragments,
    write_gossip,
)
from tetrarch.network.overlay.reference.wire import (
    CHECKPOINTS_MAX,
    NODE,
    decode,
    id_of,
    ids_of,
)
from tetrarch.network.overlay.spreading import ItemId
from tetrarch.network.proto import node_pb2, types_pb2
from tetrarch.network.streams import DialledStream, reason_of
from tetrarch.supervision import cause_of_end

QUESTION_TIMEOUT_S = 10.0
TRANSFER_TIMEOUT_S = 60.0


async def see_who_is_there(
    channel: grpc.aio.Channel, own: Introduction, *, expected: NodeId | None
) -> tuple[NodeId, bytes]:
    """The first half of a handshake. Returns the node, and what it wants signed.

    Raises:
        GreetingInvalid, VersionDiffers, ChainDiffers, NodeDiffers: who is there.
        StreamBroken: nobody answers.
    """
    nonce = own.entropy(NONCE_SIZE_BYTES)
    said = await _ask(channel, "Handshake", node_pb2.HandshakeRequest(nonce=nonce))
    answer = decode(node_pb2.HandshakeResponse, said)
    if answer.version != VERSION:
        raise VersionDiffers("shake hands", ours=VERSION, theirs=answer.version)
    if answer.block0 != own.block0:
        raise ChainDiffers("shake hands", ours=own.block0.hex(), theirs=answer.block0[:32].hex())
    node = check_proof(answer.node_id, answer.signature, nonce)
    if expected is not None and node != expected:
        raise NodeDiffers("shake hands", expected=expected.hex(), got=node.hex())
    return node, answer.nonce


async def shake_hands(
    channel: grpc.aio.Channel, own: Introduction, *, expected: NodeId | None
) -> tuple[NodeId, float]:
    """Show who we are to a node of the reference, and see who it is. Returns also the round trip in s.

    Raises:
        As ``see_who_is_there``; also if it does not want us, or is this node itself.
    """
    loop = asyncio.get_running_loop()
    node, nonce = await see_who_is_there(channel, own, expected=expected)
    if node == own.node:
        raise NodeDiffers("shake hands", reason="it is this node itself")
    signature = own.sign(check_nonce(nonce))
    begun_s = loop.time()
    proof = node_pb2.ClientAuthRequest(node_id=own.node, signature=signature)
    await _ask(channel, "ClientAuth", proof)
    return node, loop.time() - begun_s


class DialledReference:
    """A ``links.Carrier`` over the subscriptions that we open; it ends when any of them does."""

    def __init__(
        self, channel: grpc.aio.Channel, carrier: ReferenceCarrier, chain: ChainPort
    ) -> None:
        self._channel = channel
        self._carrier = carrier
        self._chain = chain
        self.put = carrier.put
        self.close = carrier.close

    @property
    def latency_s(self) -> float | None:
        """Of the handshake."""
        return self._carrier.latency_s

    @property
    def backlog_bytes(self) -> int:
        """As the carrier's."""
        return self._carrier.backlog_bytes

    async def run(self) -> None:
        """Never returns.

        Raises:
            StreamBroken: a subscription ended, or ``close`` was called.
            PeerFault: the node sent what is none of its messages.
        """
        carrier, chain = self._carrier, self._chain
        streams = [
            DialledStream(self._channel.stream_stream(f"{NODE}{name}Subscription")())
            for name in ("Block", "Fragment", "Gossip")
        ]
        blocks, fragments, gossip = streams
        try:
            async with asyncio.TaskGroup() as tasks:
                for work in (
                    self._write_headers(blocks),
                    read_all(blocks, self._hear_event),
                    write_fragments(fragments, carrier, chain),
                    read_fragments(fragments, carrier),
                    write_gossip(gossip, carrier),
                    read_gossip(gossip, carrier),
                    self._ask_for_blocks(),
                ):
                    tasks.create_task(work, name="reference_link")
                await carrier.run()
        except BaseExceptionGroup as group:
            raise cause_of_end(group) from None
        finally:
            for stream in streams:
                stream.close()

    # -- blocks that we have ------------------------------------------------------------------------

    async def _write_headers(self, stream: DialledStream) -> None:
        while True:
            item = await self._carrier.headers.next()
            async for header in self._chain.headers((item,)):
                await stream.write(types_pb2.Header(content=header).SerializeToString())

    async def _hear_event(self, data: bytes) -> None:
        """It announces a block, or wants of us what it cannot ask a dialer for otherwise."""
        event = decode(node_pb2.BlockEvent, data)
        match event.WhichOneof("item"):
            case "announce":
                self._carrier.hear_header(event.announce.content)
            case "solicit":
                await self._upload(ids_of(event.solicit.ids))
            case "missing":
                checkpoints = getattr(event.missing, "from")  # a word of Python
                await self._push_headers(
                    ids_of(checkpoints, count_max=CHECKPOINTS_MAX), id_of(event.missing.to)
                )
            case _:
                raise OverlayMessageInvalid("read block event", reason="it says nothing")

    async def _upload(self, items: Sequence[ItemId]) -> None:
        async def blocks() -> AsyncIterator[bytes]:
            for item in items:
                content = await self._chain.content(BLOCKS, item)
                if content is not None:
                    yield types_pb2.Block(content=content).SerializeToString()

        await self._send("UploadBlocks", blocks())

    async def _push_headers(self, checkpoints: Sequence[ItemId], to: ItemId) -> None:
        async def headers() -> AsyncIterator[bytes]:
            for page in path_pages(self._chain, checkpoints, to):
                async for header in self._chain.headers(page):
                    yield types_pb2.Header(content=header).SerializeToString()

        try:
            await self._send("PushHeaders", headers())
        except PathLost:  # what we announced is not our chain any more: there is newer news
            return

    async def _send(self, method: str, messages: AsyncIterator[bytes]) -> None:
        """One of the calls by which a dialer gives what it was asked for."""
        try:
            call = self._channel.stream_unary(NODE + method)
            await call(messages, timeout=TRANSFER_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise StreamBroken("give blocks", reason=reason_of(error)) from error

    # -- blocks that it has -------------------------------------------------------------------------

    async def _ask_for_blocks(self) -> None:
        while True:
            match await self._carrier.wishes.next():
                case Fetch(items):
                    request: Message = types_pb2.BlockIds(ids=items)
                    await self._hear_blocks("GetBlocks", request, len(items))
                case Pull(checkpoints):
                    request = node_pb2.PullBlocksToTipRequest(**{"from": checkpoints})
                    await self._hear_blocks("PullBlocksToTip", request, PULLED_MAX)
                    tip = await _ask(self._channel, "Tip", node_pb2.TipRequest())
                    self._carrier.hear_tip(decode(node_pb2.TipResponse, tip).block_header)

    async def _hear_blocks(self, method: str, request: Message, count_max: int) -> None:
        """Take so many of them; what it has not is announced again by whoever has it."""
        call = self._channel.unary_stream(NODE + method)(
            request.SerializeToString(), timeout=TRANSFER_TIMEOUT_S
        )
        count = size_bytes = 0
        try:
            async for data in call:
                content = decode(types_pb2.Block, data).content
                self._carrier.hear_block(content)
                count, size_bytes = count + 1, size_bytes + len(content)
                if count >= count_max or size_bytes >= CONTENT_MAX_BYTES:
                    break
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                raise StreamBroken("ask for blocks", reason=reason_of(error)) from error
        finally:
            call.cancel()


async def _ask(channel: grpc.aio.Channel, method: str, request: Message) -> bytes:
    """One question and its answer.

    Raises:
        StreamBroken: nobody answers, or with an error.
    """
    call = channel.unary_unary(NODE + method)
    try:
        return bytes(await call(request.SerializeToString(), timeout=QUESTION_TIMEOUT_S))
    except grpc.aio.AioRpcError as error:
        details = error.details()
        raise StreamBroken("ask node", reason=reason_of(error), details=details) from error
