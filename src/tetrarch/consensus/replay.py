"""Turns a dump of one node's messages into the story of each duty. Pure.

Each duty's messages run through the QBFT machine again, from that node's place. What the node
did by itself shows in what it sent: a ROUND-CHANGE when its timer fired, a PREPARE when it
consented, a PRE-PREPARE when it had a value. The machine must then say all that the node said
(else ``unexplained`` lists it: another version, a restart, or a bug) and decide the same. What a
node says waits for its disk, and others are heard meanwhile: what is of a round that is over, or
agrees with what is decided by then, was on its way and is no contradiction.

A round's *presence* is one character per node for each type of message: ``*`` heard, ``?`` not,
``_`` not expected of that node. ``pre_prepare ___*`` reads: node 3 leads, and proposed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tetrarch.consensus.codec import Codec, Item, MessageInvalid
from tetrarch.consensus.dump import Dump
from tetrarch.consensus.events import (
    Broadcast,
    Event,
    InputArrived,
    Received,
    Started,
    TimerFired,
    ValueChecked,
    Verdict,
)
from tetrarch.consensus.justify import justified
from tetrarch.consensus.messages import (
    HASH_SIZE_BYTES,
    NO_VALUE,
    ROUND_FIRST,
    SIGNATURE_SIZE_BYTES,
    Envelope,
    Justification,
    Message,
    MessageType,
    SignedMessage,
    leader,
)
from tetrarch.consensus.qbft import Qbft
from tetrarch.duties.types import Duty
from tetrarch.errors import InvariantBroken

_SHOWN = (
    MessageType.ROUND_CHANGE,
    MessageType.PRE_PREPARE,
    MessageType.PREPARE,
    MessageType.COMMIT,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One message, as it was heard or said. ``at_ms`` counts from the duty's first message."""

    at_ms: float
    source: int
    type: str
    round: int
    value: str  # start of the value's hash; "" for none
    sent: bool
    fault: str = ""  # why it was not taken


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundStory:
    """One round. ``lacked`` says why it did not decide; "" for the one that did."""

    round: int
    leader: int
    presence: dict[str, str]
    lacked: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One duty, from one node's place."""

    slot: int
    type: str
    own_index: int
    decided_value: str | None
    decided_round: int | None
    rounds: tuple[RoundStory, ...]
    lines: tuple[Line, ...]
    unexplained: tuple[str, ...]  # what the node sent and the machine would not


class _NoIdentity:
    """Replays neither sign nor verify: the node has verified what it took."""

    def sign(self, digest: bytes) -> bytes:
        del digest
        raise InvariantBroken("a replay signs nothing")

    def verify(self, source: int, digest: bytes, signature: bytes) -> bool:
        del source, digest, signature
        raise InvariantBroken("a replay verifies nothing")


@dataclass(slots=True)
class _Heard:
    """One item of one payload, with where it came from."""

    at_s: float
    sent: bool
    peer: int | None
    item: Item


@dataclass(slots=True)
class _Player:
    """Plays one duty."""

    dump: Dump
    duty: Duty
    machine: Qbft = field(init=False)
    said: list[Message] = field(default_factory=list)
    lacked: dict[int, str] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    taken: dict[tuple[MessageType, int], set[int]] = field(default_factory=dict)
    doubtful: dict[Message, None] = field(default_factory=dict)  # sent, and not said at once

    def __post_init__(self) -> None:
        self.machine = Qbft(
            duty=self.duty, node_count=self.dump.node_count, own_index=self.dump.own_index
        )

    def play(self, heard: Iterable[_Heard]) -> Story:
        self.apply(Started())
        start_s: float | None = None
        for each in heard:
            start_s = each.at_s if start_s is None else start_s
            if isinstance(each.item, Envelope):
                at_ms = round((each.at_s - start_s) * 1000, 1)
                self.hear(each, each.item, at_ms)
        decided = self.machine.decided
        return Story(
            slot=self.duty.slot,
            type=self.duty.type.name.lower(),
            own_index=self.dump.own_index,
            decided_value=None if decided is None else decided.value_hash.hex(),
            decided_round=None if decided is None else decided.round,
            rounds=self.rounds(),
            lines=tuple(self.lines),
            unexplained=tuple(
                f"{message.type.name.lower()} round={message.round}"
                for message in self.doubtful
                if message not in self.said
            ),
        )

    def hear(self, heard: _Heard, envelope: Envelope, at_ms: float) -> None:
        message = envelope.message
        fault = ""
        if not heard.sent and message.source != heard.peer:
            fault = "relayed"
        elif not justified(envelope, self.dump.node_count):
            fault = "unjustified"
        elif heard.sent and message.type is not MessageType.DECIDED:
            self.before_own(message, envelope.justification)
            if message not in self.said and not self.was_under_way(message):
                self.doubtful[message] = None
        self.lines.append(_line(heard, message, at_ms, fault))
        if fault:
            return
        self.taken.setdefault((message.type, message.round), set()).add(message.source)
        if not (heard.sent and message in self.said):  # else the machine has heard itself
            self.apply(Received(envelope))

    def before_own(self, message: Message, proof: Justification) -> None:
        """Let happen what must have happened before the node said this."""
        machine = self.machine
        match message.type:
            case MessageType.ROUND_CHANGE if machine.round < message.round:
                self.apply(TimerFired(machine.round))
            case MessageType.PRE_PREPARE if not any(p.message.prepared_round for p in proof):
                self.apply(InputArrived(message.value_hash))  # else it is another's value
            case MessageType.PREPARE if machine.accepted == message.value_hash:
                self.apply(ValueChecked(message.value_hash, Verdict.OK))
            case _:
                pass

    def was_under_way(self, message: Message) -> bool:
        """Whether the node may have said this before it heard what it heard before sending it."""
        if message.type is MessageType.PRE_PREPARE and message.round > ROUND_FIRST:
            return True  # it carries the ROUND-CHANGEs that entitle it, newer ones may be here
        decided = self.machine.decided
        if decided is not None:
            votes = message.type in {MessageType.PREPARE, MessageType.COMMIT}
            return not votes or message.value_hash == decided.value_hash
        # A round is entered by one's own ROUND-CHANGE, or by the proposal that came before it left.
        changing = message.type is MessageType.ROUND_CHANGE
        return message.round < self.machine.round + changing

    def apply(self, event: Event) -> None:
        events = [event]
        while events:
            before, lacked = self.machine.round, self.machine.missing()
            for effect in self.machine.handle(events.pop(0)):
                if isinstance(effect, Broadcast):
                    self.said.append(effect.message)
                    # Without a signature: the machine does not look at it.
                    own = Envelope(_unsigned(effect.message), effect.justification)
                    events.append(Received(own))
            if self.machine.round > before >= ROUND_FIRST:
                self.lacked[before] = lacked

    def rounds(self) -> tuple[RoundStory, ...]:
        decided = self.machine.decided
        last = max([self.machine.round, *(round_ for _, round_ in self.taken)])
        return tuple(
            RoundStory(
                round=round_,
                leader=leader(self.duty, round_, self.dump.node_count),
                presence={each.name.lower(): self.presence(each, round_) for each in _SHOWN},
                lacked=""
                if decided is not None and decided.round == round_
                else self.lacked.get(round_) or self.machine.missing(),
            )
            for round_ in range(ROUND_FIRST, last + 1)
        )

    def presence(self, kind: MessageType, round_: int) -> str:
        there = self.taken.get((kind, round_), set())
        leads = leader(self.duty, round_, self.dump.node_count)
        expected = kind is not MessageType.ROUND_CHANGE or round_ > ROUND_FIRST
        marks = []
        for node in range(self.dump.node_count):
            if node in there:
                marks.append("*")
            elif not expected or (kind is MessageType.PRE_PREPARE and node != leads):
                marks.append("_")
            else:
                marks.append("?")
        return "".join(marks)


def _unsigned(message: Message) -> SignedMessage:
    return SignedMessage(message, bytes(SIGNATURE_SIZE_BYTES))


def _line(heard: _Heard, message: Message, at_ms: float, fault: str) -> Line:
    changing = message.type is MessageType.ROUND_CHANGE
    value = message.prepared_hash if changing else message.value_hash
    return Line(
        at_ms=at_ms,
        source=message.source,
        type=message.type.name.lower(),
        round=message.round,
        value="" if value == NO_VALUE else value[:4].hex(),
        sent=heard.sent,
        fault=fault,
    )


def replay(dump: Dump) -> tuple[Story, ...]:
    """The stories of all duties of ``dump``, by slot and type. Garbage of peers is left out."""
    codec = Codec(
        identity=_NoIdentity(), cluster_id=bytes(HASH_SIZE_BYTES), node_count=dump.node_count
    )
    by_duty: dict[Duty, list[_Heard]] = {}
    for entry in dump.entries:
        try:
            items = codec.decode(entry.payload)
        except MessageInvalid:
            continue
        for item in items:
            duty = item.message.duty if isinstance(item, Envelope) else item.duty
            by_duty.setdefault(duty, []).append(_Heard(entry.at_s, entry.sent, entry.peer, item))
    return tuple(_Player(dump, duty).play(by_duty[duty]) for duty in sorted(by_duty))
