"""One member's way through terms, as a machine that does nothing by itself. Pure.

Inputs are messages, answers of the own enclave, and time; outputs are ``Effect``: what to send, what to
ask the enclave, and which leader was certified. Nothing here is needed for safety: whatever this
machine does, its enclave checks (``promises``). It is here so that terms end with a leader:

    FOLLOW   the newest leader's list is the list of the living
      |        that list is another for a while, or the leader resigned
    VOTE     ask the enclave to vote for (term, list); collect votes
      |        a quorum voted for the same; by rule beacon, a number is drawn for it
    ELECT    ask the enclave for the leader that follows; collect signatures
      |        a quorum signed
    FOLLOW

A term that takes too long is followed by the next, which may take twice as long and has a
coordinator, whose list the others take if it can be right.
"""

from typing import TypeAlias, cast

from tetrarch.election.ballots import Ballots, TwoVotes
from tetrarch.election.certificates import (
    CertificateInvalid,
    LeaderCertificate,
    check_leader,
)
from tetrarch.election.configuration import Configuration, Rule
from tetrarch.election.effects import Ask, Effect, Faulty, Led, Send
from tetrarch.election.leasing import Leasing
from tetrarch.election.messages import Heartbeat, LeaderSignature, Message, SeedShare, Suggestion
from tetrarch.election.promises import TERMS_AHEAD_MAX, Denied, Reason
from tetrarch.election.requests import (
    Answer,
    CastVote,
    Draw,
    Drawn,
    Elect,
    Elected,
    GrantLease,
    Keep,
    LearnLeader,
    Request,
    Resign,
    Standing,
    TakeResignation,
)
from tetrarch.election.reserving import Reserving
from tetrarch.election.statements import (
    NOTHING_BEFORE,
    Grant,
    Receipt,
    Reservation,
    Resignation,
    Signed,
    Verifying,
    View,
    Vote,
)
from tetrarch.election.timing import Timing
from tetrarch.election.watching import Watching
from tetrarch.election.witnesses import Kept

SignedMessage: TypeAlias = (
    Signed[Vote] | Signed[Reservation] | Signed[Receipt] | Signed[Grant] | Signed[Resignation]
)

CAST_AGAIN_S = 0.02  # after a denial that passes by itself


class Machine:
    """``begin``, then every input in the order in which it comes; each yields effects in order.

    Times are seconds of this member's own clock. One machine is one run of one member.
    """

    def __init__(
        self,
        configuration: Configuration,
        own: int,
        *,
        keys: Verifying,
        now_s: float,
        timing: Timing | None = None,
    ) -> None:
        self._configuration = configuration
        self._own = own
        self._keys = keys
        self._timing = timing or Timing()
        self._watching = Watching(configuration, own, self._timing, now_s)
        self._ballots = Ballots(configuration, keys)
        self._reserving = Reserving(configuration, self._timing)
        self._leasing = Leasing(configuration, own, keys)
        self._newest: LeaderCertificate | None = None
        self._resignation: Signed[Resignation] | None = None
        self._resigns: bytes | None = None  # the leadership that is given up
        self._votes_from: dict[int, int] = {}
        self._sequence = 0
        self._next_heartbeat_s = now_s
        self._term = 0  # the newest that this member works on, or that has a leader
        self._is_voting = False
        self._failed = 0  # terms since the last leader
        self._term_ends_s = now_s
        self._suggestion_until_s = now_s
        self._asked: View | None = None
        self._ask_again_s = now_s
        self._drawn: View | None = None
        self._elected: View | None = None
        self._out: list[Effect] = []

    @property
    def newest(self) -> LeaderCertificate | None:
        """The newest leader that this member knows to be certified."""
        return self._newest

    @property
    def has_recovered(self) -> bool:
        """Whether the own enclave may vote at all."""
        return self._reserving.recovered

    @property
    def down(self) -> tuple[int, ...]:
        """Whom this member does not hear."""
        return self._watching.down

    def holds_lease(self, now_s: float) -> bool:
        """Whether this member leads, and certainly nobody else does."""
        return self._leasing.holds(_ms(now_s))

    def begin(self) -> tuple[Effect, ...]:
        """Call first."""
        self._out += self._reserving.begin()
        return self._drain()

    def look(self, now_s: float) -> tuple[Effect, ...]:
        """Time has passed: call some ten times in the interval of heartbeats."""
        self._watching.look(now_s)
        if now_s >= self._next_heartbeat_s:
            self._next_heartbeat_s = now_s + self._timing.heartbeat_s
            self._beat(now_s)
        self._out += self._reserving.look(now_s)
        self._advance(now_s)
        return self._drain()

    def receive(self, source: int, message: Message, now_s: float) -> tuple[Effect, ...]:
        """``source``, of whom the transport is sure, sent ``message``."""
        if source != self._own and 0 <= source < self._configuration.count:
            self._receive(source, message, now_s)
            self._advance(now_s)
        return self._drain()

    def answered(self, request: Request, answer: Answer, now_s: float) -> tuple[Effect, ...]:
        """The own enclave answered ``request``."""
        match answer:
            case Standing():
                self._take_standing(answer, now_s)
            case Drawn(view, signature):
                share = SeedShare(view, signature)
                self._send(share)
                self._take_seed(self._own, share)
            case Elected(leader, signature):
                said = LeaderSignature(leader, signature)
                self._send(said)
                self._take_signature(self._own, said)
            case Denied(reason):
                self._denied(request, reason, now_s)
            case Signed():
                self._said(request, answer, now_s)
            case Kept():
                if isinstance(request, Keep):
                    self._send(answer, request.reservation.what.source)
        self._advance(now_s)
        return self._drain()

    def began_anew(self, source: int, now_s: float) -> None:
        """``source`` is another run of that member than before."""
        self._watching.forget(source, now_s)
        self._votes_from.pop(source, None)

    def resign(self) -> tuple[Effect, ...]:
        """Give up this member's leadership, if it leads."""
        newest = self._newest
        if newest is not None and newest.leader.leader == self._own:
            self._resigns = newest.leader.hash
        return (Ask(Resign()),)

    # --- messages ----------------------------------------------------------------------------

    def _receive(self, source: int, message: Message, now_s: float) -> None:
        match message:
            case Heartbeat():
                self._take_heartbeat(source, message, now_s)
            case Suggestion(view):
                self._take_suggestion(source, view, now_s)
            case LeaderSignature():
                self._take_signature(source, message)
            case SeedShare():
                self._take_seed(source, message)
            case LeaderCertificate():
                self._take_certificate(source, message)
            case Kept():
                self._out += self._reserving.take_refusal(message)
            case Signed():
                self._receive_signed(source, message, now_s)

    def _receive_signed(self, source: int, message: SignedMessage, now_s: float) -> None:
        """A leader's resignation may be passed on; all else its source says itself."""
        what = message.what
        if isinstance(what, Resignation):
            self._take_resignation(source, cast("Signed[Resignation]", message))
        elif what.source != source:
            self._out.append(Faulty(source, "statement of another member"))
        elif isinstance(what, Vote):
            self._take_vote(cast("Signed[Vote]", message), now_s)
        elif isinstance(what, Receipt):
            receipt = cast("Signed[Receipt]", message)
            self._out += self._reserving.take_receipt(source, receipt)
        elif isinstance(what, Reservation):
            self._ask(Keep(cast("Signed[Reservation]", message)))
        else:
            self._leasing.take(cast("Signed[Grant]", message))

    def _take_heartbeat(self, source: int, heartbeat: Heartbeat, now_s: float) -> None:
        self._watching.hear(source, heartbeat, now_s)
        self._votes_from[source] = heartbeat.votes_from
        newest = self._newest
        if newest is None:
            return
        if heartbeat.newest_term < newest.term:
            self._send(newest, source)
        elif heartbeat.newest_term == newest.term and self._resignation is not None:
            self._send(self._resignation, source)
        if heartbeat.lease_from_ms is not None and newest.leader.leader == source:
            self._ask(GrantLease(newest.leader.hash, heartbeat.lease_from_ms))

    def _take_vote(self, vote: Signed[Vote], now_s: float) -> None:
        news = self._ballots.take_vote(vote)
        if isinstance(news, TwoVotes):
            reason = "two votes in one term"
            self._out.append(Faulty(vote.what.source, reason, (news.first, news.second)))
            return
        if not news:
            return
        self._join(now_s)
        self._elect()

    def _take_seed(self, source: int, said: SeedShare) -> None:
        if self._ballots.take_seed(source, said):
            self._elect()

    def _elect(self) -> None:
        """Once a view is certified, and the number is drawn that chooses among it, if one does."""
        certificate, seed = self._ballots.view_certificate(), b""
        if certificate is None or certificate.view == self._elected:
            return
        if self._configuration.rule is Rule.BEACON:
            if certificate.view != self._drawn:
                self._drawn = certificate.view
                self._ask(Draw(certificate))
            seed = self._ballots.seed(certificate.view) or b""
            if not seed:
                return
        self._elected = certificate.view
        self._ask(Elect(certificate, seed))

    def _take_signature(self, source: int, said: LeaderSignature) -> None:
        if not self._ballots.take_signature(source, said):
            return
        certificate = self._ballots.leader_certificate()
        if certificate is not None:
            self._adopt(certificate)
            self._send(certificate)

    def _take_certificate(self, source: int, certificate: LeaderCertificate) -> None:
        if self._newest is not None and certificate.term <= self._newest.term:
            return
        try:
            check_leader(certificate, self._configuration, self._keys)
        except CertificateInvalid as error:
            self._out.append(Faulty(source, str(error)))
            return
        self._adopt(certificate)

    def _take_resignation(self, source: int, resignation: Signed[Resignation]) -> None:
        newest = self._newest
        said = resignation.what
        if (
            newest is None
            or self._resignation is not None
            or said.leader_hash != newest.leader.hash
        ):
            return
        if said.source != newest.leader.leader or not resignation.is_genuine(self._keys):
            self._out.append(Faulty(source, "false resignation"))
            return
        self._resignation = resignation
        self._leasing.lead(None)
        self._ask(TakeResignation(resignation))

    def _take_suggestion(self, source: int, view: View, now_s: float) -> None:
        waits = self._is_voting and self._asked is None
        fits = source == self._coordinator(self._term) and view == self._view(view.members)
        if waits and fits and self._watching.accepts(view.members):
            self._cast(view, now_s)

    # --- the enclave -------------------------------------------------------------------------

    def _take_standing(self, standing: Standing, now_s: float) -> None:
        """After a restart the enclave knows the newest leader, and this machine does not yet."""
        known = standing.newest
        if known is not None and (self._newest is None or self._newest.term < known.term):
            self._adopt(known)
        self._out += self._reserving.take_standing(standing, now_s)

    def _said(self, request: Request, answer: SignedMessage, now_s: float) -> None:
        match request:
            case CastVote():
                self._send(answer)
                self._take_vote(cast("Signed[Vote]", answer), now_s)
            case Keep(reservation):
                self._send(answer, reservation.what.source)
            case GrantLease():
                self._grant(cast("Signed[Grant]", answer))
            case Resign():
                self._send(answer)
                self._take_resignation(self._own, cast("Signed[Resignation]", answer))
            case _:
                pass  # the others are answered by where the enclave stands

    def _grant(self, grant: Signed[Grant]) -> None:
        leader = self._newest.leader.leader if self._newest else self._own
        if leader == self._own:
            self._leasing.take(grant)
        else:
            self._send(grant, leader)

    def _denied(self, request: Request, reason: Reason, now_s: float) -> None:
        if isinstance(request, CastVote) and request.view == self._asked:
            self._ask_again_s = now_s + CAST_AGAIN_S
            self._asked = None
            if reason is Reason.TERM_NOT_RESERVED:
                self._out += self._reserving.want(request.view.term)

    # --- terms -------------------------------------------------------------------------------

    def _advance(self, now_s: float) -> None:
        """Begin a term, vote in it, or give it up: whatever is due."""
        members = self._watching.settled(now_s)
        if members is None or len(members) < self._configuration.quorum:
            return
        if not self._is_voting:
            if self._is_needed(members):
                self._begin_term(self._next_term(members), now_s)
        elif now_s >= self._term_ends_s:
            self._failed += 1
            self._begin_term(self._next_term(members), now_s)
        if self._is_voting and self._asked is None and now_s >= self._ask_again_s:
            self._vote(members, now_s)

    def _is_needed(self, members: tuple[int, ...]) -> bool:
        newest = self._newest
        if newest is None or self._resignation is not None:
            return True
        return newest.leader.view.members != members or self._is_barred(newest, members)

    def _is_barred(self, newest: LeaderCertificate, members: tuple[int, ...]) -> bool:
        """Too many were restarted since: they grant no lease in terms of a former life."""
        return self._configuration.lease_ms > 0 and self._votable_from(members) > newest.term

    def _next_term(self, members: tuple[int, ...]) -> int:
        """A quorum of ``members`` may vote in it. Bounded, as f that are away leave a liar its say."""
        votable = min(self._votable_from(members), self._term + TERMS_AHEAD_MAX)
        return max(self._term + 1, votable)

    def _begin_term(self, term: int, now_s: float) -> None:
        self._term = term
        self._is_voting = True
        self._asked = None
        self._ask_again_s = now_s
        length_s = self._timing.term_length_s(self._failed)
        self._term_ends_s = now_s + length_s
        self._suggestion_until_s = now_s + (length_s / 3 if self._failed else 0.0)
        self._out += self._reserving.want(term)

    def _vote(self, members: tuple[int, ...], now_s: float) -> None:
        """For the own list; in a term after one that failed the coordinator's goes before."""
        coordinates = self._coordinator(self._term) == self._own
        if now_s < self._suggestion_until_s and not coordinates:
            return
        view = self._view(members)
        if self._failed and coordinates:
            self._send(Suggestion(view))
        self._cast(view, now_s)

    def _cast(self, view: View, now_s: float) -> None:
        self._asked = view
        self._ask_again_s = now_s + CAST_AGAIN_S
        self._ask(CastVote(view))

    def _join(self, now_s: float) -> None:
        """More members than may lie work on a higher term: so does this one."""
        joined = self._ballots.joined_term()
        if joined > self._term:
            self._begin_term(joined, now_s)

    def _adopt(self, certificate: LeaderCertificate) -> None:
        leader = certificate.leader
        self._newest = certificate
        self._resignation = None
        self._term = max(self._term, certificate.term)
        self._is_voting = False
        self._failed = 0
        self._asked = None
        self._ballots.forget_to(certificate.term)
        self._leasing.lead(leader if leader.leader == self._own else None)
        self._ask(LearnLeader(certificate))
        self._out += self._reserving.want(self._term)
        self._out.append(Led(certificate))

    def _votable_from(self, members: tuple[int, ...]) -> int:
        """The first term in which a quorum of ``members`` may vote, as far as they say.

        Who lies cannot raise it above what those that do not lie need.
        """
        own = {self._own: self._reserving.votes_from}
        known = {**self._votes_from, **own}
        firsts = sorted(known[each] for each in members if known.get(each))
        needed = self._configuration.quorum
        return firsts[needed - 1] if len(firsts) >= needed else 0

    def _view(self, members: tuple[int, ...]) -> View:
        newest = self._newest
        return View(
            self._configuration.hash,
            self._term,
            members,
            NOTHING_BEFORE if newest is None else newest.leader.hash,
            vacated=self._resignation is not None,
        )

    def _coordinator(self, term: int) -> int:
        return term % self._configuration.count

    def _beat(self, now_s: float) -> None:
        self._sequence += 1
        if self._resigns is not None:
            self._resign_again()
        lease_from_ms = self._leasing.ask(_ms(now_s))
        newest_term = 0 if self._newest is None else self._newest.term
        self._send(
            Heartbeat(
                sequence=self._sequence,
                down=self._watching.down,
                echoed=self._watching.echoed(now_s),
                newest_term=newest_term,
                votes_from=self._reserving.votes_from,
                lease_from_ms=lease_from_ms,
            )
        )
        if lease_from_ms is not None and self._newest is not None:
            self._ask(GrantLease(self._newest.leader.hash, lease_from_ms))

    def _resign_again(self) -> None:
        """The enclave may have been asked before it knew that it leads."""
        newest = self._newest
        leads = newest is not None and newest.leader.hash == self._resigns
        if leads and self._resignation is None:
            self._ask(Resign())
        else:
            self._resigns = None

    def _send(self, message: Message, to: int | None = None) -> None:
        self._out.append(Send(to, message))

    def _ask(self, request: Request) -> None:
        self._out.append(Ask(request))

    def _drain(self) -> tuple[Effect, ...]:
        out, self._out = tuple(self._out), []
        return out


def _ms(now_s: float) -> int:
    return int(now_s * 1000)
