"""Health checks: rules over the last minutes of the node's own metrics. Pure.

A check that fails is a hint for the operator, with a severity and what to do; unlike readiness it
restarts nothing. Names and thresholds are the reference's (section 6.3) where there is an equal.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import TypeAlias

Labels: TypeAlias = tuple[tuple[str, str], ...]  # sorted
Values: TypeAlias = Mapping[str, Mapping[Labels, float]]  # by sample name and labels

WINDOW_S = 600.0
BLOCKS_MAX = 50  # of the event loop in a window: about one a slot
SAMPLE_S = 15.0
MEMORY_WINDOW_S = 24 * 3600.0
MEMORY_SAMPLE_S = 1800.0
MEMORY_WARM_UP_S = 4 * 3600.0
MEMORY_GROWTH_MAX = 0.05
SERIES_MAX_PER_VALIDATOR = 100
MEMORY = "process_resident_memory_bytes"


class Severity(StrEnum):
    """How much a failing check matters."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Sample:
    """The metrics at one moment. ``series`` counts those of each family."""

    at_s: float
    values: Values
    series: Mapping[str, int]


class History:
    """The samples of the window, oldest first, and a few of the memory's last day."""

    def __init__(self, *, validators: int, peers_needed: int) -> None:
        self.validators = validators
        self.peers_needed = peers_needed
        self._samples: deque[Sample] = deque(maxlen=int(WINDOW_S / SAMPLE_S) + 1)
        self._memory: deque[tuple[float, float]] = deque(
            maxlen=int(MEMORY_WINDOW_S / MEMORY_SAMPLE_S) + 1
        )
        self._started_s: float | None = None

    def add(self, sample: Sample) -> None:
        """One more sample; those that fell out of the window are forgotten."""
        self._samples.append(sample)
        while sample.at_s - self._samples[0].at_s > WINDOW_S:
            self._samples.popleft()
        if self._started_s is None:
            self._started_s = sample.at_s
        memory = sum(sample.values.get(MEMORY, {}).values())
        warm = sample.at_s - self._started_s >= MEMORY_WARM_UP_S
        due = not self._memory or sample.at_s - self._memory[-1][0] >= MEMORY_SAMPLE_S
        if memory and warm and due:
            self._memory.append((sample.at_s, memory))

    def latest(self, name: str) -> float | None:
        """The sum of ``name`` now; None when it was never set."""
        series = self._samples[-1].values.get(name) if self._samples else None
        return sum(series.values()) if series else None

    def maximum(self, name: str, **labels: str) -> float:
        """The largest value of any series in the window."""
        found = (
            value
            for sample in self._samples
            for key, value in sample.values.get(name, {}).items()
            if _has(key, labels)
        )
        return max(found, default=0.0)

    def minimum(self, name: str) -> float:
        """The smallest value of any series in the window."""
        found = (v for sample in self._samples for v in sample.values.get(name, {}).values())
        return min(found, default=0.0)

    def count_above(self, name: str, bound: str) -> float:
        """How much of what a histogram saw in the window was above its bucket ``bound``."""
        below = self.increase(f"{name}_bucket", le=bound)
        return self.increase(f"{name}_count") - below

    def most_at_once(self, name: str) -> float | None:
        """The largest sum over all series in the window; None when it was never there."""
        sums = [
            sum(series.values())
            for sample in self._samples
            if (series := sample.values.get(name)) is not None
        ]
        return max(sums, default=None)

    def increase(self, name: str, *, without: str = "", **labels: str) -> float:
        """How much a counter grew in the window; ``without`` leaves out series by a label's part."""
        if len(self._samples) < 2:
            return 0.0
        first, last = self._samples[0].values.get(name, {}), self._samples[-1].values.get(name, {})
        return sum(
            value - first.get(key, 0.0)
            for key, value in last.items()
            if _has(key, labels) and not (without and any(without in text for _, text in key))
        )

    def average(self, name: str, *, without: str = "", **labels: str) -> float:
        """The mean of what a histogram saw in the window; 0 when it saw nothing."""
        count = self.increase(f"{name}_count", without=without, **labels)
        total = self.increase(f"{name}_sum", without=without, **labels)
        return total / count if count else 0.0

    def crowded(self) -> tuple[str, ...]:
        """Families with more series than the validators explain."""
        limit = SERIES_MAX_PER_VALIDATOR * max(self.validators, 1)
        series = self._samples[-1].series if self._samples else {}
        return tuple(sorted(name for name, count in series.items() if count > limit))

    def memory_grows(self) -> bool:
        """More memory in each quarter of a whole day than in the one before, and in all too much."""
        if not self._memory or self._memory[-1][0] - self._memory[0][0] < 0.9 * MEMORY_WINDOW_S:
            return False
        values = [value for _, value in self._memory]
        size = len(values) // 4
        means = [sum(values[i * size : (i + 1) * size]) / size for i in range(4)]
        rising = all(before < after for before, after in pairwise(means))
        return rising and means[-1] > means[0] * (1 + MEMORY_GROWTH_MAX)


@dataclass(frozen=True, slots=True)
class Check:
    """One rule. ``failing`` is asked after each sample."""

    name: str
    severity: Severity
    description: str
    mend: str
    failing: Callable[[History], bool]


def _has(key: Labels, labels: Mapping[str, str]) -> bool:
    return all(item in key for item in labels.items())


def _too_few_peers(history: History) -> bool:
    most = history.most_at_once("p2p_ping_success")
    return most is not None and most < history.peers_needed


def _pending(history: History) -> bool:
    active = history.latest("core_scheduler_validators_active")
    return active is not None and active < history.validators


def _heads_differ(history: History) -> bool:
    total = history.increase("core_tracker_expect_duties_total", duty="sync_message")
    different = history.increase("core_tracker_inconsistent_parsigs_total", duty="sync_message")
    return different > 0.05 * total


def _many_rounds(history: History) -> bool:
    rounds = "core_consensus_decided_rounds"
    return any(history.maximum(rounds, duty=duty) >= 2 for duty in ("proposer", "attester"))


# Names of samples that the checks look at: nothing else is kept.
LOOKED_AT = frozenset(
    {
        MEMORY,
        "app_eth2_latency_seconds_count",
        "app_eth2_latency_seconds_sum",
        "app_eth2_using_fallback",
        "app_monitoring_readyz",
        "app_peerinfo_clock_offset_seconds",
        "core_bcast_broadcast_total",
        "core_consensus_decided_rounds",
        "core_consensus_insufficient_round_changes_total",
        "core_fetcher_proposal_blinded",
        "core_fetcher_proposal_local_mismatch_fee_recipient",
        "core_parsigdb_store_count",
        "core_parsigdb_store_sum",
        "core_scheduler_submit_registration_errors_total",
        "core_scheduler_validators_active",
        "core_tracker_expect_duties_total",
        "core_tracker_failed_duties_total",
        "core_tracker_inconsistent_parsigs_total",
        "p2p_ping_latency_secs_count",
        "p2p_ping_latency_secs_sum",
        "p2p_ping_success",
        "tetrarch_event_loop_busy_seconds_bucket",
        "tetrarch_event_loop_busy_seconds_count",
    }
)
_CRITICAL, _WARNING, _INFO = Severity.CRITICAL, Severity.WARNING, Severity.INFO
ETH2_S = "app_eth2_latency_seconds"

CHECKS: tuple[Check, ...] = (
    Check(
        "beacon_node_syncing",
        _CRITICAL,
        "The beacon node is syncing: its data is old.",
        "wait for it, or add another beacon node",
        lambda history: history.latest("app_monitoring_readyz") == 3,
    ),
    Check(
        "insufficient_connected_peers",
        _CRITICAL,
        "Fewer nodes than a threshold needs were ever connected at once.",
        "ask their operators; open the mesh port between the nodes",
        _too_few_peers,
    ),
    Check(
        "local_proposal_fee_recipient_mismatch",
        _CRITICAL,
        "The beacon node made a block that pays another address.",
        "set the validator's fee recipient in the beacon node; such a block is not proposed",
        lambda history: history.maximum("core_fetcher_proposal_local_mismatch_fee_recipient") > 0,
    ),
    Check(
        "pending_validators",
        _INFO,
        "Some of the cluster's validators are not active.",
        "deposit for them, or wait for their activation",
        _pending,
    ),
    Check(
        "local_block_proposal",
        _INFO,
        "A block was built by our own beacon node instead of a builder.",
        "nothing, unless a builder is expected: then look at its relay",
        lambda history: (
            history.increase("core_bcast_broadcast_total", duty="proposer") > 0
            and history.latest("core_fetcher_proposal_blinded") == 0
        ),
    ),
    Check(
        "metrics_high_cardinality",
        _WARNING,
        "A metric has more series than the validators explain.",
        "report it as a bug, with the names in app_health_metrics_high_cardinality",
        lambda history: bool(history.crowded()),
    ),
    Check(
        "high_beacon_node_latency",
        _WARNING,
        "The beacon node answers slower than in a second on average.",
        "give it more resources, or bring it nearer",
        lambda history: history.average(ETH2_S, without="block") > 1.0,
    ),
    Check(
        "high_beacon_node_proposal_latency",
        _WARNING,
        "The beacon node needs more than two seconds for a block.",
        "look at its execution node and at the relays",
        lambda history: history.average(ETH2_S, endpoint="produce_block") > 2.0,
    ),
    Check(
        "using_fallback_beacon_nodes",
        _WARNING,
        "Fallback beacon nodes stand in.",
        "mend the primary beacon nodes; tetrarch_beacon_node_condition names them",
        lambda history: history.latest("app_eth2_using_fallback") == 1,
    ),
    Check(
        "high_peer_clock_offset",
        _WARNING,
        "A clock differs from ours by more than 200 ms.",
        "synchronise the clocks of the hosts by NTP",
        lambda history: (
            max(
                history.maximum("app_peerinfo_clock_offset_seconds"),
                -history.minimum("app_peerinfo_clock_offset_seconds"),
            )
            > 0.2
        ),
    ),
    Check(
        "high_peer_ping_latency",
        _WARNING,
        "Pings between nodes take more than 150 ms on average.",
        "bring the nodes nearer, or look at their networks",
        lambda history: history.average("p2p_ping_latency_secs") > 0.15,
    ),
    Check(
        "insufficient_round_changes",
        _WARNING,
        "Consensus could not change rounds: too few nodes asked for it.",
        "look which nodes are away or late",
        lambda history: history.increase("core_consensus_insufficient_round_changes_total") > 0,
    ),
    Check(
        "high_consensus_rounds",
        _WARNING,
        "A proposal or attestations took more than one round.",
        "look which leader was silent: round_changed in the log, /duties",
        _many_rounds,
    ),
    Check(
        "high_parsigdb_store_latency",
        _WARNING,
        "Partials of attestations come later than two seconds on average.",
        "look at the beacon nodes and networks of the nodes that are last",
        lambda history: history.average("core_parsigdb_store", duty="attester") > 2.0,
    ),
    Check(
        "high_parsigdb_store_latency_proposer",
        _WARNING,
        "Partials of proposals come later than three seconds on average.",
        "look at the time that producing a block takes",
        lambda history: history.average("core_parsigdb_store", duty="proposer") > 3.0,
    ),
    Check(
        "high_registration_failures_rate",
        _WARNING,
        "Registrations with builders were postponed or refused.",
        "look at the beacon node and its relays: registrations_postponed in the log",
        lambda history: history.increase("core_scheduler_submit_registration_errors_total") > 0,
    ),
    Check(
        "sync_message_head_disagreement",
        _WARNING,
        "In more than 5 % of the sync messages the nodes saw different heads.",
        "look which node differs in the duty's cohorts, and at its beacon node",
        _heads_differ,
    ),
    Check(
        "failed_duties",
        _WARNING,
        "A duty failed.",
        "core_tracker_failed_duty_reasons_total and duty_ended in the log tell why",
        lambda history: history.increase("core_tracker_failed_duties_total") > 0,
    ),
    Check(
        "event_loop_blocked",
        _WARNING,
        "The node itself held up its event loop for more than 20 ms, again and again.",
        "give the node a faster processor, or the cluster fewer validators",
        lambda history: (
            history.count_above("tetrarch_event_loop_busy_seconds", "0.02") > BLOCKS_MAX
        ),
    ),
    Check(
        "memory_leak",
        _WARNING,
        "Memory grew all day, by more than 5 %.",
        "report it as a bug; restart the node at a quiet time",
        lambda history: history.memory_grows(),
    ),
)
