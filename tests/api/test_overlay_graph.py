"""The overlay as something to draw: who stands where, and what was left out."""

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.network.overlay.support import NOW_S, node_id, profile
from tests.network.overlay.world import Node, nodes_of, until

from tetrarch.api.overlay_graph import (
    AVAILABLE_MAX,
    BANNED_MAX,
    QUARANTINED_MAX,
    overlay_graph,
)
from tetrarch.network.conduct import Fault
from tetrarch.network.overlay.overlay import Overlay
from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS, ring_position
from tetrarch.network.overlay.quarantines import Quarantine


async def told(overlay: Overlay) -> Any:
    """As it goes over the wire."""
    return json.loads(msgspec.json.encode(await overlay_graph(overlay)))


def places(node: Node) -> dict[str, Any]:
    return {
        name: pytest.approx(ring_position(topic, node.node) / 2**64, abs=1e-8)
        for name, topic in (("blocks", BLOCKS), ("fragments", FRAGMENTS))
    }


def test_everybody_stands_at_his_place(tmp_path: Path) -> None:
    async def main() -> None:
        nodes = nodes_of(tmp_path, 4)
        one, two, three, four = nodes
        async with one.running(), two.running(), three.running(), four.running():
            await until(lambda: all(len(node.links) == 3 for node in nodes))
            await two.make_block(b"content")
            await until(lambda: all(node.height == 1 for node in nodes))
            await until(lambda: all(one.links.latency_s(node) for node in one.links))
            for _ in range(3):
                one.overlay.talking.blame(three.node, Fault.INVALID_BLOCK, None)
            await one.overlay.ban(four.node, "for a reason")
            await until(lambda: set(one.links) == {two.node})
            graph = await told(one.overlay)
            own = graph["own"]
            assert own["node"] == one.node.hex()
            assert own["positions"] == places(one)
            assert own["tip"] == {"block": one.chain.tip().block.hex(), "height": 1}
            assert own["addresses"] == [own["address"]] == [str(one.overlay.addresses[0])]
            assert graph["counts"] == {"known": 1, "linked": 1, "quarantined": 1, "banned": 1}
            assert set(graph["left_out"].values()) == {0}
            for topic in graph["topics"]:
                assert topic["position"] == own["positions"][topic["name"]]
                assert topic["before"] == topic["after"] == [two.node.hex()]
            second, third, fourth = graph["nodes"]
            assert [each["node"] for each in graph["nodes"]] == [
                node.node.hex() for node in (two, three, four)
            ]
            assert [each["positions"] for each in graph["nodes"]] == [
                places(node) for node in (two, three, four)
            ]
            assert second["linked"] is True
            assert second["latency_s"] == one.links.latency_s(two.node)
            assert {"rings", "vicinity"} <= set(second["layers"])
            assert (third["disposition"], third["reason"]) == ("quarantined", "score")
            assert third["score"] < -50
            assert (fourth["disposition"], fourth["reason"]) == ("banned", "for a reason")
            assert (fourth["address"], fourth["score"]) == ("", None)

    asyncio.run(main())


def test_a_large_network_is_cut_and_says_so(tmp_path: Path) -> None:
    (one,) = nodes_of(tmp_path, 1)
    nodes, now_s = one.nodes, one.overlay.now_s()
    for number in range(AVAILABLE_MAX + 7):
        nodes.known.take(profile(number, time_s=int(now_s)), node_id(number))
    for number in range(QUARANTINED_MAX + 5):
        put_aside = profile(100_000 + number)
        kept = Quarantine(put_aside, number, NOW_S, "score")
        nodes._quarantines.restore(put_aside.node, kept, times=1)
    for number in range(BANNED_MAX + 3):
        nodes.ban(node_id(200_000 + number), "for a reason", now_s=number)
    assert len(nodes.known) == AVAILABLE_MAX + 7
    graph = asyncio.run(told(one.overlay))
    assert graph["left_out"] == {"available": 7, "quarantined": 5, "banned": 3}
    assert len(graph["nodes"]) == AVAILABLE_MAX + QUARANTINED_MAX + BANNED_MAX
    assert graph["counts"]["known"] == AVAILABLE_MAX + 7
    drawn = {each["node"] for each in graph["nodes"]}
    assert {node.hex() for node in one.overlay.machine.topology.view()} <= drawn
    assert node_id(100_000).hex() not in drawn  # the oldest are left out
    assert node_id(200_000).hex() not in drawn
    assert len(msgspec.json.encode(graph)) < 1_000_000
