"""What a ledger's world is like: how many nodes, for how long, and what befalls them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Self

from tetrarch.leadership.reserving import HEIGHTS
from tetrarch.ledger.parameters import Mode
from tetrarch.sim.ledger_election import Term
from tetrarch.sim.ledger_liars import Lie, Telling
from tetrarch.sim.network import Faults


@dataclass(frozen=True, slots=True)
class Cut:
    """From one slot to another ``apart`` do not reach the rest."""

    first: int
    last: int
    apart: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Crash:
    """A node loses power in a slot and is back some slots later; ``restored``: its keys are those of the last copy."""

    node: int
    slot: float
    slots_down: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerProfile:
    """What a run is like. ``settle_slots``: at its end, in which nothing is wrong."""

    nodes: int = 4
    slots: int = 120
    settle_slots: int = 20
    mode: Mode = Mode.BFT
    slots_per_epoch: int = 20
    coefficient_milli: int = 500
    faults: Faults = field(default_factory=Faults)
    offsets_s: tuple[float, ...] = ()
    cuts: tuple[Cut, ...] = ()
    crashes: tuple[Crash, ...] = ()
    twins: bool = False  # nodes 0 and 1 hold copies of one node's keys
    passes_at: int | None = None  # the epoch that goes by stake, though the chain began in turns
    terms: tuple[Term, ...] = ()  # in mode elected, as they follow each other
    lies: tuple[Telling, ...] = ()
    late: int | None = None  # a node that begins when all is well, and whose member is away
    with_state: bool = False  # it begins with a state of others
    prunes: tuple[int, ...] = ()  # nodes that forget old blocks

    @classmethod
    def drawn(cls, rng: Random, *, slots: int = 120) -> Self:
        """Each seed has faults of its own."""
        nodes = rng.choice([3, 4, 4, 5, 7])
        last = slots - 20
        cuts = tuple(
            Cut(first, min(last, first + rng.randrange(2, 50)), _some(rng, nodes))
            for first in sorted(rng.sample(range(2, last), rng.randrange(3)))
        )
        crashes = tuple(
            Crash(rng.randrange(nodes), rng.uniform(1, last), rng.randrange(1, 12))
            for _ in range(rng.randrange(5))
        )
        skew_s = rng.choice([0.0, 0.0, 0.3, 1.0])
        mode = rng.choice([Mode.BFT, Mode.PRAOS])
        coefficient_milli = rng.choice([200, 500, 900])
        passes_at = rng.choice([None, 2, 4]) if mode is Mode.BFT else None
        twins = nodes > 3 and rng.random() < 0.3
        # Where few slots have blocks it takes longer until some were made upon each other, and until
        # the heights are over that a copy reserved which lost power.
        longer = 30 * (coefficient_milli == 200) + twins * HEIGHTS * 1000 // coefficient_milli
        return cls(
            nodes=nodes,
            slots=slots + longer,
            settle_slots=20 + longer,
            mode=mode,
            passes_at=passes_at,
            twins=twins,
            slots_per_epoch=rng.choice([5, 20, 47]),
            coefficient_milli=coefficient_milli,
            faults=Faults(
                loss=rng.choice([0.0, 0.0, 0.1]),
                repeat=rng.choice([0.0, 0.2]),
                reorder=rng.random() < 0.5,
                delay_s=rng.choice([(0.001, 0.02), (0.01, 0.4), (0.01, 1.5)]),
            ),
            offsets_s=tuple(rng.uniform(-skew_s, skew_s) for _ in range(nodes)),
            cuts=cuts,
            crashes=tuple(sorted(crashes, key=lambda each: each.slot)),
        )

    @classmethod
    def drawn_states(cls, rng: Random, *, slots: int = 60) -> Self:
        """The same, where nodes forget old blocks, and one begins with a state."""
        drawn = cls.drawn(rng, slots=slots)
        return replace(
            drawn,
            slots=drawn.slots + 30,
            settle_slots=drawn.settle_slots + 30,  # until an epoch ends, and is final
            slots_per_epoch=rng.choice([13, 20]),
            coefficient_milli=max(500, drawn.coefficient_milli),
            late=None if drawn.twins else 0,  # it has the least stake: the others are a quorum
            with_state=True,
            prunes=_some(rng, drawn.nodes),
        )

    @classmethod
    def drawn_elected(cls, rng: Random, *, slots: int = 60) -> Self:
        """The same, where leaders are elected: in worlds of their own, so that those of ``drawn`` stay as they are."""
        drawn = cls.drawn(rng, slots=slots)
        longer = 2 * HEIGHTS * drawn.twins
        nodes, last = drawn.nodes, slots - 20
        late = rng.randrange(nodes) if not drawn.twins and rng.random() < 0.3 else None
        # Of twins the second's own turns are nobody's.
        leaders = [
            each for each in range(nodes) if each != late and not (drawn.twins and each == 1)
        ]
        profile = replace(
            drawn,
            slots=slots + longer,
            settle_slots=20 + longer,
            mode=Mode.ELECTED,
            coefficient_milli=900,  # where it passes to stake, blocks are to be made in the time to settle
            passes_at=rng.choice([None, None, None, None, 2]),
            late=late,
        )
        lies = [
            Telling(rng.uniform(1, last), rng.choice(tuple(Lie)), rng.randrange(nodes))
            for _ in range(rng.choice([0, 0, 5, 20]))
        ]
        return replace(
            profile,
            terms=_terms(rng, profile, leaders, last),
            lies=tuple(sorted(lies, key=lambda each: each.slot)),
        )


def _terms(
    rng: Random, profile: LedgerProfile, leaders: Sequence[int], last: int
) -> tuple[Term, ...]:
    """Many fall into cuts and crashes. Each leader's own member knows it when all is well."""
    moments = [rng.uniform(0, 4)]
    for _ in range(rng.randrange(6)):
        troubles = [(float(cut.first), float(cut.last)) for cut in profile.cuts]
        troubles += [(each.slot - 1, each.slot + each.slots_down) for each in profile.crashes]
        begin, end = rng.choice([(1.0, last), *troubles])
        moments.append(min(last, rng.uniform(begin, end)))
    number, found = 0, []
    for slot in sorted(moments):
        number += rng.choice([1, 1, 2, 5])
        leader = rng.choice(leaders)
        soon = rng.choice([(0.2,), (0.2, 2.0, 10.0), (1.0, 30.0, None), (None,)])
        hears: list[float | None] = []
        for _ in range(profile.nodes):
            most = rng.choice(soon)
            hears.append(None if most is None else rng.uniform(0, most))
        hears[leader] = min(last - slot, rng.uniform(0, rng.choice([0.3, 0.3, 3.0, 12.0])))
        if profile.late is not None:
            hears[profile.late] = None
        found.append(Term(number, leader, slot, tuple(hears)))
    return tuple(found)


def _some(rng: Random, nodes: int) -> tuple[int, ...]:
    return tuple(sorted(rng.sample(range(nodes), rng.randrange(1, nodes))))
