"""What the consensus component takes from the rest of the node, and what it yields."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from tetrarch.clock import Clock
from tetrarch.consensus.codec import Codec
from tetrarch.consensus.events import Verdict
from tetrarch.consensus.timers import RoundTimes
from tetrarch.consensus.votes import VoteLog
from tetrarch.duties.types import Duty
from tetrarch.errors import PeerFault
from tetrarch.network.ports import MessageBus


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The cluster's one value for a duty. Times are wall-clock seconds of this node."""

    duty: Duty
    value: bytes
    round: int
    leader: int  # 0-based index of the node that proposed in that round
    started_s: float
    decided_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecided:
    """A duty's deadline came without a decision here; ``reason`` is a stable code."""

    duty: Duty
    round: int
    reason: str


# Judges a value, proposed in a round (first is 1), before this node consents to it. UNKNOWN: not
# now; it is asked again when a later round proposes the same.
Checker: TypeAlias = Callable[[Duty, bytes, int], Awaitable[Verdict]]


class Observer(Protocol):
    """Metrics and logs. Called inline: must return at once and never raise."""

    def round_changed(self, duty: Duty, round_: int, reason: str) -> None:
        """A round after the first began; ``reason`` says what the one before lacked."""
        ...

    def fault(self, peer: int, fault: PeerFault) -> None:
        """``peer`` broke the protocol."""
        ...

    def dropped(self, peer: int, reason: str) -> None:
        """A message of ``peer`` was not looked at: a bound was reached or it came too late."""
        ...

    def sent(self, duty: Duty, text: str) -> None:
        """``text`` has left this node (type, round and start of the value's hash)."""
        ...


class SilentObserver:
    """Looks away."""

    def round_changed(self, duty: Duty, round_: int, reason: str) -> None:
        """See ``Observer``."""

    def fault(self, peer: int, fault: PeerFault) -> None:
        """See ``Observer``."""

    def dropped(self, peer: int, reason: str) -> None:
        """See ``Observer``."""

    def sent(self, duty: Duty, text: str) -> None:
        """See ``Observer``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DutyTimes:
    """When duties start and end, and which of them a peer may speak of."""

    starts_s: Callable[[Duty], float]  # wall-clock seconds: rounds are aligned to it
    ends_s: Callable[[Duty], float | None]  # None: never, and thus nothing to agree on
    may_speak_of: Callable[[Duty], bool]
    rounds: RoundTimes


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsensusPorts:
    """All that an instance needs beside its duty."""

    bus: MessageBus
    codec: Codec
    times: DutyTimes
    checker: Checker
    votes: VoteLog
    clock: Clock
    node_count: int
    observer: Observer = field(default_factory=SilentObserver)
