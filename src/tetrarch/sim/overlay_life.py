"""One network's life: its nodes know one of them, find their places, are replaced, and half of them vanish."""

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS
from tetrarch.network.overlay.spreading import ItemId
from tetrarch.sim.overlay_figures import LARGE_SIZE_BYTES, SMALL_SIZE_BYTES
from tetrarch.sim.overlay_world import OverlayKnobs, OverlayWorld


@dataclass(frozen=True, slots=True, kw_only=True)
class LifePlan:
    """How long each part lasts, and what share of the nodes goes."""

    rounds: int = 20  # until items are spread, and as many from then on
    items: int = 5  # of each topic, small and as many large
    churn_rounds: int = 10
    churn_share: float = 0.01  # replaced in each round
    vanish_share: float = 0.5
    rounds_after: int = 11

    @property
    def rounds_all(self) -> int:
        """From the first to the last."""
        return 2 * self.rounds + self.churn_rounds + self.rounds_after


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundSeen:
    """``hits``: the share of nodes that the items published when the round began came to, the worst."""

    rings_right: float
    hits: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayLife:
    """What was seen of it, by round where it says so; shares are of nodes.

    ``hits``: of the items spread in peace, the worst. ``copies``: how many nodes got a small item
    never, once, twice and so on, over all of them, and ``copies_large`` a large one; ``hops``: how many
    got one from its publisher, from somebody who has it from there, and so on. ``churn`` and ``vanish``
    begin when the first nodes are gone.
    """

    nodes: int
    seed: int
    rings_right_by_round: tuple[float, ...]
    hits: float
    copies: tuple[int, ...]
    copies_large: tuple[int, ...]
    hops: tuple[int, ...]
    bytes_per_node_s: float
    churn: tuple[RoundSeen, ...]
    vanish: tuple[RoundSeen, ...]

    @property
    def copies_mean(self) -> float:
        """Of a small item, for a node."""
        return _mean_place(self.copies)

    @property
    def copies_large_mean(self) -> float:
        """Of a large one."""
        return _mean_place(self.copies_large)

    @property
    def churn_hits(self) -> float:
        """Over all its rounds, of which there is one at least."""
        return sum(each.hits for each in self.churn) / len(self.churn)


def live(
    knobs: OverlayKnobs, *, seed: int, plan: LifePlan, told: Callable[[int], None] = lambda _: None
) -> OverlayLife:
    """Run one network through ``plan``. ``told`` hears how many rounds are over.

    Cost: 6 to 12 ms a node and round and 0.35 MB a node where nodes know 256 of more (CPython 3.11).
    """
    with _uncollected():
        return _live(knobs, seed, plan, told)


def _live(
    knobs: OverlayKnobs, seed: int, plan: LifePlan, told: Callable[[int], None]
) -> OverlayLife:
    run = _Run(OverlayWorld(seed, knobs), told)
    world = run.world
    rings = [run.round().rings_right for _ in range(plan.rounds)]
    bytes_per_node_s = world.bytes_per_node_s()
    small, large = (
        [world.publish(topic, size) for topic in (FRAGMENTS, BLOCKS) for _ in range(plan.items)]
        for size in (SMALL_SIZE_BYTES, LARGE_SIZE_BYTES)
    )
    peace = run.round((*small, *large))
    copies, copies_large, hops = run.copies(small), run.copies(large), run.hops(small + large)
    rings += [peace.rings_right, *(run.round().rings_right for _ in range(plan.rounds - 1))]
    churn = []
    for _ in range(plan.churn_rounds):
        world.churn(plan.churn_share)
        churn.append(run.round([world.publish(BLOCKS, SMALL_SIZE_BYTES)]))
    world.vanish(plan.vanish_share)
    vanish = []
    for _ in range(plan.rounds_after):
        sizes = (SMALL_SIZE_BYTES, LARGE_SIZE_BYTES)
        items = [world.publish(topic, size) for topic in (FRAGMENTS, BLOCKS) for size in sizes]
        vanish.append(run.round(items))
    return OverlayLife(
        nodes=knobs.nodes,
        seed=seed,
        rings_right_by_round=tuple(rings),
        hits=peace.hits,
        copies=copies,
        copies_large=copies_large,
        hops=hops,
        bytes_per_node_s=round(bytes_per_node_s),
        churn=tuple(churn),
        vanish=tuple(vanish),
    )


@contextmanager
def _uncollected() -> Iterator[None]:
    """What lives for long is looked at again and again by the collector, and here nearly all does."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _Run:
    """A world and who is told of its rounds."""

    def __init__(self, world: OverlayWorld, told: Callable[[int], None]) -> None:
        self.world = world
        self._told = told
        self._rounds = 0

    def round(self, items: Iterable[ItemId] = ()) -> RoundSeen:
        self.world.run_rounds(1)
        self._rounds += 1
        self._told(self._rounds)
        hits = [self.world.hit_ratio(item) for item in items]
        return RoundSeen(rings_right=self.world.rings_right(), hits=min(hits, default=1.0))

    def copies(self, items: Iterable[ItemId]) -> tuple[int, ...]:
        """Of nodes that an item came to, other than who published it."""
        spreads = [self.world.spreads[item] for item in items]
        got = [each.copies[node] for each in spreads for node in each.hops if each.hops[node]]
        return _counted(got)

    def hops(self, items: Iterable[ItemId]) -> tuple[int, ...]:
        return _counted(hop for item in items for hop in self.world.spreads[item].hops.values())


def _counted(values: Iterable[int]) -> tuple[int, ...]:
    counter = Counter(values)
    return tuple(counter[value] for value in range(max(counter, default=0) + 1))


def _mean_place(counts: tuple[int, ...]) -> float:
    """Of the places in ``counts``, each so often as it says."""
    return sum(place * count for place, count in enumerate(counts)) / max(1, sum(counts))
