"""We dial a node of the reference: one that is scripted, and one of our own that talks as it does."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from tests.network.overlay.reference.other_node import record
from tests.network.overlay.reference.support import run
from tests.network.overlay.world import Node, nodes_of, until

from tetrarch.network.overlay.addresses import Address
from tetrarch.network.overlay.memory_chain import MemoryChain, make_block
from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS, NodeId
from tetrarch.network.overlay.settings import TrustedPeer
from tetrarch.network.overlay.spreading import ItemId
from tetrarch.network.proto import node_pb2, types_pb2

LOOPBACK = ip_address("127.0.0.1")


class Host:
    """Accepts one dialer, as a node of the reference does; its answers can be made wrong."""

    def __init__(self, chain: MemoryChain) -> None:
        self.chain = chain
        self.key = Ed25519PrivateKey.generate()
        self.node = self.key.public_key().public_bytes_raw()
        self.answer: dict[str, Any] = {}
        self.client = b""
        self.headers: asyncio.Queue[bytes] = asyncio.Queue()
        self.uploads: asyncio.Queue[bytes] = asyncio.Queue()
        self.pushed: asyncio.Queue[bytes] = asyncio.Queue()
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        self.fragments: asyncio.Queue[bytes] = asyncio.Queue()
        self.ends = asyncio.Event()

    def handlers(self) -> grpc.GenericRpcHandler:
        return grpc.method_handlers_generic_handler(
            "iohk.chain.node.Node",
            {
                "Handshake": grpc.unary_unary_rpc_method_handler(self.handshake),
                "ClientAuth": grpc.unary_unary_rpc_method_handler(self.authenticate),
                "Tip": grpc.unary_unary_rpc_method_handler(self.tip),
                "GetBlocks": grpc.unary_stream_rpc_method_handler(self.get_blocks),
                "PullBlocksToTip": grpc.unary_stream_rpc_method_handler(self.pull),
                "BlockSubscription": grpc.stream_stream_rpc_method_handler(self.blocks),
                "FragmentSubscription": grpc.stream_stream_rpc_method_handler(self.all_fragments),
                "GossipSubscription": grpc.stream_stream_rpc_method_handler(self.gossip),
                "UploadBlocks": grpc.stream_unary_rpc_method_handler(self.upload),
                "PushHeaders": grpc.stream_unary_rpc_method_handler(self.push),
            },
        )

    async def handshake(self, data: bytes, _: Any) -> bytes:
        nonce = node_pb2.HandshakeRequest.FromString(data).nonce
        said: dict[str, Any] = {
            "version": 1,
            "block0": self.chain.block0,
            "node_id": self.node,
            "signature": self.key.sign(nonce),
            "nonce": b"s" * 32,
        }
        return node_pb2.HandshakeResponse(**(said | self.answer)).SerializeToString()

    async def authenticate(self, data: bytes, _: Any) -> bytes:
        said = node_pb2.ClientAuthRequest.FromString(data)
        Ed25519PublicKey.from_public_bytes(said.node_id).verify(said.signature, b"s" * 32)
        self.client = said.node_id
        return b""

    async def tip(self, _data: bytes, _: Any) -> bytes:
        header = self.chain.tip().header
        return node_pb2.TipResponse(block_header=header).SerializeToString()

    async def get_blocks(self, data: bytes, _: Any) -> AsyncIterator[bytes]:
        for item in types_pb2.BlockIds.FromString(data).ids:
            content = await self.chain.content(BLOCKS, ItemId(item))
            yield types_pb2.Block(content=content).SerializeToString()

    async def pull(self, data: bytes, _: Any) -> AsyncIterator[bytes]:
        since = list(getattr(node_pb2.PullBlocksToTipRequest.FromString(data), "from"))
        for item in self.chain.path(since, None, count_max=10_000):
            content = await self.chain.content(BLOCKS, item)
            yield types_pb2.Block(content=content).SerializeToString()

    async def blocks(self, requests: Any, context: Any) -> None:
        async def read() -> None:
            async for data in requests:
                await self.headers.put(types_pb2.Header.FromString(data).content)

        reading = asyncio.create_task(read())
        try:
            while not self.ends.is_set():
                with contextlib.suppress(TimeoutError):
                    event = await asyncio.wait_for(self.events.get(), 0.05)
                    await context.write(event.SerializeToString())
        finally:
            reading.cancel()

    async def all_fragments(self, requests: Any, context: Any) -> None:
        await context.write(types_pb2.Fragment(content=b"theirs").SerializeToString())
        async for data in requests:
            await self.fragments.put(types_pb2.Fragment.FromString(data).content)

    async def gossip(self, requests: Any, context: Any) -> None:
        await context.write(node_pb2.Gossip(nodes=[self.record]).SerializeToString())
        async for _ in requests:
            pass

    async def upload(self, requests: Any, _: Any) -> bytes:
        async for data in requests:
            await self.uploads.put(types_pb2.Block.FromString(data).content)
        return b""

    async def push(self, requests: Any, _: Any) -> bytes:
        async for data in requests:
            await self.pushed.put(types_pb2.Header.FromString(data).content)
        return b""

    @contextlib.asynccontextmanager
    async def listening(self, now_s: float) -> AsyncIterator[TrustedPeer]:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((self.handlers(),))
        port = server.add_insecure_port("127.0.0.1:0")
        self.record = record(self.key, int(now_s), LOOPBACK.packed, port)
        await server.start()
        try:
            yield TrustedPeer(address=Address(LOOPBACK, port), is_extended=False, secured=False)
        finally:
            await server.stop(0)


@contextlib.asynccontextmanager
async def linked(folder: Path, host: Host) -> AsyncIterator[Node]:
    (made,) = nodes_of(folder, 1, secured=False)
    async with host.listening(made.overlay.now_s()) as peer:
        (node,) = nodes_of(folder, 1, secured=False, trusted=(peer,))
        async with node.running():
            await until(lambda: NodeId(host.node) in node.links)
            yield node


async def got(queue: asyncio.Queue[Any]) -> Any:
    return await asyncio.wait_for(queue.get(), 10)


def test_it_is_met_known_and_its_chain_fetched(tmp_path: Path) -> None:
    async def scenario() -> None:
        theirs = MemoryChain()
        for number in range(150):  # more than one pull brings
            await theirs.take(BLOCKS, make_block(theirs.tip(), number, b"theirs"))
        host = Host(theirs)
        async with linked(tmp_path, host) as node:
            assert host.client == node.node
            await until(lambda: NodeId(host.node) in node.nodes.known)
            assert node.links.latency_s(NodeId(host.node)) is not None
            await host.events.put(
                node_pb2.BlockEvent(announce=types_pb2.Header(content=theirs.tip().header))
            )
            await until(lambda: node.chain.tip() == theirs.tip())
            item = node.chain.item_id(FRAGMENTS, b"theirs")
            assert node.chain.has(FRAGMENTS, item)

    run(scenario())


def test_a_block_that_it_announces_is_asked_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        theirs = MemoryChain()
        host = Host(theirs)
        async with linked(tmp_path, host) as node:
            await theirs.take(BLOCKS, make_block(theirs.tip(), 1, b"theirs"))
            await host.events.put(
                node_pb2.BlockEvent(announce=types_pb2.Header(content=theirs.tip().header))
            )
            await until(lambda: node.chain.tip() == theirs.tip())

    run(scenario())


def test_it_gets_our_news_and_what_it_wants_of_them(tmp_path: Path) -> None:
    async def scenario() -> None:
        host = Host(MemoryChain())
        async with linked(tmp_path, host) as node:
            await until(lambda: NodeId(host.node) in node.overlay.machine.links(BLOCKS))
            for number in range(3):
                await node.make_block(b"ours", number)
            tip = node.chain.tip()
            while await got(host.headers) != tip.header:
                pass
            await node.overlay.propose_fragment(b"ours")
            assert await got(host.fragments) == b"ours"
            wanted = types_pb2.BlockIds(ids=[tip.block])
            await host.events.put(node_pb2.BlockEvent(solicit=wanted))
            assert await got(host.uploads) == await node.chain.content(BLOCKS, tip.block)
            missing = node_pb2.PullHeadersRequest(to=tip.block)
            getattr(missing, "from").append(node.chain.block0)
            await host.events.put(node_pb2.BlockEvent(missing=missing))
            pushed = [await got(host.pushed) for _ in range(3)]
            assert pushed[-1] == tip.header

    run(scenario())


def test_when_it_ends_a_subscription_the_link_ends(tmp_path: Path) -> None:
    async def scenario() -> None:
        host = Host(MemoryChain())
        async with linked(tmp_path, host) as node:
            host.ends.set()
            await until(lambda: NodeId(host.node) not in node.links)

    run(scenario())


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"version": 2}, "overlay_version_differs"),
        ({"block0": b"x" * 32}, "overlay_chain_differs"),
        ({"signature": bytes(64)}, "overlay_greeting_invalid"),
        ({"node_id": b"x" * 32}, "overlay_greeting_invalid"),
        ({"node_id": b"x" * 5}, "overlay_greeting_invalid"),
        ({"nonce": b"n" * 33}, "overlay_greeting_invalid"),
    ],
)
def test_who_is_not_whom_we_look_for_is_left(
    tmp_path: Path, answer: dict[str, Any], code: str
) -> None:
    async def scenario() -> None:
        host = Host(MemoryChain())
        host.answer = answer
        (made,) = nodes_of(tmp_path, 1, secured=False)
        async with host.listening(made.overlay.now_s()) as peer:
            (node,) = nodes_of(tmp_path, 1, secured=False, trusted=(peer,))
            async with node.running():
                await until(lambda: code in node.text.getvalue())
                assert not len(node.links)
                assert not host.client

    run(scenario())


def test_another_node_than_the_trusted_one_is_left(tmp_path: Path) -> None:
    async def scenario() -> None:
        host = Host(MemoryChain())
        (made,) = nodes_of(tmp_path, 1, secured=False)
        async with host.listening(made.overlay.now_s()) as peer:
            named = replace(peer, node=NodeId(b"n" * 32))
            (node,) = nodes_of(tmp_path, 1, secured=False, trusted=(named,))
            async with node.running():
                await until(lambda: "overlay_node_differs" in node.text.getvalue())
                assert not host.client

    run(scenario())


def test_nodes_that_talk_as_the_reference_does_make_one_network_with_others(tmp_path: Path) -> None:
    """One of three offers nothing but the reference's service; items come and go through it."""

    async def scenario() -> None:
        first, second, third = nodes_of(tmp_path, 3, secured=False)
        alone = replace(second.overlay.settings, is_extended=False)
        alone = replace(
            alone, trusted=tuple(replace(each, is_extended=False) for each in alone.trusted)
        )
        second = Node(tmp_path / "alone", alone, MemoryChain())
        last = replace(
            third.overlay.settings,
            trusted=(TrustedPeer(address=alone.listen[0], is_extended=False, secured=False),),
        )
        third = Node(tmp_path / "last", last, MemoryChain())
        async with first.running(), second.running():
            # It talks with the first as a stranger does: nobody knows yet that the first offers more.
            await until(lambda: second.node in first.nodes.known)
            async with third.running():
                await until(lambda: first.node in third.nodes.known)
                await second.make_block(b"of the second", 1)
                await until(lambda: third.chain.tip() == second.chain.tip())
                await until(lambda: first.chain.tip() == second.chain.tip())
                await third.make_block(b"of the third", 2)
                await until(lambda: second.chain.tip() == third.chain.tip())
                await second.overlay.propose_fragment(b"a fragment")
                item = first.chain.item_id(FRAGMENTS, b"a fragment")
                await until(lambda: first.chain.has(FRAGMENTS, item))
                assert not first.nodes.quarantined
                assert not third.nodes.quarantined

    run(scenario())
