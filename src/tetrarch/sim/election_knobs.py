"""What the adversary of an election may do, how careless enclaves may be, and what came of it."""

from dataclasses import dataclass

from tetrarch.election.configuration import Configuration
from tetrarch.election.quorums import Mode, recovery_quorum


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """What the adversary may do, and how careless the enclaves are (for controls)."""

    count: int = 4
    mode: Mode = Mode.BFT
    liars: int = 1
    steps: int = 120
    rollbacks: bool = False  # restarts from any sealed state, not from the newest one only
    copies: int = 0  # so many members run two at a time
    cold_starts: bool = False  # operators accept that all were down at once
    stale_max: int = 0  # without ``rollbacks``: so many members at a time restart from old states
    leases: bool = False
    changes: bool = False  # members hand over to another configuration, whose members go on
    stops_durably: bool = True  # False: a member hands over without having that kept by the others
    guarded: bool = True  # False: a restarted enclave goes on from what it has, as if it were whole
    answers_fewer: int = 0  # than a recovery needs
    counters: int = 0  # so many members have one in hardware, which nothing sets back


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one schedule came to."""

    terms_certified: int
    conflicts: tuple[int, ...]  # terms with two leaders
    leases_broken: int  # a leader was certified while another held its lease
    leases_held: int
    recoveries: int
    successions: int  # configurations that were handed over to; two are a conflict
    terms_after: int  # of those that were certified, by a successor


@dataclass(frozen=True, slots=True, kw_only=True)
class Careless(Configuration):
    """For controls: a recovery is content with fewer answers."""

    fewer: int = 0

    @property
    def recovery_quorum(self) -> int:
        """Fewer than are enough."""
        return recovery_quorum(self.count, self.mode) - self.fewer
