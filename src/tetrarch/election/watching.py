"""Whom this member hears, whom the others hear, and which list follows. Pure."""

from tetrarch.election.configuration import Configuration
from tetrarch.election.messages import Heartbeat
from tetrarch.election.suspicion import Suspicion
from tetrarch.election.tally import Report, Standing, Tally, view_of
from tetrarch.election.timing import Timing


class Watching:
    """Heartbeats in, a list of living members out. Times are seconds of this member's clock."""

    def __init__(
        self, configuration: Configuration, own: int, timing: Timing, now_s: float
    ) -> None:
        self._own = own
        self._timing = timing
        self._quorum = configuration.quorum
        self._tally = Tally(configuration)
        self._sequence = 0
        self._heard: dict[int, int] = {}  # the newest number of each
        self._said: dict[int, tuple[frozenset[int], frozenset[int]]] = {}  # whom they do not hear
        self._suspicions = {
            member: self._unsuspected(now_s)
            for member in range(configuration.count)
            if member != own
        }
        self._down = frozenset(self._suspicions)  # until they are heard
        self._unstable_s: dict[int, float] = {}  # since when
        self._settled: tuple[int, ...] | None = None
        self._settled_s = now_s

    @property
    def down(self) -> tuple[int, ...]:
        """Whom this member does not hear."""
        return tuple(sorted(self._down))

    def echoed(self, now_s: float) -> tuple[int, ...]:
        """Whom it gives up because others do not hear them."""
        return tuple(
            sorted(
                member
                for member, since_s in self._unstable_s.items()
                if now_s - since_s >= self._timing.echo_s and member not in self._down
            )
        )

    def hear(self, source: int, heartbeat: Heartbeat, now_s: float) -> None:
        """A member is there, and says whom it does not hear. Old ones are passed over."""
        if source not in self._suspicions or heartbeat.sequence <= self._heard.get(source, -1):
            return
        self._heard[source] = heartbeat.sequence
        self._suspicions[source].heard(now_s)
        down, echoed = frozenset(heartbeat.down), frozenset(heartbeat.echoed)
        self._tally.take(Report(source, heartbeat.sequence, down, echoed))
        # All but a few say what they said before, and n x n heartbeats are many.
        if source in self._down or self._said.get(source) != (down, echoed):
            self._said[source] = (down, echoed)
            self.look(now_s)

    def forget(self, source: int, now_s: float) -> None:
        """``source`` began anew: its numbers start again, and its silence was a restart."""
        self._heard.pop(source, None)
        self._said.pop(source, None)
        self._tally.forget(source)
        self._suspicions[source] = self._unsuspected(now_s)

    def look(self, now_s: float) -> None:
        """Draw the conclusions: after a heartbeat with news, and when time has passed."""
        self._down = frozenset(
            member
            for member, suspicion in self._suspicions.items()
            if member not in self._heard or suspicion.is_above(self._timing.suspect_phi, now_s)
        )
        self._sequence += 1
        echoed = frozenset(self.echoed(now_s))
        self._tally.take(Report(self._own, self._sequence, self._down, echoed))
        observers = self._observers
        standings = self._tally.standings(observers)
        self._note_unstable(standings, now_s)
        view = view_of(standings)
        if view is not None and (self._own not in view or len(observers) < self._quorum):
            view = None
        if view != self._settled:
            self._settled = view
            self._settled_s = now_s

    def settled(self, now_s: float) -> tuple[int, ...] | None:
        """The list of living members, if it has stood for long enough and this one is in it."""
        if self._settled is None or now_s - self._settled_s < self._timing.settle_s:
            return None
        return self._settled

    def accepts(self, members: tuple[int, ...]) -> bool:
        """Whether another's list may be right: it differs in none of whom this member is sure."""
        if self._own not in members:
            return False
        standings = self._tally.standings(self._observers)
        for member in self._suspicions:
            standing = standings[member]
            if member in members and standing is Standing.DOWN:
                return False
            if member not in members and standing is Standing.UP and member not in self._down:
                return False
        return True

    @property
    def _observers(self) -> frozenset[int]:
        """Whose reports count: this member's own, and of those that it hears."""
        return frozenset(self._suspicions) - self._down | {self._own}

    def _note_unstable(self, standings: tuple[Standing, ...], now_s: float) -> None:
        """A member that has left stays so for as long as it would be unstable without echoes."""
        for member in self._suspicions:
            if standings[member] is Standing.UP:
                self._unstable_s.pop(member, None)
            else:
                self._unstable_s.setdefault(member, now_s)

    def _unsuspected(self, now_s: float) -> Suspicion:
        return Suspicion(
            started_s=now_s,
            expected_s=self._timing.heartbeat_s,
            slack_s=self._timing.heartbeat_s * self._timing.slack_heartbeats,
        )
