"""Goal: nodes that know one of them find each other, agree on a chain, and shut out who lies.

Method: whole nodes in one process, real sockets, TLS, signatures; a chain in memory.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import pytest
from tests.network.overlay.world import LOOPBACK, RULES, Node, nodes_of, until
from tests.ports import free_ports

from tetrarch.errors import ListenFailed
from tetrarch.network.overlay.addresses import Address
from tetrarch.network.overlay.connections import accepted
from tetrarch.network.overlay.doors import DoorLimits
from tetrarch.network.overlay.memory_chain import INVALID, MemoryChain, make_block
from tetrarch.network.overlay.messages import (
    PULLED_MAX,
    Item,
    Kind,
    Records,
    encode_gossip,
    encode_item,
)
from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS, NodeId, Topic
from tetrarch.network.overlay.settings import OverlaySettings, TrustedPeer
from tetrarch.network.overlay.spreading import SpreadRules


async def started(stack: AsyncExitStack, nodes: list[Node]) -> None:
    for node in nodes:
        await stack.enter_async_context(node.running())


def all_know_all(nodes: list[Node]) -> bool:
    return all(len(node.nodes.known) == len(nodes) - 1 for node in nodes)


def all_linked(nodes: list[Node]) -> bool:
    return all(len(node.links) == len(nodes) - 1 for node in nodes)


@pytest.mark.parametrize("secured", [True, False], ids=["TLS", "plain"])
def test_nodes_find_each_other_and_a_block_reaches_all(tmp_path: Path, secured: bool) -> None:
    async def main() -> None:
        nodes = nodes_of(tmp_path, 6, secured=secured)
        async with AsyncExitStack() as stack:
            await started(stack, nodes)
            await until(lambda: all_know_all(nodes) and all_linked(nodes))
            for size_bytes in (100, 100_000, 1_000_000):
                await nodes[-1].make_block(bytes(size_bytes))
                await until(lambda: len({node.height for node in nodes}) == 1)
            fragment = b"a payment"
            await nodes[2].overlay.propose_fragment(fragment)
            item = nodes[2].chain.item_id(FRAGMENTS, fragment)
            await until(lambda: all(node.chain.has(FRAGMENTS, item) for node in nodes))
            assert all("Traceback" not in node.text.getvalue() for node in nodes)
            contributions = [node.nodes.conduct(nodes[-1].node) for node in nodes[:-1]]
            assert sum(conduct.contributions for conduct in contributions if conduct) > 0
            assert all(
                node.links.latency_s(other) is not None for node in nodes for other in node.links
            )

    asyncio.run(main())


def test_who_dialled_each_other_at_once_keep_one_connection(tmp_path: Path) -> None:
    async def main() -> None:
        nodes = nodes_of(tmp_path, 6)
        ports = {node.overlay.addresses[0].port for node in nodes}
        async with AsyncExitStack() as stack:
            await started(stack, nodes)
            await until(lambda: all_know_all(nodes) and all_linked(nodes))
            await until(lambda: len(accepted(ports)) == 6 * 5 // 2, timeout_s=5.0)

    asyncio.run(main())


def test_who_comes_later_catches_up_and_tells_nobody_old_news(tmp_path: Path) -> None:
    """What is a few seconds old is news still, and told to who comes; here that is less than one."""
    late_for_s = 0.2

    async def main() -> None:
        rules = replace(RULES, spread=SpreadRules(late_for_s=late_for_s))
        nodes = nodes_of(tmp_path, 3, rules=rules)
        async with AsyncExitStack() as stack:
            await started(stack, nodes[:2])
            for number in range(150):  # more than one answer holds
                await nodes[0].make_block(b"%d" % number)
            await until(lambda: nodes[1].height == 150)
            await asyncio.sleep(2 * late_for_s)
            received = dict(nodes[0].meters.received)
            await started(stack, nodes[2:])
            await until(lambda: nodes[2].height == 150)
            assert nodes[2].chain.tip() == nodes[0].chain.tip()
            await asyncio.sleep(0.5)
            came = nodes[0].meters.received.get(Kind.ITEM, 0) - received.get(Kind.ITEM, 0)
            assert came <= 1, "the end of the chain that it pulled is all that it may publish"

    asyncio.run(main())


def test_large_blocks_are_caught_up_with_too(tmp_path: Path) -> None:
    """More of them in one answer than a link's outbox holds, which lets the oldest go."""

    async def main() -> None:
        nodes = nodes_of(tmp_path, 2)
        content = bytes(1_000_000)
        for number in range(40):
            await nodes[0].chain.take(BLOCKS, make_block(nodes[0].chain.tip(), number, content))
        async with AsyncExitStack() as stack:
            await started(stack, nodes)
            await until(lambda: nodes[1].height == 40)
            assert nodes[1].chain.tip() == nodes[0].chain.tip()
            assert not nodes[0].nodes.quarantined
            assert not nodes[1].nodes.quarantined

    asyncio.run(main())


@pytest.mark.parametrize(("longer", "shorter"), [(5, 3), (3 * PULLED_MAX, 2 * PULLED_MAX + 7)])
def test_a_longer_fork_is_taken_over(tmp_path: Path, longer: int, shorter: int) -> None:
    """Even one of which a whole answer is shorter than ours."""

    async def main() -> None:
        nodes = nodes_of(tmp_path, 2)
        for number in range(longer):
            await nodes[0].chain.take(BLOCKS, make_block(nodes[0].chain.tip(), 1, b"%d" % number))
        for number in range(shorter):
            await nodes[1].chain.take(BLOCKS, make_block(nodes[1].chain.tip(), 2, b"%d" % number))
        async with AsyncExitStack() as stack:
            await started(stack, nodes)
            await until(lambda: nodes[1].height == longer)
            assert nodes[1].chain.tip() == nodes[0].chain.tip()

    asyncio.run(main())


def test_who_is_gone_is_noticed_and_a_restarted_one_is_back(tmp_path: Path) -> None:
    async def main() -> None:
        nodes = nodes_of(tmp_path, 4)
        async with AsyncExitStack() as stack:
            await started(stack, nodes[:3])
            async with nodes[3].running():
                await until(lambda: all_know_all(nodes) and all_linked(nodes))
            await until(lambda: all(nodes[3].node in node.nodes.quarantined for node in nodes[:3]))
            await nodes[0].make_block(b"without it")
            await until(lambda: all(node.height == 1 for node in nodes[:3]))
            again = nodes_of(tmp_path, 4)[3]  # the same folder: the same key, on another port
            trusted = TrustedPeer(address=nodes[0].overlay.addresses[0])
            again = Node(tmp_path / "3", _trusting(again, trusted), MemoryChain())
            async with again.running():
                everybody = [*nodes[:3], again]
                await until(lambda: all_know_all(everybody) and again.height == 1)
                assert all(again.node not in node.nodes.quarantined for node in nodes[:3])

    asyncio.run(main())


def said(node: Node, text: str) -> bool:
    return text in node.text.getvalue()


def _trusting(node: Node, peer: TrustedPeer) -> OverlaySettings:
    return replace(node.overlay.settings, trusted=(peer,))


@pytest.mark.parametrize("wrong", ["block", "signature", "kind", "sender", "topic"])
def test_who_lies_is_shut_out_by_whoever_hears_it(tmp_path: Path, wrong: str) -> None:
    async def main() -> None:
        nodes = nodes_of(tmp_path, 4)
        liar, honest = nodes[3], nodes[:3]
        async with AsyncExitStack() as stack:
            await started(stack, nodes)
            await until(lambda: all_know_all(nodes) and all_linked(nodes))
            record = liar.overlay.profile.record
            block = make_block(liar.chain.tip(), 9, INVALID)
            kind, payload = {
                "block": (Kind.ITEM, encode_item(Item(BLOCKS, block))),
                "signature": (
                    Kind.GOSSIP,
                    encode_gossip(Records(record, (), (record[:-1] + bytes([record[-1] ^ 1]),))),
                ),
                "kind": (99, b"?"),
                "sender": (
                    Kind.GOSSIP,
                    encode_gossip(Records(honest[0].overlay.profile.record, (), ())),
                ),
                "topic": (Kind.ITEM, encode_item(Item(Topic(b"t" * 32), b"content"))),
            }[wrong]

            def all_shut_it_out() -> bool:
                for node in honest:  # what may be an accident is forgiven once
                    if liar.node not in node.nodes.quarantined:
                        liar.links.send(node.node, kind, payload)
                return all(liar.node in node.nodes.quarantined for node in honest)

            await until(all_shut_it_out)
            await until(lambda: all(liar.node not in node.links for node in honest))
            await honest[0].make_block(b"and all goes on")
            await until(lambda: all(node.height == 1 for node in honest))
            # It dials again and again.
            await until(lambda: any(said(node, "overlay_node_shut_out") for node in honest))
            assert liar.height == 0
            assert all("Traceback" not in node.text.getvalue() for node in honest)

    asyncio.run(main())


def test_a_node_without_room_is_not_one_that_cannot_be_reached(tmp_path: Path) -> None:
    """Else whoever fills a node's places would have all others put it aside."""

    async def main() -> None:
        node, full = nodes_of(tmp_path, 2, trusted=(), doors=DoorLimits(callers_max=0))
        async with node.running(), full.running():
            profile, now_s = full.overlay.profile, node.overlay.now_s()
            node.overlay.machine.take_profiles([profile], profile.node, now_s=now_s)
            node.nodes.met(profile.node, now_s=now_s)
            for _ in range(3):
                await node.overlay._dials._dial_known(profile)
            assert full.node not in node.nodes.quarantined
            conduct = node.nodes.conduct(full.node)
            assert conduct is not None
            assert not conduct.failures_s
            assert full.node in node.overlay._dials._redials, "it is dialled less and less often"

    asyncio.run(main())


def test_nodes_of_another_chain_are_refused_by_name(tmp_path: Path) -> None:
    async def main() -> None:
        one, other = nodes_of(tmp_path, 2)
        other = Node(tmp_path / "1", other.overlay.settings, MemoryChain(b"another"))
        async with one.running(), other.running():
            await until(lambda: "overlay_chain_differs" in one.text.getvalue())
            assert one.chain.block0.hex() in one.text.getvalue()
            assert other.chain.block0.hex() in one.text.getvalue()
            await asyncio.sleep(0.2)
            assert (len(one.links), len(other.links)) == (0, 0)

    asyncio.run(main())


def test_a_trusted_peer_with_another_certificate_or_key_is_not_talked_with(tmp_path: Path) -> None:
    async def main() -> None:
        first, second, third = nodes_of(tmp_path, 3)
        address = first.overlay.addresses[0]
        for place, peer in enumerate(
            (
                TrustedPeer(address=address, certificate=b"x" * 32),
                TrustedPeer(address=address, node=third.node),
            )
        ):
            node = Node(tmp_path / str(place + 1), _trusting(second, peer), MemoryChain())
            async with first.running() as again, node.running():
                code = ("overlay_certificate_not_pinned", "overlay_node_differs")[place]
                await until(partial(said, node, code))
                assert len(again.links) == 0
            first, *_ = [Node(tmp_path / "0", first.overlay.settings, MemoryChain())]

    asyncio.run(main())


def test_a_taken_address_is_said(tmp_path: Path) -> None:
    async def main() -> None:
        (node,) = nodes_of(tmp_path, 1)
        taken = node.overlay.addresses[0]
        server = await asyncio.start_server(lambda *_: None, str(taken.ip), taken.port)
        with pytest.raises(BaseExceptionGroup) as caught:
            async with node.running():
                raise AssertionError
        assert isinstance(caught.value.exceptions[0], ListenFailed)
        server.close()

    asyncio.run(main())


def test_ipv6_and_several_addresses(tmp_path: Path) -> None:
    async def main() -> None:
        ports = free_ports(3)
        v6 = Address(ip_address("::1"), ports[0])
        listen = (Address(LOOPBACK, ports[1]), v6)
        (first,) = nodes_of(tmp_path, 1, listen=listen, public=v6)
        second_address = Address(LOOPBACK, ports[2])
        (second,) = nodes_of(
            tmp_path / "other",
            1,
            listen=(second_address,),
            public=second_address,
            trusted=(TrustedPeer(address=v6),),
        )
        async with first.running(), second.running():
            await until(lambda: all_know_all([first, second]))
            assert first.node in second.links
            assert second.nodes.known.profiles[first.node].address == v6

    (tmp_path / "other").mkdir()
    asyncio.run(main())


def test_one_may_be_asked_for_its_chain(tmp_path: Path) -> None:
    async def main() -> None:
        one, two = nodes_of(tmp_path, 2)
        async with one.running(), two.running():
            assert not one.overlay.sync_to_tip(NodeId(b"?" * 32))
            await until(lambda: two.node in one.links)
            for number in range(100):  # more than one answer holds; taken by nobody's network
                await two.chain.take(BLOCKS, make_block(two.chain.tip(), number, b"x"))
            assert one.overlay.sync_to_tip(two.node)
            await until(lambda: one.chain.tip() == two.chain.tip())

    asyncio.run(main())


def test_how_long_a_node_takes_to_answer_is_part_of_its_conduct(tmp_path: Path) -> None:
    async def main() -> None:
        one, two = nodes_of(tmp_path, 2)
        async with one.running(), two.running():

            def measured() -> bool:
                conduct = one.nodes.conduct(two.node)
                return conduct is not None and conduct.latency_s is not None

            await until(measured)

    asyncio.run(main())
