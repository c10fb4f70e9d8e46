"""A certificate proves something, or is refused with the reason."""

import pytest
from msgspec.structs import replace
from tests.election.support import Keys, certified, configuration, leading, signed, view_of

from tetrarch.election.certificates import (
    CertificateInvalid,
    LeaderCertificate,
    ViewCertificate,
    check_leader,
    check_view,
    leader_of,
)
from tetrarch.election.configuration import Configuration, Rule
from tetrarch.election.statements import Leader, Vote

C = configuration()
VIEW = view_of(C)
LEADER = Leader(VIEW, 0)
GOOD_VIEW = certified(VIEW, (0, 1, 3))
GOOD_LEADER = leading(LEADER, (1, 2, 3))


def flipped(data: bytes, bit: int = 77) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_good_certificates_are_taken() -> None:
    check_view(GOOD_VIEW, C, Keys())
    check_leader(GOOD_LEADER, C, Keys())


def refused_view(certificate: ViewCertificate, of: Configuration = C) -> str:
    with pytest.raises(CertificateInvalid) as caught:
        check_view(certificate, of, Keys())
    return str(caught.value.fields["reason"])


def refused_leader(certificate: LeaderCertificate, of: Configuration = C) -> str:
    with pytest.raises(CertificateInvalid) as caught:
        check_leader(certificate, of, Keys())
    return str(caught.value.fields["reason"])


def test_one_signer_fewer() -> None:
    assert refused_view(certified(VIEW, (0, 1))) == "below a quorum"
    assert refused_leader(leading(LEADER, (0, 1))) == "below a quorum"


def test_signer_twice() -> None:
    assert refused_view(certified(VIEW, (0, 1, 1))) == "a signer twice"
    assert refused_leader(leading(LEADER, (0, 1, 1, 2))) == "a signer twice"


def test_foreign_signer() -> None:
    assert refused_view(certified(VIEW, (0, 1, 7))) == "foreign signer"
    assert refused_leader(leading(LEADER, (0, 1, 7))) == "foreign signer"


def test_one_flipped_bit() -> None:
    vote = GOOD_VIEW.votes[1]
    false = replace(vote, signature=flipped(vote.signature))
    votes = (GOOD_VIEW.votes[0], false, GOOD_VIEW.votes[2])
    assert refused_view(replace(GOOD_VIEW, votes=votes)) == "false signature"
    (first, signature), *rest = GOOD_LEADER.signatures
    signatures = ((first, flipped(signature)), *rest)
    assert refused_leader(replace(GOOD_LEADER, signatures=signatures)) == "false signature"


def test_vote_for_another_view_does_not_count() -> None:
    other = signed(Vote(view_of(C, (0, 1, 2)), 2, 1))
    mixed = replace(GOOD_VIEW, votes=(*GOOD_VIEW.votes[:2], other))
    assert refused_view(mixed) == "vote for another view"


def test_signatures_of_another_leader_do_not_count() -> None:
    assert refused_leader(replace(GOOD_LEADER, leader=Leader(VIEW, 1))) == "false signature"


def test_another_configuration() -> None:
    other = configuration(rule=Rule.ROUND_ROBIN)
    assert refused_view(GOOD_VIEW, other) == "another configuration"
    assert refused_leader(GOOD_LEADER, other) == "another configuration"


def test_view_of_too_few_or_of_strangers() -> None:
    few = view_of(C, (0, 1))
    assert refused_view(certified(few, (0, 1, 2))) == "view below a quorum"
    strange = view_of(C, (0, 1, 2, 9))
    assert refused_leader(leading(Leader(strange, 0), (0, 1, 2))) == "unknown member"


def test_leader_must_be_in_its_view() -> None:
    absent = Leader(view_of(C, (0, 1, 2)), 3)
    assert refused_leader(leading(absent, (0, 1, 2))) == "leader is not in the view"


def test_seed_belongs_to_the_beacon_alone() -> None:
    seeded = Leader(VIEW, 0, seed=b"seed")
    assert refused_leader(leading(seeded, (0, 1, 2))) == "seed does not fit the rule"
    beacon = configuration(rule=Rule.BEACON)
    unseeded = Leader(view_of(beacon), 0)
    assert refused_leader(leading(unseeded, (0, 1, 2)), beacon) == "seed does not fit the rule"


def test_leader_follows_from_the_view_and_from_who_led_before() -> None:
    assert leader_of(VIEW, C, previous=None).leader == 0
    before = Leader(view_of(C, (1, 2, 3)), 2)
    after = view_of(C, range(4), term=2, previous=before.hash)
    assert leader_of(after, C, previous=before).leader == 2
    with pytest.raises(CertificateInvalid, match="another leader came before"):
        leader_of(after, C, previous=LEADER)
