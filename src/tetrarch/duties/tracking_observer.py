"""Lets the tracker hear what consensus observes, beside whoever else does."""

from tetrarch.consensus.messages import leader
from tetrarch.consensus.ports import Observer
from tetrarch.duties.duty import PeerIndex
from tetrarch.duties.tracker import Tracker
from tetrarch.duties.types import Duty
from tetrarch.errors import PeerFault

# What is dropped of honest nodes, too, is not among these.
FLOODING = frozenset({"peer_budget", "inbox_full", "too_many_duties", "too_many_faults"})


class TrackingObserver:
    """Hands every observation on to ``then``."""

    def __init__(self, tracker: Tracker, *, node_count: int, then: Observer) -> None:
        self._tracker = tracker
        self._node_count = node_count
        self._then = then

    def round_changed(self, duty: Duty, round_: int, reason: str) -> None:
        """See ``Observer``."""
        before = PeerIndex(leader(duty, round_ - 1, self._node_count))
        self._tracker.round_changed(duty, round_, reason, before)
        self._then.round_changed(duty, round_, reason)

    def fault(self, peer: int, fault: PeerFault) -> None:
        """See ``Observer``."""
        duty = fault.fields.get("duty")
        kind = str(fault.fields.get("kind", fault.code))
        self._tracker.fault(peer, kind, duty if isinstance(duty, Duty) else None)
        self._then.fault(peer, fault)

    def dropped(self, peer: int, reason: str) -> None:
        """See ``Observer``."""
        if reason in FLOODING:
            self._tracker.fault(peer, f"flood: {reason}")
        self._then.dropped(peer, reason)

    def sent(self, duty: Duty, text: str) -> None:
        """See ``Observer``."""
        self._then.sent(duty, text)
