"""What can happen to a QBFT instance, and what it may ask of the world. Pure, frozen values."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from tetrarch.consensus.messages import Envelope, Justification, Message, ValueHash


class Verdict(StrEnum):
    """What the value check says. UNKNOWN is no consent now, but may become one later."""

    OK = "ok"
    REFUSED = "refused"
    UNKNOWN = "unknown"


# Events: all that can happen to the machine.
@dataclass(frozen=True, slots=True)
class Started:
    """Take part from now on, with the own value if it is there already."""

    value_hash: ValueHash | None = None


@dataclass(frozen=True, slots=True)
class Resumed:
    """Take part again after a restart; ``sent`` is all that the vote log holds for the duty."""

    sent: tuple[Envelope, ...]


@dataclass(frozen=True, slots=True)
class InputArrived:
    """The own value is there. Only the first one counts."""

    value_hash: ValueHash


@dataclass(frozen=True, slots=True)
class Received:
    """A message whose signatures are verified; own messages come back this way too."""

    envelope: Envelope


@dataclass(frozen=True, slots=True)
class TimerFired:
    """``round``'s time is over."""

    round: int


@dataclass(frozen=True, slots=True)
class ValueChecked:
    """The answer to ``CheckValue``."""

    value_hash: ValueHash
    verdict: Verdict


# Effects: all that it may ask of the world, in this order.
@dataclass(frozen=True, slots=True)
class Broadcast:
    """Sign ``message``, log it with ``evidence``, send it to all peers, and give it back."""

    message: Message
    justification: Justification = ()
    evidence: Justification = ()  # stays here: what a restart needs to know beside the message


@dataclass(frozen=True, slots=True)
class Resend:
    """Send again what was signed and logged before the restart, and give it back."""

    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Answer:
    """Sign ``message`` and send it to ``peer`` alone. Not logged: it is a proof, not a vote."""

    peer: int
    message: Message
    justification: Justification


@dataclass(frozen=True, slots=True)
class StartTimer:
    """``round`` begins; replaces the timer of any earlier round."""

    round: int


@dataclass(frozen=True, slots=True)
class ExtendTimer:
    """``round`` has its proposal and lasts its whole duration from now."""

    round: int


@dataclass(frozen=True, slots=True)
class CheckValue:
    """Find the bytes of the value that ``source`` proposes in ``round``, and judge them."""

    value_hash: ValueHash
    source: int
    round: int


@dataclass(frozen=True, slots=True)
class Decide:
    """The instance's one decision. Timers are over."""

    value_hash: ValueHash
    round: int


@dataclass(frozen=True, slots=True)
class Blame:
    """``source`` broke the protocol; ``kind`` is a stable code."""

    source: int
    kind: str


Event: TypeAlias = Started | Resumed | InputArrived | Received | TimerFired | ValueChecked
Effect: TypeAlias = (
    Broadcast | Resend | Answer | StartTimer | ExtendTimer | CheckValue | Decide | Blame
)
