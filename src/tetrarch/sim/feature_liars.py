"""Byzantine nodes in the cluster's own agreement: another statement for each peer, false ballots.

None of them can sign for another node: they lie about themselves, leave others out, and repeat
and forge what will not verify.
"""

from random import Random

from tetrarch.consensus.priority import PriorityCodec, SignedStatement, Statement, Topic
from tetrarch.duties.features import BUILDER, FEATURES, FULL, PROPOSAL, VERSION
from tetrarch.duties.types import Duty
from tetrarch.errors import TetrarchError
from tetrarch.network.ports import Topic as BusTopic
from tetrarch.network.requests import Subject
from tetrarch.network.versions import PLURAL_CONTRIBUTIONS

HEADS = {BusTopic.REQUESTS: 9, BusTopic.ANSWERS: 10}  # bytes before the body
KEPT_MAX = 64


class FeatureLies:
    """Lies of one node. What it has heard of others it may use, as far as that is signed."""

    def __init__(self, codec: PriorityCodec, *, own_index: int, rng: Random) -> None:
        self._codec = codec
        self._own_index = own_index
        self._rng = rng
        self._heard: dict[tuple[Duty, int], SignedStatement] = {}

    def hear(self, peer: int, topic: BusTopic, payload: bytes) -> Duty | None:
        """Keep a peer's statement; its duty, or None where the message is about something else."""
        if not is_about_priority(payload):
            return None
        try:
            signed = self._codec.decode(payload[HEADS[topic] :])
        except TetrarchError:
            return None
        self._heard[signed.statement.duty, peer] = signed
        while len(self._heard) > KEPT_MAX:
            del self._heard[next(iter(self._heard))]
        return signed.statement.duty

    def spoil(self, topic: BusTopic, payload: bytes) -> list[bytes]:
        """What goes out instead of an own statement, drawn anew for each peer."""
        head, body = payload[: HEADS[topic]], payload[HEADS[topic] :]
        try:
            duty = self._codec.decode(body).statement.duty
        except TetrarchError:
            return [payload]
        lies = [
            [payload],
            [head + self.statement(duty)],
            [head + self.statement(duty), head + self.statement(duty)],
            [head + self._rng.randbytes(self._rng.choice([0, 30, 200]))],
            [head + self._rng.choice(self._others(duty))],
            [],
        ]
        return self._rng.choice(lies)

    def statement(self, duty: Duty) -> bytes:
        """An own statement of the right form, and any content."""
        return self._codec.encode(self._signed(duty))

    def ballot(self, duty: Duty) -> bytes:
        """What this node proposes where it leads: right but incomplete, or wrong."""
        rng, codec = self._rng, self._codec
        others = [s for (about, _), s in sorted(self._heard.items(), key=_by_key) if about == duty]
        old = [s for (about, _), s in sorted(self._heard.items(), key=_by_key) if about != duty]
        own = self._signed(duty)
        right = codec.encode_ballot(duty, [own, *others])
        match rng.choice(["all", "some", "few", "cut", "forged", "old"]):
            case "some" if others:
                return codec.encode_ballot(duty, [own, *rng.sample(others, len(others) - 1)])
            case "few":
                return codec.encode_ballot(duty, [own])
            case "cut":
                return right[: rng.randrange(len(right))]
            case "forged" if others:
                victim = rng.choice(others).statement
                forged = SignedStatement(
                    Statement(duty, victim.source, own.statement.topics), own.signature
                )
                rest = [s for s in others if s.statement.source != victim.source]
                return codec.encode_ballot(duty, [own, forged, *rest])
            case "old" if old:
                return right + codec.encode(rng.choice(old))
            case _:
                return right

    def _signed(self, duty: Duty) -> SignedStatement:
        rng = self._rng
        features = rng.choice([(), (PLURAL_CONTRIBUTIONS,), ("evil", PLURAL_CONTRIBUTIONS)])
        wants = rng.choice([(FULL,), (BUILDER, FULL), ("evil",)])
        versions = rng.choice([("1",), ("9", "1"), ()])
        topics = (Topic(FEATURES, features), Topic(PROPOSAL, wants), Topic(VERSION, versions))
        return self._codec.sign(Statement(duty, self._own_index, topics))

    def _others(self, duty: Duty) -> list[bytes]:
        found = [s for (_, _), s in sorted(self._heard.items(), key=_by_key)]
        return [self._codec.encode(s) for s in found] or [self.statement(duty)]


def is_about_priority(payload: bytes) -> bool:
    """Whether a question or answer is about priorities."""
    return bool(payload) and payload[0] == Subject.PRIORITY


def _by_key(entry: tuple[tuple[Duty, int], SignedStatement]) -> tuple[Duty, int]:
    return entry[0]
