"""What we saw a node do, and the score that it comes to, with its reasons. Pure.

The same for nodes of the overlay and for peers of the cluster; what follows from it differs.
Everything is bounded, and everything fades: a node is judged by what it does, not by what it once did.
All times are seconds of the caller's clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from math import log2
from typing import Generic, TypeVar

EVENTS_MAX = 32  # failures and faults kept of one node, each
LATENCY_WEIGHT = 0.2  # of a new measurement in the mean
UNREACHABLE = "connection_failures"
BAD_AT_POINTS = -50.0  # whoever has no more misbehaves

Topic = TypeVar("Topic")


class Fault(Enum):
    """What no honest node does, and what it costs. Over the wire nothing worse is possible."""

    INVALID_BLOCK = ("invalid_block", 100.0)
    FALSE_SIGNATURE = ("false_signature", 100.0)
    EQUIVOCATION = ("equivocation", 100.0)  # two things said where there is one to say
    INVALID_FRAGMENT = ("invalid_fragment", 10.0)  # it may have been valid where it was taken
    PROTOCOL = ("protocol", 30.0)
    OVERSIZE = ("oversize", 30.0)
    FLOOD = ("flood", 20.0)
    UNASKED = ("unasked", 10.0)  # data that nobody asked for
    WITHHELD = ("withheld", 10.0)  # announced, asked for, never sent

    def __init__(self, label: str, cost: float) -> None:
        self.label = label
        self.cost = cost


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRules:
    """How conduct becomes points. An operator may tune all of it."""

    fault_points: Mapping[Fault, float] = field(
        default_factory=lambda: {fault: fault.cost for fault in Fault}
    )
    fault_half_life_s: float = 1800.0
    failure_points: float = 5.0
    failure_memory_s: float = 600.0
    latency_free_s: float = 0.5
    latency_points_per_s: float = 5.0
    latency_points_max: float = 10.0
    contribution_points_max: float = 10.0
    behind_blocks: int = 10
    behind_points: float = 5.0


@dataclass(frozen=True, slots=True)
class Tip:
    """Where a node says that its chain ends."""

    block: bytes
    height: int
    told_s: float


@dataclass(frozen=True, slots=True)
class Points:
    """One line of an explained score."""

    reason: str
    points: float
    detail: str


@dataclass(slots=True)
class Conduct(Generic[Topic]):
    """Of one node, since it was first heard of.

    The last failures and faults are in lists, that have none of most nodes: an empty deque takes 700 bytes.
    """

    since_s: float
    failures_s: list[float] = field(default_factory=list)
    faults: list[tuple[float, Fault]] = field(default_factory=list)
    met_s: float | None = None  # when it last answered
    latency_s: float | None = None
    last_message_s: dict[Topic, float] = field(default_factory=dict)
    contributions: int = 0  # what it was the first to bring us, or had its part in
    tip: Tip | None = None

    def failed(self, now_s: float) -> None:
        """A connection could not be made, or broke."""
        self.failures_s.append(now_s)
        del self.failures_s[:-EVENTS_MAX]

    def answered(self, now_s: float, latency_s: float | None = None) -> None:
        """It can be reached; what failed before is settled."""
        self.met_s = now_s
        self.failures_s.clear()
        if latency_s is not None:
            before_s = self.latency_s
            self.latency_s = (
                latency_s
                if before_s is None
                else before_s + LATENCY_WEIGHT * (latency_s - before_s)
            )

    def brought(self, topic: Topic, now_s: float, *, first: bool) -> None:
        """It sent something valid; ``first``: nobody did before."""
        self.last_message_s[topic] = now_s
        self.contributions += first

    def contributed(self) -> None:
        """It did its part in something that all did together."""
        self.contributions += 1

    def broke(self, fault: Fault, now_s: float) -> None:
        """It did what no honest node does."""
        self.faults.append((now_s, fault))
        del self.faults[:-EVENTS_MAX]


def explain(
    conduct: Conduct[Topic], rules: ScoreRules, *, now_s: float, own_height: int | None = None
) -> tuple[Points, ...]:
    """The score's parts, worst first; those of no weight are left out."""
    parts = [
        *_of_faults(conduct, rules, now_s),
        *_of_failures(conduct, rules, now_s),
        *_of_latency(conduct, rules),
        *_of_contributions(conduct, rules),
        *_of_tip(conduct, rules, own_height),
    ]
    return tuple(sorted((part for part in parts if part.points), key=lambda part: part.points))


def score(
    conduct: Conduct[Topic], rules: ScoreRules, *, now_s: float, own_height: int | None = None
) -> float:
    """The sum of what ``explain`` says: 0 for a stranger, at most the points for contributions."""
    return sum(part.points for part in explain(conduct, rules, now_s=now_s, own_height=own_height))


def _of_faults(conduct: Conduct[Topic], rules: ScoreRules, now_s: float) -> list[Points]:
    parts: list[Points] = []
    for fault in Fault:
        times_s = [at_s for at_s, kind in conduct.faults if kind is fault]
        ages = ((now_s - at_s) / rules.fault_half_life_s for at_s in times_s)
        lost = rules.fault_points[fault] * sum(0.5**age for age in ages)
        detail = f"{len(times_s)} times, last {now_s - max(times_s):.0f} s ago" if times_s else ""
        parts.append(Points(fault.label, -lost, detail))
    return parts


def _of_failures(conduct: Conduct[Topic], rules: ScoreRules, now_s: float) -> list[Points]:
    ages_s = [now_s - at_s for at_s in conduct.failures_s]
    weights = [max(0.0, 1 - age_s / rules.failure_memory_s) for age_s in ages_s]
    detail = f"{len(ages_s)} since it last answered" if ages_s else ""
    return [Points(UNREACHABLE, -rules.failure_points * sum(weights), detail)]


def _of_latency(conduct: Conduct[Topic], rules: ScoreRules) -> list[Points]:
    latency_s = conduct.latency_s or 0.0
    over_s = max(0.0, latency_s - rules.latency_free_s)
    lost = min(rules.latency_points_max, rules.latency_points_per_s * over_s)
    return [Points("latency", -lost, f"{latency_s:.3f} s")]


def _of_contributions(conduct: Conduct[Topic], rules: ScoreRules) -> list[Points]:
    gained = min(rules.contribution_points_max, log2(1 + conduct.contributions))
    return [Points("contributions", gained, f"{conduct.contributions} in all")]


def _of_tip(conduct: Conduct[Topic], rules: ScoreRules, own_height: int | None) -> list[Points]:
    if conduct.tip is None or own_height is None:
        return []
    behind = own_height - conduct.tip.height
    lost = rules.behind_points if behind > rules.behind_blocks else 0.0
    return [Points("chain_behind", -lost, f"{behind} blocks behind us")]
