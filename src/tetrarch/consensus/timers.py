"""How long each round of a duty lasts. Pure: instants are arguments, in seconds of one clock.

Rounds are aligned to the duty's start, so that nodes whose clocks agree change rounds together
without a message. Round r ends nominally at ``start + total(r)``. Three rules bend that:

1. *No round is empty.* Whoever enters late still gets ``total(r)`` or half of the round's
   duration from its entry, whichever ends later. A cluster that is behind its schedule thus
   runs at double speed until it is aligned again. (With absolute deadlines alone, a round
   whose end has already passed would last zero seconds and its leader would never be heard.)
2. *A proposal buys time.* The first justified PRE-PREPARE of a round lets it last the round's
   whole duration from then on. It happens once a round, so a lying leader gains one duration.
3. *No round is endless.* A node that is led far ahead of the schedule by others waits at most
   two durations (counted from the duty's start when that is still to come).

Durations are equal for the first rounds and then double up to a maximum, so that nodes which
are apart for long, or whose clocks are, still find a round in which they all meet.
"""

from dataclasses import dataclass
from typing import Self

from tetrarch.duties.types import Duty, DutyType
from tetrarch.errors import invariant

MAINNET_SLOT_S = 12.0
ROUND_MAINNET_S = 1.0
PROPOSER_EXTRA_MAINNET_S = 0.5
ROUND_FLOOR_S = 0.4  # on short slots: still a few network round trips of a loaded machine
PROPOSER_EXTRA_FLOOR_S = 0.2
ROUNDS_EQUAL = 8
DOUBLINGS_MAX = 16
ROUND_MAX_S = 16.0  # long enough for clocks that are some seconds apart


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTimes:
    """Round durations of a cluster. All nodes must use the same; nothing negotiates them."""

    round_s: float
    proposer_extra_s: float  # added to round 1 of a proposer duty, whose data takes longest

    def __post_init__(self) -> None:
        invariant(self.round_s > 0, "a round lasts longer than zero")
        invariant(self.proposer_extra_s >= 0, "the proposer's extra is no penalty")

    @classmethod
    def for_slot(cls, slot_s: float) -> Self:
        """1 s a round and 0.5 s extra on 12 s slots; in proportion on others, with floors."""
        scale = slot_s / MAINNET_SLOT_S
        return cls(
            round_s=max(ROUND_MAINNET_S * scale, ROUND_FLOOR_S),
            proposer_extra_s=max(PROPOSER_EXTRA_MAINNET_S * scale, PROPOSER_EXTRA_FLOOR_S),
        )

    def duration_s(self, duty: Duty, round_: int) -> float:
        """How long ``round_`` lasts when all is in time. Greater than zero."""
        doublings = min(max(round_ - ROUNDS_EQUAL, 0), DOUBLINGS_MAX)
        extra = self.proposer_extra_s if duty.type is DutyType.PROPOSER and round_ == 1 else 0.0
        return min(self.round_s * 2.0**doublings, max(self.round_s, ROUND_MAX_S)) + extra

    def total_s(self, duty: Duty, round_: int) -> float:
        """Sum of the durations of rounds 1 to ``round_``."""
        return sum(self.duration_s(duty, earlier) for earlier in range(1, round_ + 1))


@dataclass(frozen=True, slots=True)
class RoundTimer:
    """Deadlines of one duty. ``start_s`` and all instants are readings of the same clock."""

    times: RoundTimes
    duty: Duty
    start_s: float

    def entered(self, round_: int, now_s: float) -> float:
        """When ``round_`` ends if it is entered at ``now_s`` and nothing is proposed."""
        duration_s = self.times.duration_s(self.duty, round_)
        nominal_s = self.start_s + self.times.total_s(self.duty, round_)
        latest_s = max(now_s, self.start_s) + 2 * duration_s
        return min(max(nominal_s, now_s + duration_s / 2), latest_s)

    def proposed(self, round_: int, deadline_s: float, now_s: float) -> float:
        """When ``round_`` ends, now that its leader's justified proposal is here."""
        return max(deadline_s, now_s + self.times.duration_s(self.duty, round_))
