"""What a run of the overlay comes to: the figures that the documentation and the tests speak of."""

from collections.abc import Callable
from dataclasses import dataclass

from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS
from tetrarch.sim.overlay_world import OverlayKnobs, OverlayWorld

SMALL_SIZE_BYTES, LARGE_SIZE_BYTES = 500, 50_000
ITEMS = 10  # of each size and topic


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayFigures:
    """Of one world after some rounds.

    ``rings_right_by_round``: the share of nodes with their true neighbours on all rings. ``hit_ratio``:
    of nodes that got an item, over all items. ``copies``: of a small item that a node got; of a large
    one, which is asked for, ``copies_large``. ``hops`` and ``reached_s``: from who published it.
    ``liars_in_views`` against ``liars_allowed``, what their addresses allow them.
    """

    nodes: int
    rounds: int
    seed: int
    rings_right: float
    rings_right_by_round: tuple[float, ...]
    hit_ratio: float
    copies: float
    copies_large: float
    hops_p50: int
    hops_p99: int
    reached_s_p50: float
    reached_s_max: float
    bytes_per_node_s: float
    liars_in_views: float
    liars_allowed: float


def measure(
    knobs: OverlayKnobs,
    *,
    rounds: int,
    seed: int,
    told: Callable[[int], None] = lambda _: None,
) -> OverlayFigures:
    """Run a world for ``rounds``, then spread some items. ``told`` hears of each round that is over."""
    world = OverlayWorld(seed, knobs)
    right: list[float] = []
    for number in range(rounds):
        world.run_rounds(1)
        right.append(world.rings_right())
        told(number + 1)
    rate = world.bytes_per_node_s()
    small, large = (
        [world.publish(topic, size_bytes) for topic in (FRAGMENTS, BLOCKS) for _ in range(ITEMS)]
        for size_bytes in (SMALL_SIZE_BYTES, LARGE_SIZE_BYTES)
    )
    world.run_rounds(1)
    spreads = [world.spreads[item] for item in (*small, *large)]
    hops = sorted(hop for spread in spreads for hop in spread.hops.values())
    reached_s = sorted(spread.last_s - spread.published_s for spread in spreads)
    allowed = world.liars_allowed()
    return OverlayFigures(
        nodes=knobs.nodes,
        rounds=rounds,
        seed=seed,
        rings_right=right[-1] if right else world.rings_right(),
        rings_right_by_round=tuple(round(each, 4) for each in right),
        hit_ratio=_mean([world.hit_ratio(item) for item in (*small, *large)]),
        copies=_mean([world.copies(item) for item in small]),
        copies_large=_mean([world.copies(item) for item in large]),
        hops_p50=hops[len(hops) // 2],
        hops_p99=hops[len(hops) * 99 // 100],
        reached_s_p50=round(reached_s[len(reached_s) // 2], 3),
        reached_s_max=round(reached_s[-1], 3),
        bytes_per_node_s=round(rate),
        liars_in_views=round(world.liars_in_views(), 4),
        liars_allowed=round(allowed / (allowed + len(world.nodes)), 4),
    )


def _mean(values: list[float]) -> float:
    return round(sum(values) / len(values), 5)
