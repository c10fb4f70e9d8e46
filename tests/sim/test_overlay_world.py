"""Goal: a crowd gets no more than its addresses allow, and a world is the same again. See ``test_overlay_life``."""

import pytest

from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS
from tetrarch.sim.overlay_world import OverlayKnobs, OverlayWorld

SMALL_BYTES, LARGE_BYTES = 500, 50_000


def started(nodes: int, seed: int, rounds: int = 20, **knobs) -> OverlayWorld:
    world = OverlayWorld(seed, OverlayKnobs(nodes=nodes, **knobs))
    world.run_rounds(rounds)
    return world


def check_spreads(world: OverlayWorld) -> None:
    items = [
        (world.publish(topic, size_bytes), size_bytes)
        for topic in (FRAGMENTS, BLOCKS)
        for size_bytes in (SMALL_BYTES, LARGE_BYTES)
    ]
    world.run_rounds(1)
    for item, size_bytes in items:
        assert world.hit_ratio(item) == 1.0
        assert world.copies(item) < (3 if size_bytes == SMALL_BYTES else 1.05)


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_a_crowd_has_no_larger_a_part_than_its_addresses(share: float) -> None:
    world = started(100, 1, liars_share=share)
    allowed = world.liars_allowed()
    assert world.liars_in_views() <= allowed / (allowed + len(world.nodes))
    check_spreads(world)


def test_who_joins_can_be_sent_to_by_all_that_it_links_with() -> None:
    """A node that knows only some of the others once had links on which it was sent nothing."""
    world = started(120, 1, rounds=4, known_max=64)
    world.join()
    newcomer = list(world.nodes)[-1]
    world.run_rounds(0.3)
    peers = [node for node in world.nodes.values() if newcomer in node.links]
    assert len(peers) >= 20
    assert all(newcomer in peer.machine.links(BLOCKS) for peer in peers)


def test_links_have_two_sides_and_outlive_the_view_by_a_minute() -> None:
    world = started(120, 1, rounds=12, known_max=64)
    unwanted_since_s = [
        since_s for node in world.nodes.values() for since_s in node.unwanted_s.values()
    ]
    assert unwanted_since_s
    assert all(world.now_s - since_s < 80 for since_s in unwanted_since_s), "seen once a round"
    for node in world.nodes.values():
        assert all(node.node in world.nodes[peer].links for peer in node.links)


def test_who_vanished_is_noticed_after_ten_seconds() -> None:
    world = started(60, 1, rounds=4)
    before = {node: set(each.links) for node, each in world.nodes.items()}
    world.vanish(0.5)
    gone = before.keys() - world.nodes.keys()
    assert len(gone) == 30
    world.run_rounds(0.9)
    assert all(before[node] & gone <= each.links.keys() for node, each in world.nodes.items())
    world.run_rounds(0.3)
    assert not any(gone & each.links.keys() for each in world.nodes.values())
    world.run_rounds(2)  # who stood in for them may be gone, too, and so its own stand-in
    assert not any(gone & set(each.machine.topology.view()) for each in world.nodes.values())


def test_the_same_seed_gives_the_same_world() -> None:
    first, second = (started(50, 3) for _ in range(2))
    assert first.bytes_per_node_s() == second.bytes_per_node_s()
    views = [
        [node.machine.topology.view() for node in each.nodes.values()] for each in (first, second)
    ]
    assert views[0] == views[1]
