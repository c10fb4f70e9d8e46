"""A node of the reference dials: handshake, subscriptions, and what goes along them."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.network.overlay.reference.other_node import record, subscribed, visiting
from tests.network.overlay.reference.support import blocks_of, plain_node, run
from tests.network.overlay.world import nodes_of, until

from tetrarch.network.overlay.memory_chain import INVALID, MemoryChain, make_block
from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS, NodeId, decode_profile
from tetrarch.network.proto import node_pb2, types_pb2

LOOPBACK = b"\x7f\x00\x00\x01"


async def code_of(call: Any) -> grpc.StatusCode:
    async with asyncio.timeout(10):
        code: grpc.StatusCode = await call.code()
        return code


def test_without_a_handshake_nobody_subscribes(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with plain_node(tmp_path) as node:
            async with visiting(node.overlay.addresses[0], MemoryChain()) as visitor:
                visitor.subscribe()
                for call in (visitor.blocks_out, visitor.fragments_out, visitor.gossip_out):
                    assert await code_of(call) is grpc.StatusCode.FAILED_PRECONDITION
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await visitor.calls.give("UploadBlocks", [types_pb2.Block(content=b"x")])
                assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
            assert not len(node.links)

    run(scenario())


def test_a_nonce_is_asked_for_first_and_of_use_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            plain_node(tmp_path) as node,
            visiting(node.overlay.addresses[0], MemoryChain()) as visitor,
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await visitor.authenticate(bytes(32))
            assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
            assert "perform handshake first" in str(caught.value.details())
            said = await visitor.shake_hands()
            assert said.node_id == node.node
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await visitor.authenticate(said.nonce)
            assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION

    run(scenario())


def test_a_false_signature_opens_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            plain_node(tmp_path) as node,
            visiting(node.overlay.addresses[0], MemoryChain()) as visitor,
        ):
            request = node_pb2.HandshakeRequest(nonce=b"n" * 32)
            await visitor.calls.ask("Handshake", request, node_pb2.HandshakeResponse)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await visitor.authenticate(b"", visitor.key.sign(b"another nonce"))
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            visitor.subscribe()
            assert await code_of(visitor.blocks_out) is grpc.StatusCode.FAILED_PRECONDITION

    run(scenario())


@pytest.mark.parametrize("size_bytes", [0, 31, 33, 200])
def test_nothing_but_a_nonce_is_ever_signed(tmp_path: Path, size_bytes: int) -> None:
    """Else a profile or a greeting could be had signed by whoever asks."""

    async def scenario() -> None:
        async with (
            plain_node(tmp_path) as node,
            visiting(node.overlay.addresses[0], MemoryChain()) as visitor,
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await visitor.calls.ask(
                    "Handshake",
                    node_pb2.HandshakeRequest(nonce=bytes(size_bytes)),
                    node_pb2.HandshakeResponse,
                )
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    run(scenario())


def test_gossip_goes_both_ways_and_it_becomes_a_known_node(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            plain_node(tmp_path) as node,
            subscribed(node.overlay.addresses[0], MemoryChain()) as visitor,
        ):
            own = NodeId(visitor.node)
            await until(lambda: own in node.links)
            assert own in node.nodes.guests
            heard = await asyncio.wait_for(visitor.gossip.get(), 10)
            assert node.node in [decode_profile(each[2:]).node for each in heard]
            now_s = int(node.overlay.now_s())
            said = record(visitor.key, now_s, LOOPBACK, 3999)
            message = node_pb2.Gossip(nodes=[said])
            await visitor.gossip_out.write(message.SerializeToString())
            await until(lambda: own in node.nodes.known)
            assert own not in node.nodes.guests
            assert node.nodes.known.profiles[own].address.port == 3999
            assert not node.nodes.known.profiles[own].is_extended

    run(scenario())


def test_a_record_that_its_node_did_not_sign_puts_the_teller_aside(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            plain_node(tmp_path) as node,
            subscribed(node.overlay.addresses[0], MemoryChain()) as visitor,
        ):
            own = NodeId(visitor.node)
            now_s = int(node.overlay.now_s())
            said = record(visitor.key, now_s, LOOPBACK, 3999)
            forged = record(Ed25519PrivateKey.generate(), now_s, LOOPBACK, 4000)
            forged = forged[:-64] + bytes(64)
            message = node_pb2.Gossip(nodes=[said, forged])
            await visitor.gossip_out.write(message.SerializeToString())
            await until(lambda: own in node.nodes.quarantined and own not in node.links)

    run(scenario())


def test_a_private_node_gets_what_all_get(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            plain_node(tmp_path) as node,
            subscribed(node.overlay.addresses[0], MemoryChain()) as visitor,
        ):
            own = NodeId(visitor.node)
            said = record(visitor.key, int(node.overlay.now_s()), LOOPBACK, 0)
            message = node_pb2.Gossip(nodes=[said])
            await visitor.gossip_out.write(message.SerializeToString())
            await until(lambda: own in node.overlay.machine.links(BLOCKS))
            assert own not in node.nodes.known
            begin = await visitor.event("announce")
            assert begin.content == node.chain.tip().header
            await node.make_block(b"news")
            announced = await visitor.event("announce")
            assert announced.content == node.chain.tip().header
            await node.overlay.propose_fragment(b"a fragment")
            assert await asyncio.wait_for(visitor.fragments.get(), 10) == b"a fragment"
        assert own not in node.nodes.guests

    run(scenario())


def test_what_it_brings_is_asked_for_and_taken(tmp_path: Path) -> None:
    async def scenario() -> None:
        theirs = MemoryChain()
        async with (
            plain_node(tmp_path) as node,
            subscribed(node.overlay.addresses[0], theirs) as visitor,
        ):
            await visitor.fragments_out.write(
                types_pb2.Fragment(content=b"a fragment").SerializeToString()
            )
            item = node.chain.item_id(FRAGMENTS, b"a fragment")
            await until(lambda: node.chain.has(FRAGMENTS, item))
            block = make_block(theirs.tip(), 1, b"theirs")
            await theirs.take(BLOCKS, block)
            await visitor.announce(theirs.tip().header)
            wanted = await visitor.event("solicit")
            assert list(wanted.ids) == [theirs.tip().block]
            await visitor.calls.give("UploadBlocks", [types_pb2.Block(content=block)])
            await until(lambda: node.chain.tip() == theirs.tip())
            conduct = node.nodes.conduct(NodeId(visitor.node))
            assert conduct is not None
            assert conduct.tip is not None
            assert conduct.tip.height == 1

    run(scenario())


def test_a_chain_that_is_ahead_is_fetched_through_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        theirs = MemoryChain()
        for number in range(200):
            await theirs.take(BLOCKS, make_block(theirs.tip(), number, b"theirs"))
        async with (
            plain_node(tmp_path) as node,
            subscribed(node.overlay.addresses[0], theirs) as visitor,
        ):
            await blocks_of(node, 2)  # a fork of its own
            await visitor.announce(theirs.tip().header)

            async def answer() -> None:
                while True:
                    event = await visitor.events.get()
                    match event.WhichOneof("item"):
                        case "missing":
                            wanted = event.missing
                            assert wanted.to == theirs.tip().block
                            path = theirs.path(
                                list(getattr(wanted, "from")), wanted.to, count_max=1000
                            )
                            headers = [
                                types_pb2.Header(content=each)
                                async for each in theirs.headers(path)
                            ]
                            await visitor.calls.give("PushHeaders", headers)
                        case "solicit":
                            blocks = [
                                await theirs.content(BLOCKS, each) for each in event.solicit.ids
                            ]
                            await visitor.calls.give(
                                "UploadBlocks",
                                [types_pb2.Block(content=each) for each in blocks],
                            )
                        case _:
                            pass

            answering = asyncio.create_task(answer())
            await until(lambda: node.chain.tip() == theirs.tip())
            answering.cancel()

    run(scenario())


def test_who_sends_an_invalid_block_is_put_aside_private_or_not(tmp_path: Path) -> None:
    async def scenario() -> None:
        theirs = MemoryChain()
        async with plain_node(tmp_path) as node:
            async with subscribed(node.overlay.addresses[0], theirs) as visitor:
                own = NodeId(visitor.node)
                await until(lambda: own in node.links)
                block = make_block(theirs.tip(), 1, INVALID)
                await visitor.calls.give("UploadBlocks", [types_pb2.Block(content=block)])
                await until(lambda: own in node.nodes.quarantined and own not in node.links)
            async with visiting(node.overlay.addresses[0], theirs) as again:
                again.key, again.node = visitor.key, visitor.node
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await again.shake_hands()
                assert "node_shut_out" in str(caught.value.details())

    run(scenario())


@pytest.mark.parametrize("which", ["blocks_out", "fragments_out", "gossip_out"])
def test_when_one_subscription_ends_the_link_does(tmp_path: Path, which: str) -> None:
    async def scenario() -> None:
        async with (
            plain_node(tmp_path) as node,
            subscribed(node.overlay.addresses[0], MemoryChain()) as visitor,
        ):
            await until(lambda: NodeId(visitor.node) in node.links)
            await asyncio.sleep(0.2)  # all three are there
            getattr(visitor, which).cancel()
            await until(lambda: not len(node.links))
            for call in (visitor.blocks_out, visitor.fragments_out, visitor.gossip_out):
                async with asyncio.timeout(10):
                    await call.code()

    run(scenario())


@pytest.mark.parametrize("which", ["blocks_out", "fragments_out", "gossip_out"])
def test_bytes_that_are_no_message_cost_points(tmp_path: Path, which: str) -> None:
    async def scenario() -> None:
        async with (
            plain_node(tmp_path) as node,
            subscribed(node.overlay.addresses[0], MemoryChain()) as visitor,
        ):
            own = NodeId(visitor.node)
            await until(lambda: own in node.links)
            await visitor.gossip_out.write(
                node_pb2.Gossip(
                    nodes=[record(visitor.key, int(node.overlay.now_s()), LOOPBACK, 3999)]
                ).SerializeToString()
            )
            await until(lambda: own in node.nodes.known)
            await getattr(visitor, which).write(b"\xff" * 9)
            await until(lambda: own not in node.links)
            conduct = node.nodes.conduct(own)
            assert conduct is not None
            assert [fault.label for _, fault in conduct.faults] == ["protocol"]

    run(scenario())


def test_who_offers_our_own_service_is_not_believed_along_this_one(tmp_path: Path) -> None:
    """Whoever stands between two nodes can pass for one of them here: so a better way is not given up."""

    async def scenario() -> None:
        first, second = nodes_of(tmp_path, 2, secured=False)
        async with first.running(), second.running():
            await until(lambda: second.node in first.nodes.known)
            async with visiting(first.overlay.addresses[0], MemoryChain()) as visitor:
                visitor.node = second.node
                visitor.key = second.overlay.identity.key
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await visitor.shake_hands()
                assert "overlay_node_differs" in str(caught.value.details())

    run(scenario())
