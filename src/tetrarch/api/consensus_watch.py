"""Consensus, as its operator sees it: metrics and log lines of rounds, faults and drops."""

from tetrarch.api.duty_traces import DutyTraces
from tetrarch.api.workflow_watch import PROTOCOL, TIMER, type_name
from tetrarch.consensus.ports import SilentObserver
from tetrarch.duties.types import Duty
from tetrarch.errors import PeerFault
from tetrarch.observability.logs import Log
from tetrarch.observability.metrics import Metrics


class ConsensusWatch(SilentObserver):
    """An ``Observer`` of one node. Looks away from what is sent: the mesh counts messages.

    A faulty peer cannot fill the log: its warnings name its number and a kind of a fixed set,
    and the log leaves out warnings that repeat one another.
    """

    def __init__(self, metrics: Metrics, log: Log, *, traces: DutyTraces | None = None) -> None:
        self._traces = traces
        self._rounds = metrics.counter("consensus_round_changes_total")
        self._faults = metrics.counter("consensus_faults_total")
        self._dropped = metrics.counter("consensus_dropped_messages_total")
        self._errors = metrics.counter("core_consensus_error_total").labels(PROTOCOL)
        self._timeouts = metrics.counter("core_consensus_timeout_total")
        self._insufficient = metrics.counter("core_consensus_insufficient_round_changes_total")
        self._log = log.bind(topic="qbft")

    def round_changed(self, duty: Duty, round_: int, reason: str) -> None:
        """See ``Observer``."""
        name = type_name(duty)
        self._rounds.labels(name, reason).inc()
        self._timeouts.labels(PROTOCOL, name, TIMER).inc()
        if reason == "too_few_round_changes":
            self._insufficient.labels(PROTOCOL, name, TIMER, "round_changed").inc()
        if self._traces is not None:
            self._traces.round_changed(duty, round_, reason)
        self._log.info("round_changed", duty=str(duty), round=round_, reason=reason)

    def fault(self, peer: int, fault: PeerFault) -> None:
        """See ``Observer``."""
        kind = str(fault.fields.get("kind", fault.code))
        self._faults.labels(str(peer), kind).inc()
        self._errors.inc()
        self._log.warning("consensus_fault", peer=peer, kind=kind, reason=fault.code)
        self._log.debug("consensus_fault", peer=peer, fault=str(fault))

    def dropped(self, peer: int, reason: str) -> None:
        """See ``Observer``."""
        self._dropped.labels(str(peer), reason).inc()
        self._log.debug("consensus_dropped", peer=peer, reason=reason)
