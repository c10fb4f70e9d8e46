"""Agreement of n nodes on one value per duty, as a pure state machine.

Theory of operation. Time is cut into rounds; each has one leader. In a good round the leader
sends PRE-PREPARE(v), every node that accepts v sends PREPARE(v), whoever sees a quorum of
PREPAREs is *prepared* and sends COMMIT(v), and a quorum of COMMITs decides. When a round's
time is over a node goes to the next and says so by ROUND-CHANGE, naming what it has prepared; a
new leader proves with a quorum of those that it proposes the value prepared last, or that
nothing was. A node that hears f + 1 others in higher rounds follows them. Who has decided answers a
late node's ROUND-CHANGE with DECIDED, which carries the COMMITs and is a proof by itself.

Guarantees with f = floor((n - 1) / 3) liars: no two honest nodes decide differently, whatever
the network does; each decides once messages arrive in time for one honest leader's round.

Two rules guard what an honest node says. It sends one message per type and round, so a leader
that proposes twice obtains one PREPARE; and it says the same after a restart, because the
driver writes every message to a ``VoteLog`` before it leaves and gives them back in ``Resumed``.

Who lies is named with proof. A PREPARE carries the leader's signed proposal (without what
entitles it), so nobody can vote for what nobody proposed, and a leader that tells two nodes two
things is known as soon as these two hear each other. After a quorum of PREPAREs no honest node
sends a COMMIT for another value in that round.

Bytes of values live in the driver. A value that may bind the cluster later is never lost: who
sends PREPARE has the bytes, writes them to the log with it, and keeps them.

Bounded memory: of each source the newest ``PENDING_MAX`` votes and the highest ROUND-CHANGE are
kept, and at most ``ROUNDS_MAX`` rounds are entered.

Source: H. Moniz, "The Istanbul BFT Consensus Algorithm", 2020. Beyond it: COMMITs count for any
round, DECIDED, f + 1 jumps to the lowest higher round, the value check before PREPARE.

This file imports no asyncio, no clock, no socket and no logger. ``handle`` is the only way in.
"""

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
from tetrarch.consensus.justify import justified
from tetrarch.consensus.messages import (
    NO_VALUE,
    ROUND_FIRST,
    ROUNDS_MAX,
    Envelope,
    Justification,
    Message,
    MessageType,
    SignedMessage,
    ValueHash,
    faulty_max,
    leader,
    quorum,
)
from tetrarch.consensus.tally import Tally
from tetrarch.duties.types import Duty
from tetrarch.errors import invariant

CONSENTED_MAX = 16  # values whose bytes are kept because this node once consented
DECIDED_ANSWERS_MAX = 16  # per peer; each only for a strictly higher round


class Qbft:
    """One instance: one node's view of one duty."""

    def __init__(self, *, duty: Duty, node_count: int, own_index: int) -> None:
        invariant(0 <= own_index < node_count, "a node has its place in the cluster")
        self.duty = duty
        self.round = 0  # 0: not started
        self.decided: Decide | None = None
        self.accepted: ValueHash | None = None  # this round's justified proposal
        self._proposal: SignedMessage | None = None  # the same, as the leader signed it
        self._proposed: dict[int, ValueHash] = {}  # by round: what its leader is known to have said
        self._node_count = node_count
        self._own = own_index
        self._quorum = quorum(node_count)
        self._input: ValueHash | None = None
        self._prepared: tuple[int, ValueHash, Justification] = (0, NO_VALUE, ())
        self._commits: Justification = ()  # the proof of the decision
        self._votes = Tally(node_count)
        self._changes: dict[int, Envelope] = {}  # highest ROUND-CHANGE per source
        self._sent: dict[tuple[MessageType, int], ValueHash] = {}
        self._consented: dict[ValueHash, None] = {}  # sent a PREPARE for; newest last
        self._refused: set[ValueHash] = set()  # looked up only, never iterated
        self._answered: dict[int, tuple[int, int]] = {}  # peer: highest round, answers so far

    def handle(self, event: Event) -> list[Effect]:
        """Advance by one event. Deterministic: equal histories give equal effects."""
        match event:
            case Started(value_hash):
                return self._start(value_hash)
            case Resumed(sent):
                return self._resume(sent)
            case InputArrived(value_hash):
                self._take_input(value_hash)
                return self._advance()
            case Received(envelope):
                return self._receive(envelope)
            case TimerFired(round_):
                return self._timed_out(round_)
            case ValueChecked(value_hash, verdict):
                return self._checked(value_hash, verdict)

    def needs(self, message: Message) -> bool:
        """Whether ``message`` could change anything. Cheap: asked before signatures are checked."""
        if message.duty != self.duty or not 0 <= message.source < self._node_count:
            return False
        if self.decided is not None:
            asks = message.type is MessageType.ROUND_CHANGE and self._may_answer(message)
            return asks or self._belies(message, self.decided)
        needed = False
        match message.type:
            case MessageType.PRE_PREPARE:
                leads = message.source == leader(self.duty, message.round, self._node_count)
                heard = message.round == self.round and self.accepted == message.value_hash
                needed = leads and message.round >= self.round and not heard
            case MessageType.PREPARE:
                prepared = (MessageType.COMMIT, message.round) in self._sent
                prepared = prepared and message.value_hash == self.accepted
                current = message.round >= self.round
                needed = current and not prepared and self._votes.learns(message)
            case MessageType.COMMIT:
                needed = self._votes.learns(message)
            case MessageType.ROUND_CHANGE:
                known = self._changes.get(message.source)
                newer = known is None or message.round > known.message.round
                needed = newer and message.round >= self.round
            case MessageType.DECIDED:
                needed = True
        return needed

    def named_values(self) -> tuple[ValueHash, ...]:
        """Hashes of the values whose bytes matter now: at most ``CONSENTED_MAX`` and four.

        Among them all that this node has sent a PREPARE for: a liar may have gathered a quorum of
        PREPAREs unseen, and bind the cluster to that value many rounds later.
        """
        decided = None if self.decided is None else self.decided.value_hash
        prepared = self._prepared[1]
        named = (self._input, self.accepted, decided, None if prepared == NO_VALUE else prepared)
        known = (value_hash for value_hash in named if value_hash is not None)
        return tuple(dict.fromkeys([*known, *self._consented]))

    @property
    def votes_count(self) -> int:
        """How many votes are kept; bounded whatever peers send."""
        return len(self._votes)

    def missing(self) -> str:
        """Why the current round has not decided: a stable reason for logs and metrics."""
        if self.accepted is None:
            changes = self._changes_at(self.round)
            enough = self.round <= ROUND_FIRST or len(changes) >= self._quorum
            return "no_proposal" if enough else "too_few_round_changes"
        if (MessageType.COMMIT, self.round) in self._sent:
            return "too_few_commits"
        consents = (MessageType.PREPARE, self.round) in self._sent
        return "too_few_prepares" if consents else "value_not_accepted"

    # Starting

    def _start(self, value_hash: ValueHash | None) -> list[Effect]:
        if value_hash is not None:
            self._take_input(value_hash)
        if self.round != 0:
            return self._advance()
        self.round = ROUND_FIRST
        return [StartTimer(self.round), *self._advance()]

    def _resume(self, sent: tuple[Envelope, ...]) -> list[Effect]:
        invariant(self.round == 0, "an instance resumes before it starts")
        self.round = ROUND_FIRST
        for envelope in sent:
            message = envelope.message
            self._sent[message.type, message.round] = message.value_hash
            self.round = max(self.round, message.round)
            match message.type:
                case MessageType.ROUND_CHANGE:
                    self._keep_change(envelope)
                case MessageType.PRE_PREPARE:
                    self._proposed[message.round] = message.value_hash
                case MessageType.PREPARE:
                    self._proposed[message.round] = message.value_hash
                    self._votes.keep(envelope.signed)
                    self._consent(message.value_hash)
                case MessageType.COMMIT:
                    self._votes.keep(envelope.signed)
                    if message.round > self._prepared[0]:
                        proof = envelope.justification
                        self._prepared = (message.round, message.value_hash, proof)
                case _:
                    pass
        self.accepted = self._sent.get((MessageType.PREPARE, self.round))
        again = [
            Resend(_without_evidence(envelope))
            for envelope in sent
            if envelope.message.round == self.round
        ]
        return [StartTimer(self.round), *again, *self._advance()]

    def _take_input(self, value_hash: ValueHash) -> None:
        invariant(value_hash != NO_VALUE, "the own value has a hash")
        if self._input is None:
            self._input = value_hash

    # Receiving

    def _receive(self, envelope: Envelope) -> list[Effect]:
        message = envelope.message
        invariant(self.round > 0, "an instance starts before it receives")
        if self.decided is not None:
            return self._catch_up(message, self.decided)
        if not justified(envelope, self._node_count):
            return [Blame(message.source, f"unjustified_{message.type.name.lower()}")]
        match message.type:
            case MessageType.PRE_PREPARE:
                return [*self._accept(envelope.signed), *self._advance()]
            case MessageType.DECIDED:
                return self._decide(message.round, message.value_hash, envelope.justification)
            case MessageType.PREPARE | MessageType.COMMIT:
                return [*self._take_vote(envelope), *self._advance()]
            case MessageType.ROUND_CHANGE:
                self._keep_change(envelope)
        return self._advance()

    def _take_vote(self, envelope: Envelope) -> list[Effect]:
        message = envelope.message
        blames: list[Effect] = []
        if message.type is MessageType.PREPARE:
            blames += self._hear_of(envelope.justification[0].message)
        if self._votes.contradicts(message):
            return [*blames, Blame(message.source, f"two_{message.type.name.lower()}s")]
        self._votes.keep(envelope.signed)
        prepared_round, prepared_hash, _ = self._prepared
        if message.type is MessageType.COMMIT and message.round == prepared_round:
            blames += self._blame_dissent(prepared_round, prepared_hash)
        return blames

    def _hear_of(self, proposal: Message) -> list[Effect]:
        """A leader has said this, to us or to others. An honest one says one thing in a round."""
        known = self._proposed.setdefault(proposal.round, proposal.value_hash)
        if known == proposal.value_hash:
            return []
        return [Blame(proposal.source, "two_proposals")]

    def _blame_dissent(self, round_: int, value_hash: ValueHash) -> list[Effect]:
        """A quorum has prepared ``value_hash``: two quorums share an honest node."""
        dissenters = self._votes.dissenters(MessageType.COMMIT, round_, value_hash)
        return [Blame(source, "commit_of_another_value") for source in dissenters]

    @staticmethod
    def _belies(message: Message, decided: Decide) -> bool:
        """Whether it is a COMMIT for another value in the round that decided: see above."""
        return (
            message.type is MessageType.COMMIT
            and message.round == decided.round
            and message.value_hash != decided.value_hash
        )

    def _accept(self, signed: SignedMessage) -> list[Effect]:
        """Take a justified proposal, the first of its round, and follow it to its round."""
        message = signed.message
        effects = self._hear_of(message)
        if message.round < self.round:
            return effects
        if message.round > self.round:
            effects += self._enter(message.round)
        if self.accepted is not None:
            return effects
        self.accepted, self._proposal = message.value_hash, signed
        effects.append(ExtendTimer(self.round))
        if message.value_hash not in self._refused:
            # Each round anew: the bytes may be gone, and the world may have moved on.
            effects.append(CheckValue(message.value_hash, message.source, message.round))
        return effects

    def _checked(self, value_hash: ValueHash, verdict: Verdict) -> list[Effect]:
        if verdict is Verdict.REFUSED:
            self._refused.add(value_hash)
        if verdict is not Verdict.OK or value_hash != self.accepted or self.decided is not None:
            return []
        self._consent(value_hash)
        proposal = () if self._proposal is None else (self._proposal,)
        return self._say(MessageType.PREPARE, value_hash, justification=proposal)

    def _consent(self, value_hash: ValueHash) -> None:
        self._consented.pop(value_hash, None)
        self._consented[value_hash] = None
        if len(self._consented) > CONSENTED_MAX:
            del self._consented[next(iter(self._consented))]

    def _keep_change(self, envelope: Envelope) -> None:
        known = self._changes.get(envelope.message.source)
        if known is None or known.message.round < envelope.message.round:
            self._changes[envelope.message.source] = envelope

    # Rules that follow from what is known, whichever message came last

    def _advance(self) -> list[Effect]:
        if self.decided is not None or self.round == 0:
            return []
        return self._commit() or self._prepare() or self._follow() or self._propose()

    def _commit(self) -> list[Effect]:
        found = self._votes.quorum(MessageType.COMMIT)
        return [] if found is None else self._decide(*found)

    def _prepare(self) -> list[Effect]:
        if (MessageType.COMMIT, self.round) in self._sent:
            return []
        found = self._votes.quorum(MessageType.PREPARE, self.round)
        if found is None:
            return []
        self._prepared = found
        said = self._say(MessageType.COMMIT, found[1], evidence=found[2])
        return [*self._blame_dissent(found[0], found[1]), *said]

    def _follow(self) -> list[Effect]:
        """Go to the lowest of the higher rounds once f + 1 others are in higher rounds."""
        higher = [
            change.message.round
            for source, change in self._changes.items()
            if change.message.round > self.round and source != self._own
        ]
        if len(higher) <= faulty_max(self._node_count):
            return []
        return self._change_round(min(higher))

    def _propose(self) -> list[Effect]:
        """Send PRE-PREPARE when this node leads the round and may."""
        key = (MessageType.PRE_PREPARE, self.round)
        if leader(self.duty, self.round, self._node_count) != self._own or key in self._sent:
            return []
        if self.round == ROUND_FIRST:
            if self._input is None:
                return []
            return self._say(MessageType.PRE_PREPARE, self._input)
        changes = self._changes_at(self.round)
        if len(changes) < self._quorum:
            return []
        changes.sort(key=lambda change: -change.message.prepared_round)
        best = changes[0]
        value_hash = self._input if best.message.prepared_round == 0 else best.message.prepared_hash
        if value_hash is None:
            return []
        proof = tuple(change.signed for change in changes[: self._quorum]) + best.justification
        return self._say(MessageType.PRE_PREPARE, value_hash, justification=proof)

    def _changes_at(self, round_: int) -> list[Envelope]:
        return [
            self._changes[source]
            for source in sorted(self._changes)
            if self._changes[source].message.round == round_
        ]

    # Rounds

    def _timed_out(self, round_: int) -> list[Effect]:
        if self.decided is not None or round_ != self.round or round_ >= ROUNDS_MAX:
            return []
        return self._change_round(round_ + 1)

    def _change_round(self, round_: int) -> list[Effect]:
        entered = self._enter(round_)
        prepared_round, prepared_hash, proof = self._prepared
        change = Message(
            MessageType.ROUND_CHANGE,
            self.duty,
            self._own,
            round_,
            prepared_round=prepared_round,
            prepared_hash=prepared_hash,
        )
        self._sent[MessageType.ROUND_CHANGE, round_] = NO_VALUE
        return [*entered, Broadcast(change, proof), *self._advance()]

    def _enter(self, round_: int) -> list[Effect]:
        invariant(round_ > self.round, "rounds only grow")
        self.round = round_
        self.accepted = self._proposal = None
        self._votes.forget_prepares(before=round_)
        return [StartTimer(round_)]

    # Speaking

    def _say(
        self,
        kind: MessageType,
        value_hash: ValueHash,
        *,
        justification: Justification = (),
        evidence: Justification = (),
    ) -> list[Effect]:
        """Broadcast once per type and round, whatever is asked: an honest node never says two."""
        if (kind, self.round) in self._sent:
            return []
        self._sent[kind, self.round] = value_hash
        message = Message(kind, self.duty, self._own, self.round, value_hash)
        return [Broadcast(message, justification, evidence)]

    def _decide(self, round_: int, value_hash: ValueHash, commits: Justification) -> list[Effect]:
        self.decided = Decide(value_hash, round_)
        self._commits = commits
        self._votes.clear()
        self._changes.clear()
        return [self.decided]

    def _may_answer(self, message: Message) -> bool:
        highest, answers = self._answered.get(message.source, (0, 0))
        return (
            message.source != self._own
            and message.round > highest
            and answers < DECIDED_ANSWERS_MAX
        )

    def _catch_up(self, message: Message, decided: Decide) -> list[Effect]:
        if self._belies(message, decided):
            return [Blame(message.source, "commit_of_another_value")]
        if message.type is not MessageType.ROUND_CHANGE or not self._may_answer(message):
            return []
        _, answers = self._answered.get(message.source, (0, 0))
        self._answered[message.source] = (message.round, answers + 1)
        proof = Message(
            MessageType.DECIDED, self.duty, self._own, decided.round, decided.value_hash
        )
        return [Answer(message.source, proof, self._commits)]


def _without_evidence(envelope: Envelope) -> Envelope:
    """As it travels: a COMMIT's PREPAREs stay in the log."""
    return Envelope(envelope.signed) if envelope.message.type is MessageType.COMMIT else envelope
