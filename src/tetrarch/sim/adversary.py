"""Nodes that lie. Each holds its own key and may say anything; it cannot sign for others.

``Liar`` reacts to what it hears with drawn habits. ``TwinBus`` lets one node run two honest programs
with one key, which do not know of each other: the cheapest way to well-formed contradictions.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random
from typing import Self

from tetrarch.consensus.codec import Codec, Item, MessageInvalid, ValueItem, hash_value
from tetrarch.consensus.messages import (
    NO_VALUE,
    ROUNDS_MAX,
    Envelope,
    Justification,
    Message,
    MessageType,
    ValueHash,
    leader,
)
from tetrarch.duties.types import Duty
from tetrarch.network.ports import MessageBus, MessageHandler, Topic
from tetrarch.network.wrapped_bus import WrappedBus

CAPTURED_MAX = 64
BAD_PREFIX = b"bad"  # honest nodes' value check refuses such values
LIES_MAX = 3_000  # messages of one liar in a run, floods included


class Habit(StrEnum):
    """Ways to lie."""

    EQUIVOCATE = "equivocate"  # two proposals, two votes
    WITHHOLD = "withhold"  # a proposal without its value
    GARBAGE = "garbage"  # bytes that are no message, or nearly one
    REPLAY = "replay"  # own and others' old messages
    FORGE = "forge"  # justifications that prove nothing
    FLOOD = "flood"  # votes for many rounds at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Nature:
    """What a liar does, and how often it reacts to a message."""

    habits: frozenset[Habit]  # looked up only, never iterated
    zeal: float

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """Each habit with probability one half."""
        chosen = [habit for habit in Habit if rng.random() < 0.5]
        return cls(habits=frozenset(chosen), zeal=rng.choice([0.1, 0.5, 1.0]))


class Liar:
    """One lying node on ``bus``."""

    def __init__(
        self, bus: MessageBus, codec: Codec, *, rng: Random, nature: Nature, node_count: int
    ) -> None:
        self._bus = bus
        self._codec = codec
        self._rng = rng
        self._nature = nature
        self._node_count = node_count
        self._captured: deque[bytes] = deque(maxlen=CAPTURED_MAX)
        self._votes: deque[Envelope] = deque(maxlen=CAPTURED_MAX)
        self._lies = 0
        bus.subscribe(Topic.CONSENSUS, self._hear)

    async def lead(self, duty: Duty, at_s: float) -> None:
        """Propose in round 1 of ``duty`` at loop time ``at_s``, if this node leads it."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(at_s - loop.time(), 0))
        if leader(duty, 1, self._node_count) == self._bus.own_index:
            self._propose(duty, 1, ())

    def _has(self, habit: Habit) -> bool:
        return habit in self._nature.habits

    async def _hear(self, peer: int, payload: bytes) -> None:
        self._captured.append(payload)
        if self._rng.random() > self._nature.zeal:
            return
        try:
            items = self._codec.decode(payload)
        except MessageInvalid:
            return  # another liar's garbage
        for item in items:
            if isinstance(item, Envelope):
                self._votes.append(item)
                self._react(item.message)
        if self._has(Habit.REPLAY):
            self._send(self._any_peer(), self._rng.choice(self._captured))
        if self._has(Habit.GARBAGE):
            self._send(peer, self._spoiled(payload))

    def _react(self, message: Message) -> None:
        duty, round_ = message.duty, message.round
        if self._has(Habit.EQUIVOCATE) and message.type is MessageType.PRE_PREPARE:
            other = hash_value(self._value(duty, "other"))
            for peer in self._bus.peers:
                value_hash = self._rng.choice([message.value_hash, other])
                for kind in (MessageType.PREPARE, MessageType.COMMIT):
                    self._say(peer, self._signed(kind, duty, round_, value_hash))
        if self._has(Habit.FORGE):
            self._forge(duty, round_)
        if self._has(Habit.FLOOD):
            for step in range(20):
                far = min(round_ + step, ROUNDS_MAX)
                kind = self._rng.choice([MessageType.PREPARE, MessageType.COMMIT])
                value_hash = hash_value(self._value(duty, str(far)))
                self._say(self._any_peer(), self._signed(kind, duty, far, value_hash))

    def _propose(self, duty: Duty, round_: int, justification: Justification) -> None:
        texts = ["left", "right"] if self._has(Habit.EQUIVOCATE) else ["one"]
        for peer in self._bus.peers:
            value = self._value(duty, self._rng.choice(texts))
            kind = MessageType.PRE_PREPARE
            envelope = self._signed(kind, duty, round_, hash_value(value), justification)
            told: list[Item] = [envelope]
            if not self._has(Habit.WITHHOLD):
                told.append(ValueItem(duty, value))
            self._say(peer, *told)

    def _forge(self, duty: Duty, round_: int) -> None:
        """Proposals, round changes and decisions with stolen or missing justifications."""
        stolen = tuple(vote.signed for vote in self._votes if vote.message.duty == duty)
        stolen = stolen[-2 * self._node_count :]
        value = self._value(duty, "forged")
        later = min(round_ + self._rng.randint(0, 3), ROUNDS_MAX)
        if leader(duty, later, self._node_count) == self._bus.own_index:
            self._propose(duty, later, self._rng.choice([(), stolen]))
        for kind in (MessageType.DECIDED, MessageType.ROUND_CHANGE):
            lie = self._signed(kind, duty, later, hash_value(value), stolen).message
            if kind is MessageType.ROUND_CHANGE:
                lie = replace(lie, value_hash=NO_VALUE, prepared_hash=hash_value(value))
                lie = replace(lie, prepared_round=self._rng.randint(0, round_))
            own = self._codec.sign(lie)
            proof = self._rng.choice([(), stolen, (own,) * self._node_count])
            self._say(self._any_peer(), Envelope(own, proof), ValueItem(duty, value))

    def _signed(
        self,
        kind: MessageType,
        duty: Duty,
        round_: int,
        value_hash: ValueHash,
        justification: Justification = (),
    ) -> Envelope:
        message = Message(kind, duty, self._bus.own_index, round_, value_hash)
        if kind is MessageType.PREPARE and not justification:
            justification = self._word(message)
        return Envelope(self._codec.sign(message), justification)

    def _word(self, vote: Message) -> Justification:
        """The leader's word for ``vote``, if it can be had: an own one, or one that was heard."""
        first = leader(vote.duty, vote.round, self._node_count)
        said = replace(vote, type=MessageType.PRE_PREPARE, source=first)
        if first == self._bus.own_index:
            return (self._codec.sign(said),)
        return tuple(each.signed for each in self._votes if each.message == said)[:1]

    def _value(self, duty: Duty, text: str) -> bytes:
        prefix = self._rng.choice([BAD_PREFIX, b"odd"])
        return prefix + f"/{duty}/{self._bus.own_index}/{text}".encode()

    def _spoiled(self, payload: bytes) -> bytes:
        spoiled = bytearray(payload[:2_000])
        for _ in range(self._rng.randint(1, 4)):
            spoiled[self._rng.randrange(len(spoiled))] = self._rng.randrange(256)
        return bytes(spoiled[: self._rng.choice([3, 80, len(spoiled)])])

    def _any_peer(self) -> int:
        return self._rng.choice(self._bus.peers)

    def _say(self, peer: int, *items: Item) -> None:
        self._send(peer, self._codec.encode(items))

    def _send(self, peer: int, payload: bytes) -> None:
        self._lies += 1
        if self._lies <= LIES_MAX:
            self._bus.send(peer, Topic.CONSENSUS, payload)


class TwinBus(WrappedBus):
    """Half of a node's bus: hears everything, is heard by ``audience`` only."""

    def __init__(self, bus: MessageBus, audience: tuple[int, ...]) -> None:
        super().__init__(bus)
        self._audience = audience
        self.handlers: dict[Topic, MessageHandler] = {}

    def send(self, peer: int, topic: Topic, payload: bytes) -> bool:
        """See ``MessageBus``."""
        return peer in self._audience and self._bus.send(peer, topic, payload)

    def broadcast(self, topic: Topic, payload: bytes) -> None:
        """See ``MessageBus``."""
        for peer in self.peers:
            self.send(peer, topic, payload)

    def subscribe(self, topic: Topic, handler: MessageHandler) -> None:
        """See ``MessageBus``."""
        self.handlers[topic] = handler


def twins(bus: MessageBus, rng: Random) -> tuple[TwinBus, TwinBus]:
    """Split ``bus`` in two: each peer hears one twin, or both."""
    sides = {peer: rng.choice(["left", "right", "both"]) for peer in bus.peers}
    left, right = (
        TwinBus(bus, tuple(peer for peer in bus.peers if sides[peer] in {side, "both"}))
        for side in ("left", "right")
    )

    async def hear(peer: int, payload: bytes) -> None:
        for twin in (left, right):
            await twin.handlers[Topic.CONSENSUS](peer, payload)

    bus.subscribe(Topic.CONSENSUS, hear)
    return left, right
