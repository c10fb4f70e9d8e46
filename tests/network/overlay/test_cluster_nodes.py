"""Nodes of a cluster find each other on the overlay by the mesh alone."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from tests.network.overlay.world import Node, nodes_of, until

from tetrarch.network.overlay.cluster_nodes import ClusterNodes
from tetrarch.network.overlay.empty_chain import EmptyChain
from tetrarch.network.overlay.layers.privileged import Privileged
from tetrarch.network.overlay.memory_chain import MemoryChain
from tetrarch.network.requests import PeerSilent, Requests, Subject
from tetrarch.observability.logs import SilentLog

Answerer = Callable[[int, bytes], Awaitable[bytes | None]]


class FakeRequests:
    """The mesh's questions between nodes of one process; who is not here is silent."""

    def __init__(self, own: int, all_: dict[int, "FakeRequests"]) -> None:
        self._own = own
        self._all = all_
        self._answer: Answerer | None = None
        all_[own] = self

    def serve(self, subject: Subject, answer: Answerer) -> None:
        assert subject is Subject.OVERLAY_PROFILE
        self._answer = answer

    async def ask(self, peer: int, subject: Subject, body: bytes, *, timeout_s: float) -> bytes:
        assert timeout_s > 0
        other = self._all.get(peer)
        answer = (
            None if other is None or other._answer is None else await other._answer(self._own, body)
        )
        if answer is None:
            raise PeerSilent("ask", subject=subject)
        return answer


def cluster_nodes(node: Node, place: int, all_: dict[int, FakeRequests]) -> ClusterNodes:
    requests: Requests = FakeRequests(place, all_)  # type: ignore[assignment]
    peers = tuple(each for each in range(3) if each != place)
    return ClusterNodes(node.overlay, requests, peers=peers, log=SilentLog())


def privileged(node: Node) -> Privileged:
    (layer,) = (
        each for each in node.overlay.machine.topology.layers if isinstance(each, Privileged)
    )
    return layer


def test_they_are_privileged_and_linked_although_nobody_trusts_anybody(tmp_path: Path) -> None:
    async def scenario() -> None:
        nodes = nodes_of(tmp_path, 3, trusted=())
        all_: dict[int, FakeRequests] = {}
        async with nodes[0].running(), nodes[1].running(), nodes[2].running():
            parts = [cluster_nodes(node, place, all_) for place, node in enumerate(nodes)]
            running = [asyncio.create_task(part.run()) for part in parts]
            await until(lambda: all(len(node.links) == 2 for node in nodes))
            for node in nodes:
                others = {each.node for each in nodes} - {node.node}
                assert set(privileged(node).view()) == others
            for task in running:
                task.cancel()

    asyncio.run(scenario())


def test_what_is_no_profile_is_refused_and_a_new_key_takes_the_old_ones_place(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        first, second = nodes_of(tmp_path, 2, trusted=())
        all_: dict[int, FakeRequests] = {}
        cluster_nodes(first, 0, all_)
        answer = all_[0]._answer
        assert answer is not None
        for nonsense in (b"", b"x" * 100, b"x" * 10_000, second.overlay.profile.record[:-1] + b"?"):
            assert await answer(1, nonsense) is None
        assert not privileged(first).view()
        assert await answer(1, second.overlay.profile.record) == first.overlay.profile.record
        assert privileged(first).view() == (second.node,)
        settings = replace(second.overlay.settings)
        other = Node(tmp_path / "anew", settings, MemoryChain())
        await answer(1, other.overlay.profile.record)
        assert privileged(first).view() == (other.node,)

    asyncio.run(scenario())


def test_a_chain_without_blocks_is_enough_to_be_linked(tmp_path: Path) -> None:
    async def scenario() -> None:
        nodes = [
            Node(tmp_path / f"e{place}", node.overlay.settings, EmptyChain(b"c" * 32))  # type: ignore[arg-type]
            for place, node in enumerate(nodes_of(tmp_path, 2))
        ]
        async with nodes[0].running(), nodes[1].running():
            await until(lambda: all(len(node.links) == 1 for node in nodes))
            await asyncio.sleep(1.5)  # some rounds
            assert all(len(node.links) == 1 for node in nodes)
            assert not any(node.nodes.quarantined for node in nodes)

    asyncio.run(scenario())
