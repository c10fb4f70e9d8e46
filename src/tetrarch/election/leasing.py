"""A leader's lease: for so long nobody else is certified, by the leader's own clock. Pure."""

from tetrarch.election.configuration import Configuration
from tetrarch.election.statements import Grant, Leader, Signed, Verifying

RENEWALS = 4  # in the time of one lease


class Leasing:
    """Of this member, for as long as it leads. Times are its own milliseconds."""

    def __init__(self, configuration: Configuration, own: int, keys: Verifying) -> None:
        self._configuration = configuration
        self._own = own
        self._keys = keys
        self._leader: Leader | None = None
        self._asked_ms = 0
        self._granted: set[int] = set()
        self._ends_ms = 0

    def lead(self, leader: Leader | None) -> None:
        """The newest leader, if it is this member; else None. Who stays keeps its lease."""
        self._leader = leader
        self._granted = set()
        self._asked_ms = 0
        self._ends_ms = 0 if leader is None else self._ends_ms

    def ask(self, now_ms: int) -> int | None:
        """From when on a lease is asked for, to stand in heartbeats; None: none is."""
        lease_ms = self._configuration.lease_ms
        if self._leader is None or not lease_ms:
            return None
        if not self._asked_ms or now_ms - self._asked_ms >= lease_ms // RENEWALS:
            self._asked_ms = now_ms
            self._granted = set()
        return self._asked_ms

    def take(self, grant: Signed[Grant]) -> None:
        """A member granted; a quorum of them makes a lease."""
        said = grant.what
        if self._leader is None or said.leader_hash != self._leader.hash:
            return
        if said.asked_ms != self._asked_ms or said.source in self._granted:
            return
        if not 0 <= said.source < self._configuration.count or not grant.is_genuine(self._keys):
            return
        self._granted.add(said.source)
        if len(self._granted) >= self._configuration.quorum:
            self._ends_ms = self._asked_ms + self._configuration.lease_ms

    def holds(self, now_ms: int) -> bool:
        """Whether this member is certainly the only leader now."""
        return now_ms < self._ends_ms
