"""A node answers the reference's nodes and readers as the reference does, over a real socket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.network.overlay.reference.other_node import Calls, record, visiting
from tests.network.overlay.reference.support import blocks_of, plain_node, run
from tests.network.overlay.world import RULES, Node, nodes_of, until

from tetrarch.network.overlay.memory_chain import MemoryChain, make_block
from tetrarch.network.overlay.policy import PolicyRules
from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS, decode_profile
from tetrarch.network.overlay.reference.calls import QUESTIONS_AT_ONCE
from tetrarch.network.proto import node_pb2, types_pb2, watch_pb2

WATCH = "/iohk.chain.watch.Watch/"


@contextlib.asynccontextmanager
async def asking(node: Node) -> AsyncIterator[Calls]:
    async with visiting(node.overlay.addresses[0], MemoryChain()) as visitor:
        yield visitor.calls


def status_of(caught: pytest.ExceptionInfo[grpc.aio.AioRpcError]) -> grpc.StatusCode:
    return caught.value.code()


def test_tip_blocks_and_headers(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with plain_node(tmp_path) as node, asking(node) as calls:
            main = await blocks_of(node, 3)
            tip = await calls.ask("Tip", node_pb2.TipRequest(), node_pb2.TipResponse)
            assert tip.block_header == node.chain.tip().header
            request = types_pb2.BlockIds(ids=[main[3], main[1]])
            blocks = await calls.ask_all("GetBlocks", request, types_pb2.Block)
            assert [each.content for each in blocks] == [
                await node.chain.content(BLOCKS, main[3]),
                await node.chain.content(BLOCKS, main[1]),
            ]
            headers = await calls.ask_all("GetHeaders", request, types_pb2.Header)
            assert headers[0].content == node.chain.tip().header

    run(scenario())


def test_fragments_are_answered(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with plain_node(tmp_path) as node, asking(node) as calls:
            await node.overlay.propose_fragment(b"a fragment")
            item = node.chain.item_id(FRAGMENTS, b"a fragment")
            request = types_pb2.FragmentIds(ids=[item])
            got = await calls.ask_all("GetFragments", request, types_pb2.Fragment)
            assert [each.content for each in got] == [b"a fragment"]

    run(scenario())


def test_pulls_go_from_the_first_checkpoint_that_is_on_the_chain(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with plain_node(tmp_path) as node, asking(node) as calls:
            main = await blocks_of(node, 150)  # more than a page
            since = [b"?" * 32, main[2], main[1]]
            headers = await calls.ask_all(
                "PullHeaders",
                node_pb2.PullHeadersRequest(**{"from": since, "to": main[140]}),  # type: ignore[arg-type]
                types_pb2.Header,
            )
            assert [node.chain.read_header(each.content).block for each in headers] == main[3:141]
            blocks = await calls.ask_all(
                "PullBlocks",
                node_pb2.PullBlocksRequest(**{"from": since, "to": main[4]}),  # type: ignore[arg-type]
                types_pb2.Block,
            )
            assert [node.chain.item_id(BLOCKS, each.content) for each in blocks] == main[3:5]
            blocks = await calls.ask_all(
                "PullBlocksToTip",
                node_pb2.PullBlocksToTipRequest(**{"from": since}),
                types_pb2.Block,
            )
            assert [node.chain.item_id(BLOCKS, each.content) for each in blocks] == main[3:]

    run(scenario())


@pytest.mark.parametrize(
    ("method", "request_", "status"),
    [
        ("GetBlocks", types_pb2.BlockIds(ids=[b"x" * 31]), grpc.StatusCode.INVALID_ARGUMENT),
        ("GetBlocks", types_pb2.BlockIds(ids=[b"x" * 32]), grpc.StatusCode.NOT_FOUND),
        ("GetBlocks", types_pb2.BlockIds(ids=[b"x" * 32] * 1025), grpc.StatusCode.INVALID_ARGUMENT),
        ("GetHeaders", types_pb2.BlockIds(ids=[b"x" * 32]), grpc.StatusCode.NOT_FOUND),
        ("GetFragments", types_pb2.FragmentIds(ids=[b"x" * 32]), grpc.StatusCode.NOT_FOUND),
        ("PullHeaders", node_pb2.PullHeadersRequest(to=b"x" * 32), grpc.StatusCode.NOT_FOUND),
        ("PullHeaders", node_pb2.PullHeadersRequest(), grpc.StatusCode.INVALID_ARGUMENT),
        (
            "PullBlocksToTip",
            node_pb2.PullBlocksToTipRequest(**{"from": [b"x" * 32]}),
            grpc.StatusCode.NOT_FOUND,
        ),
    ],
)
def test_what_is_not_here_or_no_question_is_an_error(
    tmp_path: Path, method: str, request_: Any, status: grpc.StatusCode
) -> None:
    async def scenario() -> None:
        async with plain_node(tmp_path) as node, asking(node) as calls:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await calls.ask_all(method, request_, types_pb2.Block)
            assert status_of(caught) is status

    run(scenario())


def test_one_address_asks_only_so_often(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with plain_node(tmp_path) as node, asking(node) as calls:

            async def ask(times: int) -> None:
                for _ in range(times):
                    await calls.ask("Tip", node_pb2.TipRequest(), node_pb2.TipResponse)

            await ask(int(QUESTIONS_AT_ONCE))
            with pytest.raises(grpc.aio.AioRpcError, match="too_often") as caught:
                await ask(int(QUESTIONS_AT_ONCE))
            assert status_of(caught) is grpc.StatusCode.RESOURCE_EXHAUSTED
            await ask(1)  # half a second later

    run(scenario())


def test_a_method_that_there_is_not_is_unimplemented(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with plain_node(tmp_path) as node, asking(node) as calls:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await calls.ask("Nothing", node_pb2.TipRequest(), node_pb2.TipResponse)
            assert status_of(caught) is grpc.StatusCode.UNIMPLEMENTED

    run(scenario())


def test_peers_are_ourselves_and_those_that_others_can_dial(tmp_path: Path) -> None:
    async def scenario() -> None:
        first, second = nodes_of(tmp_path, 2, secured=False)
        async with first.running(), second.running(), asking(second) as calls:
            await until(lambda: first.node in second.nodes.known)
            request = node_pb2.PeersRequest(limit=32)
            told = await calls.ask("Peers", request, node_pb2.PeersResponse)
            read = [decode_profile(each[2:]).node for each in told.peers]
            assert read == [second.node, first.node]
            request = node_pb2.PeersRequest(limit=1)
            told = await calls.ask("Peers", request, node_pb2.PeersResponse)
            assert len(told.peers) == 1

    run(scenario())


def test_readers_hear_of_new_blocks_and_of_the_tip(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with plain_node(tmp_path) as node, asking(node) as calls:
            tips = calls.follow("TipSubscription", watch_pb2.TipSubscriptionRequest(), WATCH)
            first = types_pb2.Header.FromString(await tips.read())
            assert first.content == node.chain.tip().header
            blocks = calls.follow("BlockSubscription", watch_pb2.BlockSubscriptionRequest(), WATCH)
            await asyncio.sleep(0.2)  # it is there
            await node.make_block(b"one")
            got = types_pb2.Block.FromString(await blocks.read())
            assert got.content.endswith(b"one")
            assert types_pb2.Header.FromString(await tips.read()).content == node.chain.tip().header
            blocks.cancel()
            tips.cancel()

    run(scenario())


def test_a_reader_that_lags_is_told_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with plain_node(tmp_path) as node, asking(node) as calls:
            blocks = calls.follow("BlockSubscription", watch_pb2.BlockSubscriptionRequest(), WATCH)
            await asyncio.sleep(0.2)
            for number in range(60):  # some of them fit into the sockets between
                await node.make_block(bytes(1_000_000), number)
            with contextlib.suppress(grpc.aio.AioRpcError):
                while await blocks.read() is not grpc.aio.EOF:
                    pass
            assert await blocks.code() is grpc.StatusCode.ABORTED

    run(scenario())


def test_readers_get_all_branches_parents_first(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with plain_node(tmp_path) as node, asking(node) as calls:
            first = node.chain.tip()
            main = await blocks_of(node, 3)
            fork = make_block(first, 9, b"fork")
            await node.overlay.propose_block(fork)
            request = watch_pb2.SyncMultiverseRequest(**{"from": [main[1]]})
            got = await calls.ask_all("SyncMultiverse", request, types_pb2.Block, WATCH)
            items = [node.chain.item_id(BLOCKS, each.content) for each in got]
            assert items == [main[2], main[3], node.chain.item_id(BLOCKS, fork)]

    run(scenario())


def test_questions_at_once_are_bounded_by_address(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with plain_node(tmp_path) as node, asking(node) as calls:
            follow = []
            for _ in range(4):
                call = calls.follow("TipSubscription", watch_pb2.TipSubscriptionRequest(), WATCH)
                assert await call.read()
                follow.append(call)
            fifth = calls.follow("TipSubscription", watch_pb2.TipSubscriptionRequest(), WATCH)
            assert await fifth.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            follow[0].cancel()
            await asyncio.sleep(0.2)
            again = calls.follow("TipSubscription", watch_pb2.TipSubscriptionRequest(), WATCH)
            assert await again.read()
            for each in (*follow, again):
                each.cancel()

    run(scenario())


def test_a_secured_node_has_no_use_for_nodes_without_tls(tmp_path: Path) -> None:
    rules = replace(RULES, policy=PolicyRules(private_addresses=True, plain_nodes=False))
    (node,) = nodes_of(tmp_path, 1, rules=rules)
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    wrapped = record(
        Ed25519PrivateKey.generate(), int(node.overlay.now_s()), b"\x7f\x00\x00\x01", 3000
    )
    profile = decode_profile(wrapped[2:])
    node.nodes.hear(profile, node.node, now_s=node.overlay.now_s())
    assert profile.node not in node.nodes.known
