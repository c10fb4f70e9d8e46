"""How likely it is that a member is gone, from when its heartbeats came. Pure.

The level is phi = -log10(P), P being the chance that a heartbeat comes even later than now, if
intervals are as they were. One level more is a tenth of the chance that the suspicion is false.

Source: Hayashibara and others, "The phi accrual failure detector", SRDS 2004, section 4.2.
"""

import math
from collections import deque

SAMPLES_MAX = 100
PHI_MAX = 300.0  # beyond, the chance is no float any more


class Suspicion:
    """One member's heartbeats. Times are seconds of one clock that does not go back.

    ``expected_s``: the interval before any was seen. ``slack_s``: the smallest deviation that is
    assumed, for a regular past does not make a short delay suspicious.
    """

    def __init__(self, *, started_s: float, expected_s: float, slack_s: float) -> None:
        self._last_s = started_s
        self._slack_s = slack_s
        self._intervals: deque[float] = deque(maxlen=SAMPLES_MAX)
        self._mean_s, self._deviation_s = expected_s, slack_s

    def heard(self, now_s: float) -> None:
        """A heartbeat came. A long silence before it says nothing about intervals.

        Cost: one pass over the samples.
        """
        interval_s = now_s - self._last_s
        if interval_s >= 0 and self.phi(now_s) < PHI_MAX:
            self._intervals.append(interval_s)
            self._measure()
        self._last_s = max(now_s, self._last_s)

    def phi(self, now_s: float) -> float:
        """The level now: 0 or more, at most ``PHI_MAX``."""
        lateness = (now_s - self._last_s - self._mean_s) / self._deviation_s
        later = 0.5 * math.erfc(lateness / math.sqrt(2))
        return min(-math.log10(later), PHI_MAX) if later > 0 else PHI_MAX

    def is_above(self, level: float, now_s: float) -> bool:
        """Whether ``phi`` is ``level`` or more; ``level`` is 1 at least. Cheap for who is on time."""
        # Up to the mean, every second heartbeat would come later: phi is 0.3 at most.
        return now_s - self._last_s > self._mean_s and self.phi(now_s) >= level

    def _measure(self) -> None:
        count = len(self._intervals)
        self._mean_s = sum(self._intervals) / count
        variance = sum((each - self._mean_s) ** 2 for each in self._intervals) / count
        self._deviation_s = max(math.sqrt(variance), self._slack_s)
