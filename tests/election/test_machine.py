"""One member, message by message: what it sends, what it asks its enclave, whom it finds at fault."""

from itertools import pairwise

import pytest
from msgspec.structs import replace
from tests.election.support import (
    Keys,
    certified,
    configuration,
    leading,
    sharing,
    signed,
    view_of,
)

from tetrarch.election.certificates import LeaderCertificate
from tetrarch.election.configuration import Configuration, Rule
from tetrarch.election.effects import Ask, Effect, Faulty, Led, Send
from tetrarch.election.machine import Machine
from tetrarch.election.messages import Heartbeat, LeaderSignature, Message, SeedShare, Suggestion
from tetrarch.election.promises import Denied, Reason
from tetrarch.election.requests import (
    CastVote,
    Draw,
    Drawn,
    Elect,
    Elected,
    GrantLease,
    Keep,
    LearnLeader,
    Reserve,
    Resign,
    Standing,
    TakeRefusal,
    TakeResignation,
)
from tetrarch.election.statements import (
    Grant,
    Leader,
    Receipt,
    Reservation,
    Resignation,
    Signed,
    Vote,
    seed_bytes,
)
from tetrarch.election.timing import Timing
from tetrarch.election.witnesses import Kept

C = configuration()
TIMING = Timing()
ALL = (0, 1, 2, 3)


def reservation(reserved_to: int = 8, source: int = 0) -> Signed[Reservation]:
    return signed(Reservation(C.hash, source, 1, bytes([source]) * 32, reserved_to))


READY = Standing(recovered=True, floor=0, reserved_to=8, reservation=reservation(), newest=None)


class Driven:
    """A machine, and time that passes as it is told."""

    def __init__(self, c: Configuration = C, own: int = 0) -> None:
        self.now_s = 0.0
        self.machine = Machine(c, own, keys=Keys(), now_s=0.0, timing=TIMING)
        self._own, self._count, self._sequence = own, c.count, 0
        assert self.machine.begin() == (Ask(Reserve()),)

    def ready(self, c: Configuration = C) -> None:
        reserved = signed(Reservation(c.hash, 0, 1, bytes(32), 8))
        self.machine.answered(Reserve(), replace(READY, reservation=reserved), self.now_s)

    def receive(self, source: int, message: Message) -> tuple[Effect, ...]:
        return self.machine.receive(source, message, self.now_s)

    def pass_s(self, seconds: float, heard: tuple[int, ...] = ALL) -> list[Effect]:
        """Time passes, and these send heartbeats meanwhile."""
        effects: list[Effect] = []
        for _ in range(round(seconds / TIMING.heartbeat_s)):
            self.now_s += TIMING.heartbeat_s
            self._sequence += 1
            for source in heard:
                if source != self._own:
                    effects += self.receive(source, Heartbeat(self._sequence, votes_from=1))
            effects += self.machine.look(self.now_s)
        return effects

    def lead(self, certificate: LeaderCertificate) -> tuple[Effect, ...]:
        return self.receive(1, certificate)


def asked(effects: list[Effect] | tuple[Effect, ...], kind: type) -> list[object]:
    return [
        each.request for each in effects if isinstance(each, Ask) and isinstance(each.request, kind)
    ]


def sent(effects: list[Effect] | tuple[Effect, ...], kind: type) -> list[object]:
    return [
        each.message
        for each in effects
        if isinstance(each, Send) and isinstance(each.message, kind)
    ]


def certificate_of(term: int = 1, leader: int = 0, previous: bytes = b"") -> LeaderCertificate:
    view = view_of(C, ALL, term, previous)
    return leading(Leader(view, leader), (0, 1, 2))


def test_heartbeats_tell_who_is_not_heard() -> None:
    driven = Driven()
    beats = sent(driven.pass_s(0.3, heard=(1, 2)), Heartbeat)
    assert [beat.sequence for beat in beats] == [1, 2, 3]  # type: ignore[attr-defined]
    assert beats[-1].down == (3,)  # type: ignore[attr-defined]


def test_lists_that_stand_are_voted_for_once() -> None:
    driven = Driven()
    driven.ready()
    votes = asked(driven.pass_s(1.0), CastVote)
    assert votes[0] == CastVote(view_of(C, ALL, 1))
    assert len({vote.view.term for vote in votes}) == len(votes)  # type: ignore[attr-defined]


def test_nobody_is_voted_for_below_a_quorum() -> None:
    driven = Driven()
    driven.ready()
    assert asked(driven.pass_s(5.0, heard=(1,)), CastVote) == []


def test_way_of_a_term() -> None:
    driven = Driven()
    driven.ready()
    (cast, *_) = asked(driven.pass_s(0.5), CastVote)
    view = view_of(C, ALL, 1)
    assert cast == CastVote(view)
    own = signed(Vote(view, 0, 1))
    assert driven.machine.answered(CastVote(view), own, driven.now_s) == (Send(None, own),)
    assert asked(driven.receive(1, signed(Vote(view, 1, 1))), Elect) == []
    effects = driven.receive(2, signed(Vote(view, 2, 1)))
    (elect,) = asked(effects, Elect)
    assert elect == Elect(certified(view, (0, 1, 2)))

    leader = Leader(view, 0)
    certificate = leading(leader, (0, 1, 2))
    parts = dict(certificate.signatures)
    answer = Elected(leader, parts[0])
    assert driven.machine.answered(elect, answer, driven.now_s) == (
        Send(None, LeaderSignature(leader, parts[0])),
    )
    assert driven.receive(1, LeaderSignature(leader, parts[1])) == ()
    effects = driven.receive(2, LeaderSignature(leader, parts[2]))
    assert Led(certificate) in effects
    assert Ask(LearnLeader(certificate)) in effects
    assert Send(None, certificate) in effects
    assert driven.machine.newest == certificate


def test_way_of_a_term_by_a_number_that_is_drawn() -> None:
    c, shares = sharing(rule=Rule.BEACON)
    key, driven = c.cluster_key, Driven(c)
    assert key is not None
    driven.ready(c)
    view = view_of(c, ALL, 1)
    parts = [SeedShare(view, share.sign(seed_bytes(view))) for share in shares]
    driven.pass_s(0.5)
    driven.machine.answered(CastVote(view), signed(Vote(view, 0, 1)), driven.now_s)
    driven.receive(3, parts[3])  # before the view is certified here
    driven.receive(1, signed(Vote(view, 1, 1)))
    effects = driven.receive(2, signed(Vote(view, 2, 1)))
    certificate = certified(view, (0, 1, 2))
    assert (asked(effects, Draw), asked(effects, Elect)) == ([Draw(certificate)], [])
    drawn = Drawn(view, parts[0].signature)
    effects = driven.machine.answered(Draw(certificate), drawn, driven.now_s)
    assert effects == (Send(None, parts[0]),)
    assert driven.receive(1, SeedShare(view, parts[2].signature)) == (), "a false share"
    seed = key.combine({each: parts[each].signature for each in (0, 1, 3)})
    (elect,) = asked(driven.receive(1, parts[1]), Elect)
    assert elect == Elect(certificate, seed)
    assert asked(driven.receive(2, parts[2]), Elect) == [], "asked once"


def test_strangers_and_own_echoes_are_passed_over() -> None:
    driven = Driven()
    for source in (-1, 0, 4, 99):
        assert driven.receive(source, Heartbeat(1, down=(2,))) == ()


def test_words_of_another_are_a_fault() -> None:
    driven = Driven()
    view = view_of(C, ALL, 1)
    statements: tuple[Message, ...] = (
        signed(Vote(view, 2, 1)),
        reservation(source=2),
        signed(Receipt(2, reservation().what, recovered=True)),
        signed(Grant(b"h" * 32, 2, 0)),
    )
    for statement in statements:
        assert driven.receive(1, statement) == (Faulty(1, "statement of another member"),)


def test_two_votes_of_one_life_are_proof() -> None:
    driven = Driven()
    first = signed(Vote(view_of(C, ALL, 5), 1, 1))
    second = signed(Vote(view_of(C, (0, 1, 2), 5), 1, 1))
    driven.receive(1, first)
    (fault,) = (e for e in driven.receive(1, second) if isinstance(e, Faulty))
    assert fault == Faulty(1, "two votes in one term", (first, second))


def test_certificate_that_proves_nothing_is_a_fault() -> None:
    driven = Driven()
    good = certificate_of()
    forged = replace(good, signatures=good.signatures[:2])
    (fault,) = driven.lead(forged)
    assert isinstance(fault, Faulty)
    assert driven.machine.newest is None
    driven.lead(good)
    assert driven.machine.newest == good
    assert driven.lead(good) == ()  # known
    assert driven.lead(certificate_of(term=1, leader=2)) == ()  # not above it


def test_who_is_behind_is_told_of_the_newest_leader() -> None:
    driven = Driven()
    good = certificate_of(term=3)
    driven.lead(good)
    assert Send(2, good) in driven.receive(2, Heartbeat(1, newest_term=2))
    assert sent(driven.receive(2, Heartbeat(2, newest_term=3)), LeaderCertificate) == []


def test_reservations_of_others_go_to_the_enclave_and_back() -> None:
    driven = Driven()
    wanted = reservation(source=1)
    assert driven.receive(1, wanted) == (Ask(Keep(wanted)),)
    receipt = signed(Receipt(0, wanted.what, recovered=True))
    assert driven.machine.answered(Keep(wanted), receipt, 0.0) == (Send(1, receipt),)
    kept = Kept(reservation(9, source=1), reservation(9, source=1))
    assert driven.machine.answered(Keep(wanted), kept, 0.0) == (Send(1, kept),)


def test_refusal_goes_to_an_enclave_that_recovers() -> None:
    driven = Driven()
    kept = Kept(reservation(9), reservation(9))
    assert driven.receive(1, kept) == ()
    recovering = replace(READY, recovered=False)
    driven.machine.answered(Reserve(), recovering, 0.0)
    assert not driven.machine.has_recovered
    assert driven.receive(1, kept) == (Ask(TakeRefusal(kept)),)


def test_restarted_member_learns_the_leader_from_its_enclave() -> None:
    driven = Driven()
    known = certificate_of(term=6)
    effects = driven.machine.answered(Reserve(), replace(READY, newest=known), 0.0)
    assert Led(known) in effects
    assert driven.machine.newest == known


def test_term_that_is_not_reserved_is_reserved_and_asked_again() -> None:
    driven = Driven()
    driven.ready()
    (cast, *_) = asked(driven.pass_s(0.5), CastVote)
    assert isinstance(cast, CastVote)
    denied = Denied(Reason.TERM_NOT_RESERVED)
    driven.machine.answered(cast, denied, driven.now_s)
    assert CastVote(cast.view) in asked(driven.pass_s(0.1), CastVote)


def test_term_without_a_leader_is_followed_by_one_twice_as_long() -> None:
    driven = Driven()
    driven.ready()
    seen: dict[int, float] = {}
    for _ in range(60):
        for vote in asked(driven.pass_s(0.1), CastVote):
            assert isinstance(vote, CastVote)
            seen.setdefault(vote.view.term, driven.now_s)
    begun = [seen[term] for term in sorted(seen)]
    lengths = [after - before for before, after in pairwise(begun)]
    assert len(lengths) >= 2
    assert lengths[-1] > lengths[0]


def test_coordinator_suggests_after_a_failed_term() -> None:
    driven = Driven(own=2)
    driven.ready()
    suggestions = sent(driven.pass_s(3.0), Suggestion)
    assert suggestions
    assert all(s.view.term % C.count == 2 for s in suggestions)  # type: ignore[attr-defined]


def test_suggestion_is_taken_from_the_coordinator_alone() -> None:
    driven = Driven()
    driven.ready()
    driven.pass_s(0.3)
    # Two of three others go on to term 6, of which member 2 is the coordinator.
    for source in (1, 3):
        driven.receive(source, signed(Vote(view_of(C, ALL, 6), source, 1)))
    driven.machine.answered(CastVote(view_of(C, ALL, 6)), Denied(Reason.LEASE_LASTS), driven.now_s)
    offered = view_of(C, (0, 1, 2), 6)
    assert asked(driven.receive(1, Suggestion(offered)), CastVote) == []
    another_term = view_of(C, (0, 1, 2), 7)
    assert asked(driven.receive(2, Suggestion(another_term)), CastVote) == []


def test_higher_term_of_more_than_may_lie_is_joined() -> None:
    driven = Driven()
    driven.ready()
    driven.pass_s(0.3)

    def terms() -> set[int]:
        votes = asked(driven.pass_s(0.1), CastVote)
        return {vote.view.term for vote in votes}  # type: ignore[attr-defined]

    view = view_of(C, ALL, 40)
    driven.receive(1, signed(Vote(view, 1, 1)))
    assert max(terms(), default=0) < 40
    effects = driven.receive(2, signed(Vote(view, 2, 1)))
    assert 40 in terms() | {vote.view.term for vote in asked(effects, CastVote)}  # type: ignore[attr-defined]


class TestLeadership:
    """Leases and resignation."""

    LEASED = configuration(lease_ms=1000)

    def certificate(self, leader: int) -> LeaderCertificate:
        return leading(Leader(view_of(self.LEASED, ALL, 1), leader), (0, 1, 2))

    def test_leader_asks_for_its_lease_and_holds_it(self) -> None:
        driven = Driven(self.LEASED)
        certificate = self.certificate(0)
        driven.lead(certificate)
        effects = driven.pass_s(0.1)
        (grant,) = asked(effects, GrantLease)
        assert isinstance(grant, GrantLease)
        assert not driven.machine.holds_lease(driven.now_s)
        for source in (0, 1, 2):
            said = signed(Grant(certificate.leader.hash, source, grant.asked_ms))
            if source == 0:
                driven.machine.answered(grant, said, driven.now_s)
            else:
                driven.receive(source, said)
        assert driven.machine.holds_lease(driven.now_s)
        assert not driven.machine.holds_lease(driven.now_s + 1.1)

    def test_others_grant_to_the_leader_alone(self) -> None:
        driven = Driven(self.LEASED, own=1)
        certificate = self.certificate(0)
        driven.receive(2, certificate)
        assert asked(driven.receive(2, Heartbeat(1, lease_from_ms=50)), GrantLease) == []
        (request,) = asked(driven.receive(0, Heartbeat(1, lease_from_ms=50)), GrantLease)
        assert request == GrantLease(certificate.leader.hash, 50)
        said = signed(Grant(certificate.leader.hash, 1, 50))
        answered = driven.machine.answered(GrantLease(certificate.leader.hash, 50), said, 0.0)
        assert answered == (Send(0, said),)

    def test_resignation_ends_the_lease_and_the_leadership(self) -> None:
        driven = Driven()
        certificate = certificate_of(leader=0)
        driven.lead(certificate)
        assert driven.machine.resign() == (Ask(Resign()),)
        said = signed(Resignation(certificate.leader.hash, 0))
        effects = driven.machine.answered(Resign(), said, driven.now_s)
        assert effects == (Send(None, said), Ask(TakeResignation(said)))
        driven.ready()
        votes = asked(driven.pass_s(0.5), CastVote)
        assert votes[0] == CastVote(view_of(C, ALL, 2, certificate.leader.hash, vacated=True))

    def test_resignation_that_came_too_early_is_asked_for_again_until_it_is_there(self) -> None:
        driven = Driven()
        certificate = certificate_of(leader=0)
        driven.lead(certificate)
        driven.machine.resign()
        too_early = Denied(Reason.NOT_THE_LEADER)
        driven.machine.answered(Resign(), too_early, driven.now_s)
        assert asked(driven.pass_s(0.3), Resign) == [Resign()] * 3
        said = signed(Resignation(certificate.leader.hash, 0))
        driven.machine.answered(Resign(), said, driven.now_s)
        assert asked(driven.pass_s(0.3), Resign) == []

    def test_who_does_not_lead_resigns_from_nothing_later(self) -> None:
        driven = Driven()
        driven.lead(certificate_of(leader=1))
        driven.machine.resign()
        driven.lead(certificate_of(term=2, leader=0, previous=certificate_of(leader=1).leader.hash))
        assert asked(driven.pass_s(0.3), Resign) == []

    def test_resignation_is_passed_on_and_forgery_is_a_fault(self) -> None:
        driven = Driven(own=1)
        certificate = certificate_of(leader=0)
        driven.receive(2, certificate)
        said = signed(Resignation(certificate.leader.hash, 0))
        forged = replace(said, signature=bytes(64))
        assert driven.receive(2, forged) == (Faulty(2, "false resignation"),)
        other = signed(Resignation(certificate.leader.hash, 3))
        assert driven.receive(3, other) == (Faulty(3, "false resignation"),)
        old = signed(Resignation(b"x" * 32, 0))
        assert driven.receive(0, old) == ()
        assert driven.receive(2, said) == (Ask(TakeResignation(said)),)
        assert driven.receive(0, said) == ()  # known
        behind = driven.receive(3, Heartbeat(1, newest_term=1))
        assert Send(3, said) in behind


@pytest.mark.parametrize("reason", list(Reason))
def test_no_denial_stops_a_member(reason: Reason) -> None:
    driven = Driven()
    driven.ready()
    for _ in range(20):
        for request in asked(driven.pass_s(0.1), CastVote):
            assert isinstance(request, CastVote)
            driven.machine.answered(request, Denied(reason), driven.now_s)
    assert asked(driven.pass_s(3.0), CastVote)
