"""A node of the reference, as its wire has it: written from the protocol alone, for it shares no code
with what it tries but the messages. It shakes hands, subscribes, and notes all that comes.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tetrarch.network.overlay.memory_chain import MemoryChain
from tetrarch.network.proto import node_pb2, types_pb2, watch_pb2

EPOCH_UNIX_S = 1_577_836_800
NODE = "/iohk.chain.node.Node/"
TOPICS = (bytes(32), b"\x01" * 32)


def record(key: Ed25519PrivateKey, time_s: int, ip: bytes, port: int) -> bytes:
    """As section 4.1 of its facts: two topics of normal interest, wrapped with its length."""
    said = (
        b"\x80\x02"
        + key.public_key().public_bytes_raw()
        + time_s.to_bytes(4, "big")
        + ip
        + port.to_bytes(2, "big")
        + b"".join(topic + b"\x03" for topic in TOPICS)
    )
    whole = said + key.sign(said)
    return len(whole).to_bytes(2, "big") + whole


class Calls:
    """Its side of a channel to a node, with messages for bytes."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    async def ask(self, method: str, request: Any, answer: Any, path: str = NODE) -> Any:
        call = self._channel.unary_unary(path + method)
        return answer.FromString(await call(request.SerializeToString(), timeout=10))

    async def ask_all(self, method: str, request: Any, answer: Any, path: str = NODE) -> list[Any]:
        call = self._channel.unary_stream(path + method)(request.SerializeToString(), timeout=10)
        return [answer.FromString(each) async for each in call]

    def follow(self, method: str, request: Any, path: str) -> Any:
        return self._channel.unary_stream(path + method)(request.SerializeToString())

    async def give(self, method: str, messages: list[Any]) -> None:
        async def each() -> AsyncIterator[bytes]:
            for message in messages:
                yield message.SerializeToString()

        await self._channel.stream_unary(NODE + method)(each(), timeout=10)

    def subscribe(self, name: str) -> Any:
        return self._channel.stream_stream(f"{NODE}{name}Subscription")()


class Visitor:
    """Dials a node, with a chain of its own."""

    def __init__(self, calls: Calls, chain: MemoryChain, key: Ed25519PrivateKey) -> None:
        self.calls = calls
        self.chain = chain
        self.key = key
        self.node = key.public_key().public_bytes_raw()
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        self.fragments: asyncio.Queue[bytes] = asyncio.Queue()
        self.gossip: asyncio.Queue[list[bytes]] = asyncio.Queue()

    async def shake_hands(self) -> Any:
        nonce = os.urandom(32)
        said = await self.calls.ask(
            "Handshake", node_pb2.HandshakeRequest(nonce=nonce), node_pb2.HandshakeResponse
        )
        assert said.version == 1
        assert said.block0 == self.chain.block0
        Ed25519PublicKey.from_public_bytes(said.node_id).verify(said.signature, nonce)
        await self.authenticate(said.nonce)
        return said

    async def authenticate(self, nonce: bytes, signature: bytes | None = None) -> None:
        if signature is None:
            signature = self.key.sign(nonce)
        request = node_pb2.ClientAuthRequest(node_id=self.node, signature=signature)
        await self.calls.ask("ClientAuth", request, node_pb2.ClientAuthResponse)

    def subscribe(self) -> None:
        self.blocks_out = self.calls.subscribe("Block")
        self.fragments_out = self.calls.subscribe("Fragment")
        self.gossip_out = self.calls.subscribe("Gossip")

    async def listen(self) -> None:
        async def events() -> None:
            async for data in self.blocks_out:
                await self.events.put(node_pb2.BlockEvent.FromString(data))

        async def fragments() -> None:
            async for data in self.fragments_out:
                await self.fragments.put(types_pb2.Fragment.FromString(data).content)

        async def gossip() -> None:
            async for data in self.gossip_out:
                await self.gossip.put(list(node_pb2.Gossip.FromString(data).nodes))

        with contextlib.suppress(grpc.aio.AioRpcError):
            await asyncio.gather(events(), fragments(), gossip())

    async def event(self, kind: str) -> Any:
        """The next event of a kind, whatever else comes."""
        async with asyncio.timeout(10):
            while True:
                event = await self.events.get()
                if event.WhichOneof("item") == kind:
                    return getattr(event, kind)

    async def announce(self, header: bytes) -> None:
        await self.blocks_out.write(types_pb2.Header(content=header).SerializeToString())


@contextlib.asynccontextmanager
async def visiting(address: object, chain: MemoryChain) -> AsyncIterator[Visitor]:
    """Connected, and not introduced yet."""
    async with grpc.aio.insecure_channel(str(address)) as channel:
        yield Visitor(Calls(channel), chain, Ed25519PrivateKey.generate())


@contextlib.asynccontextmanager
async def subscribed(address: object, chain: MemoryChain) -> AsyncIterator[Visitor]:
    """Introduced, with its three subscriptions."""
    async with visiting(address, chain) as visitor:
        await visitor.shake_hands()
        visitor.subscribe()
        listening = asyncio.create_task(visitor.listen())
        try:
            yield visitor
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening


__all__ = ["Calls", "Visitor", "record", "subscribed", "visiting", "watch_pb2"]
