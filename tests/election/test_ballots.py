"""Votes and signatures are counted once, of their own source, and not for ever."""

from msgspec.structs import replace
from tests.election.support import KEYS, Keys, configuration, sharing, signed, view_of

from tetrarch.election.ballots import TERMS_MAX, Ballots, TwoVotes
from tetrarch.election.configuration import Rule
from tetrarch.election.messages import LeaderSignature, SeedShare
from tetrarch.election.statements import Leader, View, Vote, seed_bytes

C = configuration()
VIEW = view_of(C)


def ballots() -> Ballots:
    return Ballots(C, Keys())


def signature(source: int, leader: Leader) -> LeaderSignature:
    return LeaderSignature(leader, KEYS[source].sign(leader.signing_bytes))


def vote(source: int, view: View = VIEW, incarnation: int = 1) -> bool | TwoVotes:
    return ballots().take_vote(signed(Vote(view, source, incarnation)))


def test_quorum_of_equal_votes_is_a_certificate() -> None:
    kept = ballots()
    for source in (0, 1):
        assert kept.take_vote(signed(Vote(VIEW, source, 1))) is True
    assert kept.take_vote(signed(Vote(view_of(C, (0, 1, 2)), 2, 1))) is True
    assert kept.view_certificate() is None
    assert kept.take_vote(signed(Vote(VIEW, 3, 1))) is True
    certificate = kept.view_certificate()
    assert certificate is not None
    assert [each.what.source for each in certificate.votes] == [0, 1, 3]


def test_repeated_false_and_foreign_votes_are_no_news() -> None:
    kept = ballots()
    one = signed(Vote(VIEW, 0, 1))
    assert kept.take_vote(one) is True
    assert kept.take_vote(one) is False
    assert kept.take_vote(replace(one, what=replace(one.what, source=1))) is False
    assert vote(0, view_of(configuration(5), range(5))) is False


def test_two_votes_of_one_life_are_proof_and_of_two_lives_are_none() -> None:
    kept = ballots()
    first = signed(Vote(VIEW, 0, 1))
    second = signed(Vote(view_of(C, (0, 1, 2)), 0, 1))
    kept.take_vote(first)
    assert kept.take_vote(second) == TwoVotes(first, second)
    assert kept.take_vote(signed(Vote(view_of(C, (0, 2, 3)), 0, 2))) is False


def test_forged_second_vote_proves_nothing() -> None:
    kept = ballots()
    kept.take_vote(signed(Vote(VIEW, 0, 1)))
    forged = replace(signed(Vote(view_of(C, (0, 1, 2)), 0, 1)), signature=bytes(64))
    assert kept.take_vote(forged) is False


def test_decided_terms_are_forgotten() -> None:
    kept = ballots()
    leader = Leader(VIEW, 0)
    for source in range(3):
        assert kept.leader_certificate() is None
        kept.take_vote(signed(Vote(VIEW, source, 1)))
        assert kept.take_signature(source, signature(source, leader))
    assert kept.leader_certificate() is not None
    kept.forget_to(1)
    assert kept.leader_certificate() is None
    assert kept.view_certificate() is None
    assert not kept.take_signature(3, signature(3, leader))
    assert kept.take_vote(signed(Vote(VIEW, 3, 1))) is False


def test_signature_of_another_does_not_count() -> None:
    assert not ballots().take_signature(1, signature(0, Leader(VIEW, 0)))


def test_who_floods_pushes_out_its_own_votes_only() -> None:
    kept = ballots()
    kept.take_vote(signed(Vote(VIEW, 0, 1)))
    for term in range(1, 3 * TERMS_MAX):
        kept.take_vote(signed(Vote(view_of(C, term=term), 3, 1)))
    assert len(kept._votes[3]) == TERMS_MAX
    assert len(kept._votes[0]) == 1


def test_one_liar_cannot_lift_the_term() -> None:
    kept = ballots()
    kept.take_vote(signed(Vote(view_of(C, term=900), 3, 1)))
    kept.take_vote(signed(Vote(view_of(C, term=4), 1, 1)))
    assert kept.joined_term() == 4
    kept.take_vote(signed(Vote(view_of(C, term=900), 2, 1)))
    assert kept.joined_term() == 900


BEACON, SHARES = sharing(rule=Rule.BEACON)
DRAWN = view_of(BEACON)


def seed_share(source: int, view: View = DRAWN) -> SeedShare:
    return SeedShare(view, SHARES[source].sign(seed_bytes(view)))


def test_shares_that_are_enough_make_one_seed() -> None:
    seeds = set()
    for some in ((0, 1, 2), (3, 2, 0)):
        kept = Ballots(BEACON, Keys())
        for source in some[:2]:
            assert kept.take_seed(source, seed_share(source))
        assert kept.seed(DRAWN) is None
        assert kept.take_seed(some[2], seed_share(some[2]))
        seeds.add(kept.seed(DRAWN))
    (seed,) = seeds
    assert seed is not None
    assert BEACON.cluster_key is not None
    assert BEACON.cluster_key.signed(seed_bytes(DRAWN), seed)


def test_repeated_false_foreign_and_late_seed_shares_are_no_news() -> None:
    kept = Ballots(BEACON, Keys())
    assert kept.take_seed(0, seed_share(0))
    assert not kept.take_seed(0, seed_share(0))
    assert not kept.take_seed(1, seed_share(2))
    assert not kept.take_seed(1, seed_share(1, view_of(configuration(5), range(5))))
    assert not ballots().take_seed(1, seed_share(1, VIEW)), "no key is shared"
    kept.forget_to(1)
    assert kept.seed(DRAWN) is None
    assert not kept.take_seed(1, seed_share(1))


def test_shares_of_another_view_of_the_term_make_no_seed() -> None:
    kept, other = Ballots(BEACON, Keys()), view_of(BEACON, (0, 1, 2))
    kept.take_seed(0, seed_share(0))
    kept.take_seed(1, seed_share(1))
    kept.take_seed(2, seed_share(2, other))
    assert kept.seed(DRAWN) is None
    assert kept.seed(other) is None


def test_seed_of_a_decided_term_is_forgotten() -> None:
    kept = Ballots(BEACON, Keys())
    for source in range(3):
        kept.take_seed(source, seed_share(source))
    kept.forget_to(1)
    assert kept.seed(DRAWN) is None


def test_leader_signed_with_shares_is_certified_by_the_key() -> None:
    kept, leader = Ballots(BEACON, Keys()), Leader(DRAWN, 0, b"seed")
    own = LeaderSignature(leader, KEYS[0].sign(leader.signing_bytes))
    assert not kept.take_signature(0, own), "its own key does not count here"
    for source in (0, 2, 3):
        assert kept.leader_certificate() is None
        said = LeaderSignature(leader, SHARES[source].sign(leader.signing_bytes))
        assert kept.take_signature(source, said)
    certificate = kept.leader_certificate()
    assert certificate is not None
    assert certificate.signatures == ()
    assert BEACON.cluster_key is not None
    assert BEACON.cluster_key.signed(leader.signing_bytes, certificate.shared_signature)
