"""Two programs talk as long as one version is common to both; else both say who must be updated."""

import asyncio
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.network.mesh_world import World, connected, running, until

from tetrarch.errors import InvariantBroken
from tetrarch.network.ports import Topic
from tetrarch.network.versions import CURRENT, FEATURES_MAX, Versions, unsupported

OLD = Versions(protocol_min=1, protocol=1)
BOTH = Versions(protocol_min=1, protocol=2, features=("shiny",))
NEW = Versions(protocol_min=2, protocol=3, features=("shiny",))

ranges = st.tuples(st.integers(1, 9), st.integers(0, 3)).map(lambda r: (r[0], r[0] + r[1]))


@given(ranges, ranges)
def test_two_ranges_suit_each_other_exactly_when_they_overlap(
    ours: tuple[int, int], theirs: tuple[int, int]
) -> None:
    common = set(range(ours[0], ours[1] + 1)) & set(range(theirs[0], theirs[1] + 1))
    mend = unsupported(ours=ours, theirs=theirs, operator=3, version="v")
    assert (mend is None) == bool(common)
    other = unsupported(ours=theirs, theirs=ours, operator=1, version="v")
    assert (other is None) == bool(common)
    if mend is not None and other is not None:  # both sides send to the same node
        assert ("update this node" in mend) == ("operator 1" in other)


@pytest.mark.parametrize(
    "wrong",
    [
        {"protocol_min": 0, "protocol": 1},
        {"protocol_min": 2, "protocol": 1},
        {"protocol_min": 1, "protocol": 1, "features": ("f",) * (FEATURES_MAX + 1)},
        {"protocol_min": 1, "protocol": 1, "features": ("f" * 33,)},
    ],
)
def test_table_of_versions_is_checked(wrong) -> None:
    with pytest.raises(InvariantBroken):
        Versions(**wrong)


def test_versions_are_listed_newest_first() -> None:
    assert NEW.protocols == (3, 2)
    assert CURRENT.protocol in CURRENT.protocols


@pytest.mark.parametrize("theirs", [OLD, BOTH, NEW])
def test_nodes_with_a_common_version_talk(theirs: Versions) -> None:
    async def main() -> None:
        world = World(2)
        first, second = world.node(0, versions=BOTH), world.node(1, versions=theirs)
        async with running(first, second):
            await connected(first, second)
            first.mesh.send(1, Topic.CONSENSUS, b"hello")
            await until(lambda: second.received)
            assert first.count("mesh_peer_version_supported", peer="1") == 1
            (status,) = first.mesh.status()
            assert status.version_refused is None
            assert status.protocol is not None

    asyncio.run(main())


@pytest.mark.parametrize("behind", [0, 3])  # who dials, and who is dialled
def test_node_that_is_too_old_is_refused_with_the_reason_on_both_sides(behind: int) -> None:
    async def main() -> None:
        world = World()
        nodes = [world.node(i, versions=OLD if i == behind else NEW) for i in range(4)]
        others = [node for i, node in enumerate(nodes) if i != behind]
        async with running(*nodes):
            await until(lambda: all(n.mesh.connected_count() == 2 for n in others))
            code = "protocol_version_differs"
            await until(lambda: len(nodes[behind].log.find("peer_fault", code=code)) == 3)
            for node in others:
                await until(partial(node.log.find, "peer_fault", peer=behind, code=code))
                (line,) = node.log.find("peer_fault", peer=behind, code=code)
                assert line["mend"] == (
                    f"update the node of operator {behind} (it runs 0.1.0)"
                    " to a release with protocol 2 or newer"
                )
                assert (line["ours"], line["theirs"]) == ("2 to 3", "1")
                assert node.count("mesh_peer_version_supported", peer=str(behind)) == 0
                refused = [s.index for s in node.mesh.status() if s.version_refused]
                assert refused == [behind]
            for line in nodes[behind].log.find("peer_fault", code=code):
                assert line["mend"] == "update this node to a release with protocol 2 or newer"
            assert nodes[behind].mesh.connected_count() == 0
            others[0].mesh.broadcast(Topic.CONSENSUS, b"we go on")
            await until(lambda: all(node.received for node in others[1:]))

    asyncio.run(main())
