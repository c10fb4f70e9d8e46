"""What an operator and his tools read of the network, from whole nodes."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.network.overlay.world import Node, nodes_of, until

from tetrarch.api.overlay_graph import overlay_graph
from tetrarch.api.overlay_views import overlay_views
from tetrarch.errors import InputInvalid
from tetrarch.network.conduct import Fault
from tetrarch.network.overlay.memory_chain import MemoryChain
from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS, NodeId, Topic


def told(node: Node, path: str, **query: str) -> Any:
    """As it goes over the wire."""
    return json.loads(msgspec.json.encode(overlay_views(node.overlay)[path](query)))


async def three_linked(nodes: list[Node]) -> None:
    await until(lambda: all(len(node.links) == 2 for node in nodes))
    await nodes[0].make_block(b"content")
    await until(lambda: all(node.height == 1 for node in nodes))
    await until(lambda: all(node.links.latency_s(each) for node in nodes for each in node.links))


def test_the_reference_s_shapes(tmp_path: Path) -> None:
    async def main() -> None:
        nodes = nodes_of(tmp_path, 3)
        one, two, three = nodes
        async with one.running(), two.running(), three.running():
            await three_linked(nodes)
            others = {node.node.hex(): str(node.overlay.addresses[0]) for node in (two, three)}
            stats = told(one, "api/v0/network/stats")
            assert {each["nodeId"]: each["addr"] for each in stats} == others
            assert all(each["latencySeconds"] < 5 for each in stats)
            received = [told(each, "api/v0/network/stats") for each in (two, three)]
            assert any(each["lastBlockReceived"] for links in received for each in links)
            available = told(one, "api/v0/network/p2p/available")
            assert {each["id"]: each["address"] for each in available} == others
            assert available[0]["subscriptions"] == [
                {"topic": FRAGMENTS.hex(), "interest": 3},
                {"topic": BLOCKS.hex(), "interest": 3},
            ]
            for path in ("view", "view/blocks", "view/fragments"):
                assert set(told(one, f"api/v0/network/p2p/{path}")) == set(others.values())
            assert told(one, "api/v0/network/p2p/quarantined") == []
            one.overlay.talking.blame(two.node, Fault.INVALID_BLOCK, None)
            (quarantined,) = told(one, "api/v0/network/p2p/quarantined")
            assert quarantined["id"] == two.node.hex()
            assert quarantined["quarantined"] is not None
            before = one.overlay.machine.rings.view()
            told(one, "api/v0/network/p2p/view")
            assert one.overlay.machine.rings.view() == before

    asyncio.run(main())


def test_a_node_is_listed_and_explained(tmp_path: Path) -> None:
    async def main() -> None:
        nodes = nodes_of(tmp_path, 3)
        one, two, three = nodes
        async with one.running(), two.running(), three.running():
            await three_linked(nodes)
            await one.overlay.ban(three.node, "for a reason")
            one.overlay.talking.blame(two.node, Fault.FLOOD, None)
            listed = told(one, "overlay/nodes")
            assert listed["own"] == one.node.hex()
            assert [each["node"] for each in listed["nodes"]] == [two.node.hex()]
            assert [(each["node"], each["reason"]) for each in listed["banned"]] == [
                (three.node.hex(), "for a reason")
            ]
            told_of = told(one, "overlay/node", id=two.node.hex()[:12])
            assert told_of["disposition"] == "available"
            assert told_of["linked"] is True
            assert {"rings", "vicinity"} <= set(told_of["layers"])  # cyclon may be swapping it
            assert told_of["points"][0]["reason"] == "flood"
            assert told_of["score"] == pytest.approx(
                sum(part["points"] for part in told_of["points"]), abs=0.1
            )
            assert told_of["tip"]["height"] >= 0
            assert [each["fault"] for each in told_of["faults"]] == ["flood"]
            layers = told(one, "overlay/layers")
            assert set(layers) == {"rings", "vicinity", "cyclon", "privileged", "trusted"}
            for wrong in ("", "zz", "12", "f" * 65, three.node.hex()):
                with pytest.raises(InputInvalid):
                    overlay_views(one.overlay)["overlay/node"]({"id": wrong})

    asyncio.run(main())


def test_a_guest_is_listed_as_one_and_can_be_asked_about(tmp_path: Path) -> None:
    async def scenario() -> None:
        one, two = nodes_of(tmp_path, 2)
        private = Node(
            tmp_path / "private", replace(two.overlay.settings, public=None), MemoryChain()
        )
        async with one.running(), private.running():
            await until(lambda: BLOCKS in dict(interests_of(one, private.node)))
            (listed,) = told(one, "overlay/nodes")["nodes"]
            assert (listed["disposition"], listed["address"], listed["linked"]) == (
                "guest",
                "",
                True,
            )
            assert told(one, "overlay/node", id=private.node.hex()[:12])["disposition"] == "guest"
            assert [each["id"] for each in told(one, "api/v0/network/p2p/non_public")] == [
                private.node.hex()
            ]
            assert told(one, "api/v0/network/p2p/available") == []
            assert told(one, "api/v0/network/p2p/view/blocks") == []
            (link,) = told(one, "api/v0/network/stats")
            assert link["addr"] is None
            graph = await overlay_graph(one.overlay)
            assert [each["disposition"] for each in graph["nodes"]] == ["guest"]

    asyncio.run(scenario())


def interests_of(node: Node, other: NodeId) -> tuple[tuple[Topic, int], ...]:
    guest = node.nodes.guests.get(other)
    return () if guest is None else guest.interests
