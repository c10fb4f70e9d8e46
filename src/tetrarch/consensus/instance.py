"""Runs one duty's QBFT machine on asyncio. Holds no protocol rule: if it grows one, move it out.

One task per duty takes entries from the inbox, lets the machine answer, and then, once the inbox
is empty, makes its votes durable and sends all that is to be said in one payload per peer.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import ClassVar, NoReturn

from tetrarch.consensus.codec import (
    ITEMS_MAX,
    Item,
    MessageInvalid,
    SignatureWrong,
    ValueItem,
    WantItem,
)
from tetrarch.consensus.events import (
    Answer,
    Blame,
    Broadcast,
    CheckValue,
    Decide,
    Effect,
    Event,
    ExtendTimer,
    InputArrived,
    Received,
    Resend,
    Resumed,
    Started,
    StartTimer,
    TimerFired,
    ValueChecked,
    Verdict,
)
from tetrarch.consensus.inbox import Entry, FromPeer, Inbox
from tetrarch.consensus.justify import justified
from tetrarch.consensus.messages import (
    Envelope,
    Message,
    MessageType,
    SignedMessage,
    ValueHash,
    leader,
)
from tetrarch.consensus.ports import ConsensusPorts, Decided
from tetrarch.consensus.qbft import Qbft
from tetrarch.consensus.timers import RoundTimer
from tetrarch.consensus.values import Values, Wanted
from tetrarch.consensus.votes import SilenceKept, Vote
from tetrarch.duties.types import Duty
from tetrarch.errors import InputInvalid, PeerFault, Transient
from tetrarch.network.ports import Topic

FAULTS_MAX = 16  # of one peer in one instance; after them it is heard no more
ENVELOPES_MAX = ITEMS_MAX - 1  # in one payload: a value may go along
CHECK_TURNS = 3  # of the loop: enough for a check that has nothing to wait for


class Misbehaviour(PeerFault):
    """A peer signed what no honest node says; the field ``kind`` tells which rule it broke."""

    code: ClassVar[str] = "consensus_misbehaviour"


class Instance:
    """One duty. ``run`` serves until it is cancelled, also after the decision."""

    def __init__(
        self, duty: Duty, ports: ConsensusPorts, *, on_decided: Callable[[Decided], None]
    ) -> None:
        loop = asyncio.get_running_loop()
        self.machine = Qbft(duty=duty, node_count=ports.node_count, own_index=ports.bus.own_index)
        self.decision: Decided | None = None
        self._duty = duty
        self._ports = ports
        self._on_decided = on_decided
        self._started_s = ports.clock.wall_s()
        # Rounds are timed by the loop, so that a step of the wall clock cannot stretch one.
        start_s = loop.time() + ports.times.starts_s(duty) - self._started_s
        self._timer = RoundTimer(ports.times.rounds, duty, start_s)
        self._inbox = Inbox(ports.node_count)
        self._values = Values(duty, ports)
        self._own_input: tuple[ValueHash, ...] = ()  # one, as soon as it is there
        self._tasks = asyncio.TaskGroup()
        self._deadline_s = 0.0
        self._alarm: asyncio.TimerHandle | None = None
        self._outgoing: list[tuple[Envelope, Vote | None]] = []
        self._answers: list[tuple[int, Item]] = []
        self._lacked = ""  # why the round that was current before the event has not decided
        self._checks = 0  # value checks under way
        self.said: dict[int, SignedMessage] = {}  # by peer: its newest statement, unverified
        self._faults: dict[int, int] = {}  # by peer
        self._voted_for: dict[int, ValueHash] = {}  # what each peer is known to have

    def propose(self, value: bytes) -> None:
        """Give the machine this node's own value."""
        if self.machine.decided is None and not self._own_input:
            self._own_input = (self._values.add_own(value),)
            self._inbox.put(InputArrived(*self._own_input))

    def offer(self, message: FromPeer) -> None:
        """Queue a peer's message; drops it, counted, where a bound is reached."""
        for item in message.items:
            if isinstance(item, Envelope):
                self._keep_newest(message.peer, item.signed)
        reason = self._inbox.offer(message)
        if reason is not None:
            self._ports.observer.dropped(message.peer, reason)

    def _keep_newest(self, peer: int, signed: SignedMessage) -> None:
        message, known = signed.message, self.said.get(peer)
        if message.source != peer or message.type is MessageType.DECIDED:  # that one is no vote
            return
        if known is None or _place(known.message) <= _place(message):
            self.said[peer] = signed

    async def run(self) -> None:
        """Serve until cancelled."""
        async with self._tasks:
            try:
                await self._serve()
            except SilenceKept as fault:
                # Not a second word from here, and the duty is not to be opened anew.
                self._ports.observer.fault(self._ports.bus.own_index, fault)
                await asyncio.Event().wait()
            finally:
                self._stop_timer()

    async def _serve(self) -> NoReturn:
        sent = await self._said_before()
        self._apply(Resumed(sent) if sent else Started())
        while True:
            await self._say()
            self._take(await self._inbox.get())
            await self._settle()

    async def _said_before(self) -> tuple[Envelope, ...]:
        stored = await self._ports.votes.votes(self._duty)
        for vote in stored:
            if vote.value:
                self._values.add_own(vote.value)
        try:
            return tuple(self._ports.codec.decode_envelope(vote.content) for vote in stored)
        except MessageInvalid as error:
            raise SilenceKept("read own votes", kind="own_vote_unreadable") from error

    # In

    async def _settle(self) -> None:
        """Take all that is ready, and what a quick value check adds to it.

        A leader's proposal and its PREPARE thus make one record and one payload.
        """
        self._take_ready()
        if self._outgoing and self._checks:
            for _ in range(CHECK_TURNS):
                await asyncio.sleep(0)
            self._take_ready()

    def _take_ready(self) -> None:
        while (entry := self._inbox.get_ready()) is not None:
            self._take(entry)

    def _take(self, entry: Entry) -> None:
        if isinstance(entry, FromPeer):
            self._take_peer(entry)
        else:
            self._apply(entry)

    def _take_peer(self, message: FromPeer) -> None:
        peer = message.peer
        for item in message.items:
            match item:
                case Envelope():
                    if not self._take_envelope(peer, item):
                        return  # nothing more from a payload that lies
                case WantItem(_, value_hash):
                    answer = self._values.answer(peer, value_hash)
                    if answer is not None:
                        self._answers.append((peer, answer))
                case ValueItem():
                    pass
        for item in message.items:  # after all envelopes: they name the values that are wanted
            if isinstance(item, ValueItem) and not self._values.take(item.value):
                self._ports.observer.dropped(peer, "value_not_wanted")

    def _take_envelope(self, peer: int, envelope: Envelope) -> bool:
        """Let the machine hear what it needs; False when ``peer`` broke a rule."""
        message = envelope.message
        if self._faults.get(peer, 0) >= FAULTS_MAX:
            self._ports.observer.dropped(peer, "too_many_faults")
            return False
        if message.source != peer:  # nobody speaks for others, so nobody can be framed
            return self._fault(peer, "relayed")
        if not self.machine.needs(message):
            return True
        # Before its signatures: a proof of the right form holds at most one by the peer itself,
        # so a flood of them costs one failed verification each.
        if not justified(envelope, self._ports.node_count):
            return self._fault(peer, f"unjustified_{message.type.name.lower()}")
        try:
            self._ports.codec.check(envelope)
        except SignatureWrong as fault:
            return self._count_fault(peer, fault)
        if message.type in {MessageType.PREPARE, MessageType.PRE_PREPARE}:
            self._voted_for[peer] = message.value_hash
        self._apply(Received(envelope))
        return True

    def _fault(self, peer: int, kind: str) -> bool:
        return self._count_fault(peer, Misbehaviour("take message", kind=kind))

    def _count_fault(self, peer: int, fault: PeerFault) -> bool:
        self._faults[peer] = self._faults.get(peer, 0) + 1
        fault.fields["duty"] = self._duty
        self._ports.observer.fault(peer, fault)
        return False

    def _apply(self, event: Event) -> None:
        events = deque([event])
        while events:
            self._lacked = self.machine.missing()
            for effect in self.machine.handle(events.popleft()):
                echo = self._perform(effect)
                if echo is not None:
                    events.append(Received(echo))

    # Effects

    def _perform(self, effect: Effect) -> Envelope | None:
        """Do what the machine asks; returns an own message that it must hear too."""
        match effect:
            case Broadcast():
                return self._broadcast(effect)
            case Resend(envelope):
                self._outgoing.append((envelope, None))
                return envelope
            case Answer(peer, message, justification):
                signed = self._ports.codec.sign(message)
                self._answers.append((peer, Envelope(signed, justification)))
            case StartTimer(round_):
                self._start_round(round_)
            case ExtendTimer(round_):
                now_s = asyncio.get_running_loop().time()
                self._set_alarm(round_, self._timer.proposed(round_, self._deadline_s, now_s))
            case CheckValue(value_hash, source, round_):
                wanted = self._values.expect(value_hash)
                self._checks += 1
                self._tasks.create_task(self._check(wanted, source, round_), name="check-value")
            case Decide():
                self._stop_timer()
                self._values.keep_only([effect.value_hash])
                wanted = self._values.expect(effect.value_hash)
                self._tasks.create_task(self._decide(wanted, effect.round), name="decide")
            case Blame(source, kind):
                self._fault(source, kind)
        return None

    def _broadcast(self, effect: Broadcast) -> Envelope:
        message = effect.message
        signed = self._ports.codec.sign(message)
        envelope = Envelope(signed, effect.justification)
        self._outgoing.append((envelope, self._vote(signed, effect)))
        return envelope

    def _vote(self, signed: SignedMessage, effect: Broadcast) -> Vote:
        message = signed.message
        kept = Envelope(signed, effect.justification or effect.evidence)
        preparing = message.type is MessageType.PREPARE
        changing = message.type is MessageType.ROUND_CHANGE
        return Vote(
            duty=self._duty,
            round=message.round,
            type=message.type,
            value_hash=message.prepared_hash if changing else message.value_hash,
            content=self._ports.codec.encode_envelope(kept),
            value=(self._values.get(message.value_hash) or b"") if preparing else b"",
        )

    def _start_round(self, round_: int) -> None:
        now_s = asyncio.get_running_loop().time()
        self._values.keep_only([*self.machine.named_values(), *self._own_input])
        self._set_alarm(round_, self._timer.entered(round_, now_s))
        if round_ > 1:
            self._ports.observer.round_changed(self._duty, round_, self._lacked)

    async def _check(self, wanted: Wanted, source: int, round_: int) -> None:
        value = await self._values.obtain(wanted, source)
        if value is None:
            self._checks -= 1
            return
        try:
            verdict = await self._ports.checker(self._duty, value, round_)
        except Transient:
            verdict = Verdict.UNKNOWN
        except (InputInvalid, PeerFault):
            verdict = Verdict.REFUSED
        self._checks -= 1
        self._values.keep(wanted.value_hash, value)  # a change of rounds may have dropped it
        self._inbox.put(ValueChecked(wanted.value_hash, verdict))

    async def _decide(self, wanted: Wanted, round_: int) -> None:
        proposer = leader(self._duty, round_, self._ports.node_count)
        value = await self._values.obtain(wanted, proposer)
        if value is None:
            return
        self.decision = Decided(
            duty=self._duty,
            value=value,
            round=round_,
            leader=proposer,
            started_s=self._started_s,
            decided_s=self._ports.clock.wall_s(),
        )
        self._on_decided(self.decision)

    # Timers

    def _set_alarm(self, round_: int, deadline_s: float) -> None:
        self._stop_timer()
        self._deadline_s = deadline_s
        loop = asyncio.get_running_loop()
        self._alarm = loop.call_at(deadline_s, self._inbox.put, TimerFired(round_))

    def _stop_timer(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    # Out

    async def _say(self) -> None:
        """Make durable and send what the machine has said since the last time."""
        outgoing, self._outgoing = self._outgoing, []
        answers, self._answers = self._answers, []
        votes = [vote for _, vote in outgoing if vote is not None]
        if votes:
            allowed = await self._ports.votes.record(votes)
            if len(allowed) < len(votes):  # somebody else speaks with this node's key
                raise SilenceKept("record vote", kind="own_vote_contradicted")
        # More than one payload only after a long wait for the disk.
        for start in range(0, len(outgoing), ENVELOPES_MAX):
            some = outgoing[start : start + ENVELOPES_MAX]
            self._send_all([envelope for envelope, _ in some])
        for peer, item in answers:
            self._ports.bus.send(peer, Topic.CONSENSUS, self._ports.codec.encode([item]))

    def _send_all(self, envelopes: list[Envelope]) -> None:
        bus, codec = self._ports.bus, self._ports.codec
        for envelope in envelopes:
            self._ports.observer.sent(self._duty, _text(envelope))
        plain = codec.encode(envelopes)
        proposal = self._proposal(envelopes)
        if proposal is None:
            bus.broadcast(Topic.CONSENSUS, plain)
            return
        value_hash, value = proposal
        lacking = [peer for peer in bus.peers if self._voted_for.get(peer) != value_hash]
        with_value = codec.encode([*envelopes, ValueItem(self._duty, value)])
        for peer in bus.peers:
            bus.send(peer, Topic.CONSENSUS, with_value if peer in lacking else plain)

    def _proposal(self, envelopes: list[Envelope]) -> tuple[ValueHash, bytes] | None:
        """The value that goes along: with the PRE-PREPARE that names it, and only then."""
        for envelope in envelopes:
            if envelope.message.type is MessageType.PRE_PREPARE:
                value = self._values.get(envelope.message.value_hash)
                if value is not None:
                    return envelope.message.value_hash, value
        return None


def _place(message: Message) -> tuple[int, MessageType]:
    """Ascends with what a node says, one after the other."""
    return message.round, message.type


def _text(envelope: Envelope) -> str:
    message = envelope.message
    return f"{message.type.name.lower()} round={message.round} value={message.value_hash[:4].hex()}"
