"""Whose clock is wrong: offsets of the peers' clocks from ours, and a verdict on them. Pure."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median, median_low

SAMPLES_MAX = 11
SAMPLES_MIN = 3  # before that many pongs an offset is not judged


class OffsetWindow:
    """The last measurements against one peer. The median ignores single late pongs."""

    def __init__(self) -> None:
        self._offsets_s: deque[float] = deque(maxlen=SAMPLES_MAX)
        self._rtts_s: deque[float] = deque(maxlen=SAMPLES_MAX)

    def add(self, *, rtt_s: float, offset_s: float) -> None:
        """Note one ping: ``offset_s`` is positive when the peer's clock is ahead of ours."""
        self._offsets_s.append(offset_s)
        self._rtts_s.append(rtt_s)

    @property
    def offset_s(self) -> float | None:
        """Median offset; None before ``SAMPLES_MIN`` measurements."""
        return median(self._offsets_s) if len(self._offsets_s) >= SAMPLES_MIN else None

    @property
    def rtt_s(self) -> float | None:
        """Median round trip time; None before the first measurement."""
        return median(self._rtts_s) if self._rtts_s else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockVerdict:
    """``own_offset_s``: how far our clock is ahead of the cluster's; None when it is right.
    ``wrong_peers``: peers whose clock is off.
    """

    own_offset_s: float | None = None
    wrong_peers: tuple[int, ...] = ()


def judge_clocks(offsets_s: Mapping[int, float], *, offset_max_s: float) -> ClockVerdict:
    """Compare all clocks, ours included, with their median.

    With one peer alone nobody can say who is wrong: the peer is named.

    Args:
        offsets_s: the peers' clocks minus ours, by index.
        offset_max_s: what is still right.
    """
    clocks = sorted([0.0, *offsets_s.values()])
    middle = median(clocks) if len(clocks) % 2 else median_low(clocks)
    if len(clocks) % 2 == 0 and abs(clocks[len(clocks) // 2]) < abs(middle):
        middle = clocks[len(clocks) // 2]  # of two middle clocks, the one nearer to ours
    wrong = (
        i for i, offset_s in sorted(offsets_s.items()) if abs(offset_s - middle) > offset_max_s
    )
    return ClockVerdict(
        own_offset_s=-middle if abs(middle) > offset_max_s else None, wrong_peers=tuple(wrong)
    )
