"""Whole enclaves with real signatures elect; false statements and a full disk change nothing."""

import dataclasses

import pytest
from msgspec.structs import replace
from tests.election.support import Key, Keys, certified, configuration, leading, sharing, view_of

from tetrarch.election import voter
from tetrarch.election.certificates import CertificateInvalid, LeaderCertificate, ViewCertificate
from tetrarch.election.choice import choose
from tetrarch.election.cluster_key import ClusterShare
from tetrarch.election.configuration import Configuration, Rule
from tetrarch.election.promises import Denied, Reason
from tetrarch.election.statements import (
    Leader,
    Receipt,
    Reservation,
    Signed,
    View,
    Vote,
    seed_bytes,
)
from tetrarch.election.succession import check_handover, gather
from tetrarch.election.voter import Sealed, StatementFalse, Voter
from tetrarch.election.witnesses import Kept
from tetrarch.errors import InvariantBroken

C = configuration()


class Disk:
    """Keeps every state; ``full``: takes none."""

    def __init__(self) -> None:
        self.states: list[Sealed] = []
        self.full = False

    def store(self, sealed: Sealed) -> None:
        if self.full:
            raise OSError("no space left on device")
        self.states.append(sealed)


class Member:
    def __init__(
        self,
        source: int,
        sealed: Sealed | None = None,
        c: Configuration = C,
        share: ClusterShare | None = None,
    ) -> None:
        self.disk = Disk()
        self.source = source
        self.voter = Voter(
            sealed or voter.born(c, source, bytes([source]) * 32),
            configuration=c,
            signing=Key(source),
            keys=Keys(),
            store=self.disk.store,
            share=share,
        )


def four() -> list[Member]:
    return [Member(source) for source in range(4)]


def exchange(one: Member, others: list[Member]) -> None:
    for _ in range(2):
        asked = one.voter.reservation()
        answers = [other.voter.keep(asked) for other in others]
        one.voter.take_receipts(tuple(a for a in answers if isinstance(a, Signed)))
        for answer in answers:
            if isinstance(answer, Kept):
                one.voter.take_refusal(answer)


def reserve_all(members: list[Member], term: int = 8) -> None:
    for member in members:
        member.voter.reserve(term)
        exchange(member, [other for other in members if other is not member])


def votes_of(members: list[Member], view: View, now_ms: int = 0) -> tuple[Signed[Vote], ...]:
    said = [member.voter.vote(view, now_ms) for member in members]
    return tuple(each for each in said if isinstance(each, Signed))


def elect(members: list[Member], view: View) -> LeaderCertificate:
    certificate = ViewCertificate(view, votes_of(members, view))
    signed: dict[int, bytes] = {}
    leaders: set[Leader] = set()
    for member in members:
        said = member.voter.elect(certificate)
        assert not isinstance(said, Denied)
        leaders.add(said[0])
        signed[member.source] = said[1]
    (leader,) = leaders
    found = LeaderCertificate(leader, tuple(sorted(signed.items())))
    for member in members:
        member.voter.learn_leader(found)
    return found


def test_four_elect_and_the_leader_stays_until_it_is_gone() -> None:
    members = four()
    reserve_all(members)
    first = elect(members, view_of(C))
    assert first.leader.leader == 0
    second = elect(members, view_of(C, term=2, previous=first.leader.hash))
    assert second.leader.leader == 0
    alive = members[1:]
    third = elect(alive, view_of(C, (1, 2, 3), term=3, previous=second.leader.hash))
    assert third.leader.leader == 1


def test_restored_member_recovers_above_what_it_had_voted_for() -> None:
    members = four()
    reserve_all(members)
    backup = members[0].disk.states[0]
    elect(members, view_of(C))
    members[0] = Member(0, backup)
    members[0].voter.begin(b"n" * 32, 0)
    assert members[0].voter.vote(view_of(C, (0, 1, 2)), 0) == Denied(Reason.NOT_RECOVERED)
    exchange(members[0], members[1:])
    assert members[0].voter.promises.recovered
    said = members[0].voter.vote(view_of(C, (0, 1, 2)), 0)
    assert said == Denied(Reason.TERM_OF_A_FORMER_LIFE)


def test_member_with_the_newest_state_asks_nobody_unless_that_had_not_recovered() -> None:
    members = four()
    reserve_all(members)
    newest = Member(0, members[0].disk.states[-1])
    newest.voter.begin(b"n" * 32, 0, is_newest=True)
    assert newest.voter.promises.recovered
    assert newest.voter.promises.floor == 8
    waiting = Member(0, members[0].disk.states[-1])
    waiting.voter.begin(b"w" * 32, 0)
    again = Member(0, waiting.disk.states[-1])
    again.voter.begin(b"a" * 32, 0, is_newest=True)
    assert not again.voter.promises.recovered


def test_recovery_brings_back_what_was_kept_for_the_others() -> None:
    members = four()
    blank = Sealed(members[0].voter.promises, members[0].voter.registry)
    reserve_all(members)
    members[0] = Member(0, blank)
    members[0].voter.begin(b"n" * 32, 0)
    exchange(members[0], members[1:])
    kept = members[0].voter.registry
    assert [None if each is None else each.highest.what.reserved_to for each in kept[1:]] == [8] * 3


def test_older_of_two_copies_reserves_nothing_more() -> None:
    members = four()
    reserve_all(members)
    copy = Member(0, members[0].disk.states[-1])
    copy.voter.begin(b"c" * 32, 0)
    exchange(copy, members[1:])
    assert copy.voter.promises.recovered
    members[0].voter.reserve(12)
    exchange(members[0], members[1:])
    assert members[0].voter.promises.reserved_to == 8
    copy.voter.reserve(12)
    exchange(copy, members[1:])
    assert copy.voter.promises.reserved_to == 12


def test_nothing_leaves_that_is_not_durable() -> None:
    members = four()
    reserve_all(members)
    members[0].disk.full = True
    before = members[0].voter.promises, members[0].voter.registry
    with pytest.raises(OSError, match="no space"):
        members[0].voter.vote(view_of(C), 0)
    members[1].voter.reserve(9)
    with pytest.raises(OSError, match="no space"):
        members[0].voter.keep(members[1].voter.reservation())
    assert (members[0].voter.promises, members[0].voter.registry) == before
    members[0].disk.full = False
    assert isinstance(members[0].voter.vote(view_of(C, (0, 1, 2)), 0), Signed)


def test_repeated_vote_is_the_same_and_writes_nothing() -> None:
    members = four()
    reserve_all(members)
    first = members[0].voter.vote(view_of(C), 0)
    states = len(members[0].disk.states)
    assert members[0].voter.vote(view_of(C), 0) == first
    assert len(members[0].disk.states) == states


def test_false_statements_are_refused() -> None:
    one, other, *_ = four()
    one.voter.reserve(4)
    asked = one.voter.reservation()
    for false in (
        replace(asked, signature=bytes(64)),
        replace(asked, what=replace(asked.what, source=2)),
        replace(asked, what=replace(asked.what, source=9)),
        replace(asked, what=replace(asked.what, configuration_hash=bytes(32))),
    ):
        with pytest.raises(StatementFalse):
            other.voter.keep(false)
    assert other.voter.registry == (None,) * 4


def test_false_receipts_and_refusals_are_refused() -> None:
    one, other, *_ = four()
    one.voter.reserve(4)
    receipt = other.voter.keep(one.voter.reservation())
    assert isinstance(receipt, Signed)
    unrecovered = replace(receipt.what, recovered=False)
    for false in (
        replace(receipt, what=unrecovered),
        replace(receipt, what=replace(receipt.what, source=7)),
        replace(receipt, signature=bytes(64)),
    ):
        with pytest.raises(StatementFalse):
            one.voter.take_receipts((false,))
    theirs = other.voter.reservation()
    with pytest.raises(StatementFalse):
        one.voter.take_refusal(Kept(theirs, theirs))
    before = one.voter.promises
    invented = Reservation(C.hash, 0, 99, b"z" * 32, 99)
    with pytest.raises(StatementFalse):
        one.voter.take_refusal(Kept(*[Signed(invented, bytes(64))] * 2))
    assert one.voter.promises == before


def test_receipt_that_carries_an_invented_reservation_is_refused_whole() -> None:
    one, other, *_ = four()
    one.voter.reserve(4)
    invented = Signed(Reservation(C.hash, 2, 99, b"z" * 32, 99), bytes(64))
    lie = Receipt(1, one.voter.reservation().what, recovered=True, kept=(invented,))
    with pytest.raises(StatementFalse):
        one.voter.take_receipts((Signed(lie, Key(1).sign(lie.signing_bytes)),))
    assert one.voter.registry == (None,) * 4
    assert other.voter.registry == (None,) * 4


def test_uncertified_views_and_leaders_have_no_effect() -> None:
    members = four()
    reserve_all(members)
    view = view_of(C)
    few = ViewCertificate(view, votes_of(members[:2], view))
    with pytest.raises(CertificateInvalid):
        members[3].voter.elect(few)
    with pytest.raises(CertificateInvalid):
        members[3].voter.learn_leader(leading(Leader(view, 0), (0, 1)))
    assert members[3].voter.promises.newest is None


def test_only_the_leader_resigns() -> None:
    members = four()
    reserve_all(members)
    assert members[0].voter.resign() == Denied(Reason.NOT_THE_LEADER)
    elect(members, view_of(C))
    assert members[1].voter.resign() == Denied(Reason.NOT_THE_LEADER)
    resignation = members[0].voter.resign()
    assert isinstance(resignation, Signed)
    members[1].voter.take_resignation(resignation)
    with pytest.raises(StatementFalse):
        members[2].voter.take_resignation(replace(resignation, signature=bytes(64)))


def test_members_hand_over_and_their_successors_begin_above() -> None:
    members, following = four(), replace_members(C)
    reserve_all(members)
    elect(members, view_of(C, term=3))
    said = []
    for member in members[:3]:
        assert isinstance(member.voter.hand_over(following.hash), Signed)
        assert member.voter.handover(0) == Denied(Reason.TERM_NOT_RESERVED)
        exchange(member, [other for other in members if other is not member])
        handed = member.voter.handover(0)
        assert isinstance(handed, Signed)
        assert member.disk.states[-1].promises.successor == following.hash
        said.append(handed)
    certificate = gather(said, C)
    assert certificate is not None
    check_handover(certificate, C, Keys())
    assert certificate.floor == 3
    later = view_of(C, term=4, previous=members[0].voter.promises.newest.hash)  # type: ignore[union-attr]
    assert len(votes_of(members, later)) == 1, "only the one that has not handed over"

    new = [
        Member(source, voter.born(following, source, bytes(32), floor=3), following)
        for source in range(4)
    ]
    reserve_all(new)
    assert votes_of(new, view_of(following, term=3)) == ()
    assert elect(new, view_of(following, term=4)).leader.leader == 0


def replace_members(c: Configuration) -> Configuration:
    return dataclasses.replace(c, members=(*c.members[:3], "node9"), epoch=c.epoch + 1)


def test_members_that_share_a_key_draw_a_number_and_elect_by_it() -> None:
    c, shares = sharing(rule=Rule.BEACON)
    key = c.cluster_key
    assert key is not None
    members = [Member(source, c=c, share=shares[source]) for source in range(4)]
    reserve_all(members)
    view = view_of(c)
    certificate = ViewCertificate(view, votes_of(members, view))
    drawn = {member.source: member.voter.draw(certificate) for member in members[:3]}
    assert all(key.signed_share(each, seed_bytes(view), share) for each, share in drawn.items())
    seed = key.combine(drawn)

    said = [member.voter.elect(certificate, seed) for member in members]
    leaders = {each[0] for each in said if not isinstance(each, Denied)}
    (leader,) = leaders
    assert leader == Leader(view, choose(Rule.BEACON, view, incumbent=None, seed=seed), seed)
    signed = {source: each[1] for source, each in enumerate(said) if not isinstance(each, Denied)}
    found = LeaderCertificate(leader, (), key.combine(signed))
    for member in members:
        member.voter.learn_leader(found)
        assert member.voter.newest == found


def test_nobody_is_elected_by_a_number_that_was_not_drawn() -> None:
    c, shares = sharing(rule=Rule.BEACON)
    certificate = certified(view_of(c), (0, 1, 2))
    one = Member(0, c=c, share=shares[0]).voter
    for seed in (b"", b"chosen", shares[0].sign(seed_bytes(certificate.view))):
        with pytest.raises(CertificateInvalid, match="seed"):
            one.elect(certificate, seed)


def test_number_is_drawn_for_certified_views_and_by_rule_beacon_alone() -> None:
    c, shares = sharing(rule=Rule.BEACON)
    with pytest.raises(CertificateInvalid, match="below a quorum"):
        Member(0, c=c, share=shares[0]).voter.draw(certified(view_of(c), (0, 1)))
    c, shares = sharing()
    with pytest.raises(CertificateInvalid, match="no number is drawn"):
        Member(0, c=c, share=shares[0]).voter.draw(certified(view_of(c), (0, 1, 2)))
    with pytest.raises(CertificateInvalid, match="no number is drawn"):
        Member(0).voter.draw(certified(view_of(C), (0, 1, 2)))


def test_share_and_configuration_belong_together() -> None:
    c, shares = sharing()
    with pytest.raises(InvariantBroken):
        Member(0, c=c)
    with pytest.raises(InvariantBroken):
        Member(0, share=shares[0])
