"""Whether a beacon node may be asked: health with hysteresis and a circuit breaker. Pure.

``step`` takes an event and the time, and gives the next state. Time is any clock that never goes
back, in seconds; nothing here reads one.

* A node is **down** after ``failures_down`` failures in a row. Its circuit is then *open*: it is
  left alone until ``retry_at_s``. After that one probe may pass (*half open*): a failure opens
  the circuit again for twice as long, ``successes_up`` successes in a row close it.
* A node is **degraded** while it lags: it syncs, is behind by more than ``distance_max`` slots,
  follows its chain optimistically, or has lost its execution node. It takes ``reports_up`` good
  reports in a row to be healthy again.
* Otherwise it is **healthy**; so it is at first, until something is known.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self, TypeAlias


class Condition(StrEnum):
    """How far a node can be relied on."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    DOWN = "down"


class Circuit(StrEnum):
    """Whether requests pass."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthRules:
    """When a node's health changes."""

    failures_down: int = 3
    successes_up: int = 2
    reports_up: int = 2
    distance_max: int = 2
    backoff_first_s: float = 1.0
    backoff_max_s: float = 10.0  # less than a slot: who is back is to be noticed before the next


@dataclass(frozen=True, slots=True)
class Succeeded:
    """It answered; a refusal that blames the request is an answer."""


@dataclass(frozen=True, slots=True)
class Failed:
    """It did not answer, or with nonsense, or that it is broken."""


@dataclass(frozen=True, slots=True)
class ProbeStarted:
    """Somebody asks it although its circuit was open."""


@dataclass(frozen=True, slots=True)
class ProbeAbandoned:
    """Whoever asked gave up before there was an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """It said how far it is. That it answered is told apart, by ``Succeeded``."""

    sync_distance: int
    is_syncing: bool = False
    is_optimistic: bool = False
    el_offline: bool = False


Event: TypeAlias = Succeeded | Failed | ProbeStarted | ProbeAbandoned | Reported


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """One node's state; ``step`` gives the next."""

    circuit: Circuit = Circuit.CLOSED
    failures: int = 0  # in a row, while closed
    successes: int = 0  # in a row, while half open
    trips: int = 0  # times it opened since it was closed last
    retry_at_s: float = 0.0  # while open
    probing: bool = False
    good_reports: int | None = None  # in a row since it lagged; None: does not lag

    @property
    def condition(self) -> Condition:
        """How far the node can be relied on."""
        if self.circuit is not Circuit.CLOSED:
            return Condition.DOWN
        return Condition.HEALTHY if self.good_reports is None else Condition.DEGRADED

    def may_probe(self, now_s: float) -> bool:
        """Whether one request may pass although the node is down."""
        match self.circuit:
            case Circuit.CLOSED:
                return False
            case Circuit.OPEN:
                return now_s >= self.retry_at_s
            case Circuit.HALF_OPEN:
                return not self.probing

    def step(self, event: Event, now_s: float, rules: HealthRules) -> Self:
        """The state after ``event`` at ``now_s``."""
        match event:
            case Succeeded():
                return self._succeeded(rules)
            case Failed():
                return self._failed(now_s, rules)
            case ProbeStarted():
                if self.circuit is Circuit.CLOSED:
                    return self
                return replace(self, circuit=Circuit.HALF_OPEN, probing=True)
            case ProbeAbandoned():
                return replace(self, probing=False)
            case Reported():
                return replace(self, good_reports=self._good_reports(event, rules))

    def _succeeded(self, rules: HealthRules) -> Self:
        if self.circuit is Circuit.CLOSED:
            return replace(self, failures=0)
        successes = self.successes + 1
        if successes < rules.successes_up:
            return replace(self, circuit=Circuit.HALF_OPEN, successes=successes, probing=False)
        return replace(
            self, circuit=Circuit.CLOSED, failures=0, successes=0, trips=0, probing=False
        )

    def _failed(self, now_s: float, rules: HealthRules) -> Self:
        match self.circuit:
            case Circuit.CLOSED:
                failures = self.failures + 1
                if failures < rules.failures_down:
                    return replace(self, failures=failures)
                return self._opened(now_s, rules)
            case Circuit.HALF_OPEN:
                return self._opened(now_s, rules)
            case Circuit.OPEN:  # an answer to what was asked before it opened
                return self

    def _opened(self, now_s: float, rules: HealthRules) -> Self:
        doubled_s = rules.backoff_first_s * 2.0 ** min(self.trips, 30)
        return replace(
            self,
            circuit=Circuit.OPEN,
            failures=0,
            successes=0,
            trips=self.trips + 1,
            retry_at_s=now_s + min(doubled_s, rules.backoff_max_s),
            probing=False,
        )

    def _good_reports(self, report: Reported, rules: HealthRules) -> int | None:
        lags = (
            report.is_syncing
            or report.is_optimistic
            or report.el_offline
            or report.sync_distance > rules.distance_max
        )
        if lags:
            return 0
        if self.good_reports is None or self.good_reports + 1 >= rules.reports_up:
            return None
        return self.good_reports + 1
