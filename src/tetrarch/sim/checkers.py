"""What must hold in every run, judged outside the nodes from what they send and decide."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from tetrarch.consensus.codec import Codec
from tetrarch.consensus.messages import Envelope, Message, MessageType, SignedMessage
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
    """No honest node says two different things in one round, restarts included.

    What a node forgot with a backup binds it where its peers can tell it so: see ``forget``.
    """

    codec: Codec
    honest: tuple[int, ...]
    faulty_max: int = 0
    now_s: Callable[[], float] = lambda: 0.0
    said: dict[tuple[int, Duty, int, MessageType], Envelope] = field(default_factory=dict)
    said_s: dict[tuple[int, Duty, int, MessageType], float] = field(default_factory=dict)
    _last: bytes = b""

    def note(self, source: int, topic: Topic, payload: bytes) -> None:
        """``source`` sends ``payload``."""
        if source not in self.honest or topic is not Topic.CONSENSUS or payload is self._last:
            return
        self._last = payload
        for item in self.codec.decode(payload):
            if isinstance(item, Envelope) and item.message.type is not MessageType.DECIDED:
                message = item.message
                key = _key(message)
                first = self.said.setdefault(key, item)
                self.said_s.setdefault(key, self.now_s())
                same = first.message == message
                require(same, "an honest node says one thing", node=source, said=message)

    def forget(self, node: int, *, since_s: float, told: Iterable[Sequence[SignedMessage]]) -> None:
        """``node`` is back on a backup from ``since_s``; ``told``: what each honest peer heard.

        It asks so many that one of f + 1 who remember is among them. What fewer remember, as
        it was lost on its way, the node may not learn of, and may contradict.
        """
        lost = {key for key, at_s in self.said_s.items() if key[0] == node and at_s > since_s}
        remembering = sum(any(_key(each.message) in lost for each in heard) for heard in told)
        if remembering <= self.faulty_max:
            for key in lost:
                del self.said[key], self.said_s[key]


def _key(message: Message) -> tuple[int, Duty, int, MessageType]:
    return message.source, message.duty, message.round, message.type
