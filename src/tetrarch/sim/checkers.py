"""What must hold in every run, judged outside the nodes from what they send and decide."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tetrarch.consensus.codec import Codec
from tetrarch.consensus.messages import Envelope, MessageType
from tetrarch.consensus.ports import Decided
from tetrarch.duties.types import Duty
from tetrarch.network.ports import Topic


class SimViolation(BaseException):
    """A property of the protocol does not hold. Not an Exception: nothing may swallow it."""


def require(holds: bool, claim: str, **fields: object) -> None:  # noqa: FBT001 - a sentence
    """Stop the run when ``claim`` is false."""
    if not holds:
        detail = " ".join(f"{name}={value}" for name, value in fields.items())
        raise SimViolation(f"{claim} {detail}")


@dataclass(slots=True)
class Agreement:
    """Honest nodes decide the same; each decides what is valid."""

    valid: Callable[[Decided], bool]
    chosen: dict[Duty, bytes] = field(default_factory=dict)
    deciders: dict[Duty, dict[int, int]] = field(default_factory=dict)  # node: life it decided in

    def note(self, node: int, life: int, decided: Decided) -> None:
        """``node`` (in its ``life``-th run of the program) has decided."""
        value = self.chosen.setdefault(decided.duty, decided.value)
        require(value == decided.value, "honest nodes agree", node=node, duty=decided.duty)
        require(self.valid(decided), "the decided value is valid", node=node, duty=decided.duty)
        lives = self.deciders.setdefault(decided.duty, {})
        require(lives.get(node) != life, "a node decides once", node=node, duty=decided.duty)
        lives[node] = life

    def missing(self, duty: Duty, nodes: tuple[int, ...]) -> tuple[int, ...]:
        """Which of ``nodes`` have not decided ``duty``."""
        deciders = self.deciders.get(duty, {})
        return tuple(node for node in nodes if node not in deciders)


@dataclass(slots=True)
class Honesty:
    """No honest node says two different things in one round, restarts included."""

    codec: Codec
    honest: tuple[int, ...]
    said: dict[tuple[int, Duty, int, MessageType], Envelope] = field(default_factory=dict)
    _last: bytes = b""

    def note(self, source: int, topic: Topic, payload: bytes) -> None:
        """``source`` sends ``payload``."""
        if source not in self.honest or topic is not Topic.CONSENSUS or payload is self._last:
            return
        self._last = payload
        for item in self.codec.decode(payload):
            if isinstance(item, Envelope) and item.message.type is not MessageType.DECIDED:
                message = item.message
                key = (source, message.duty, message.round, message.type)
                first = self.said.setdefault(key, item)
                same = first.message == message
                require(same, "an honest node says one thing", node=source, said=message)
