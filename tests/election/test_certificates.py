"""A certificate proves something, or is refused with the reason."""

import pytest
from msgspec.structs import replace
from tests.election.support import (
    KEYS,
    Keys,
    certified,
    configuration,
    leading,
    sharing,
    signed,
    view_of,
)

from tetrarch.election.certificates import (
    CertificateInvalid,
    LeaderCertificate,
    ViewCertificate,
    certificate_of,
    check_leader,
    check_view,
    is_signed_by,
    leader_of,
)
from tetrarch.election.configuration import Configuration, Rule
from tetrarch.election.statements import Leader, Vote, seed_bytes

C = configuration()
VIEW = view_of(C)
LEADER = Leader(VIEW, 0)
GOOD_VIEW = certified(VIEW, (0, 1, 3))
GOOD_LEADER = leading(LEADER, (1, 2, 3))


SHARED, SHARES = sharing()
BEACON, _ = sharing(rule=Rule.BEACON)


def signed_together(c: Configuration, data: bytes) -> bytes:
    assert c.cluster_key is not None
    return c.cluster_key.combine({index: SHARES[index].sign(data) for index in (0, 2, 3)})


def together(c: Configuration, leader: Leader) -> LeaderCertificate:
    return LeaderCertificate(leader, (), signed_together(c, leader.signing_bytes))


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
    unseeded = Leader(view_of(BEACON), 0)
    assert refused_leader(together(BEACON, unseeded), BEACON) == "seed does not fit the rule"


def test_shared_key_signs_in_place_of_members() -> None:
    leader = Leader(view_of(SHARED), 1)
    certificate = together(SHARED, leader)
    check_leader(certificate, SHARED, Keys())
    assert certificate.signatures == ()
    by_members = leading(leader, (0, 1, 2))
    assert refused_leader(by_members, SHARED) == "signed by members, not by their key"
    both = replace(by_members, shared_signature=certificate.shared_signature)
    assert refused_leader(both, SHARED) == "signed by members, not by their key"
    for bad in (b"", b"x" * 96, SHARES[0].sign(leader.signing_bytes)):
        wrong = replace(certificate, shared_signature=bad)
        assert refused_leader(wrong, SHARED) == "false signature"
    another = replace(certificate, leader=Leader(view_of(SHARED), 2))
    assert refused_leader(another, SHARED) == "false signature"


def test_key_of_nobody_signs_nothing() -> None:
    extra = replace(GOOD_LEADER, shared_signature=SHARES[0].sign(LEADER.signing_bytes))
    assert refused_leader(extra) == "signed by a key, and members share none"


def test_seed_is_the_shared_keys_signature_under_the_view() -> None:
    view = view_of(BEACON)
    drawn = Leader(view, 0, seed=signed_together(BEACON, seed_bytes(view)))
    check_leader(together(BEACON, drawn), BEACON, Keys())
    other = view_of(BEACON, term=2)
    for seed in (
        b"x" * 96,
        SHARES[0].sign(seed_bytes(view)),
        signed_together(BEACON, seed_bytes(other)),
    ):
        false = Leader(view, 0, seed=seed)
        assert refused_leader(together(BEACON, false), BEACON) == "false seed"


def test_certificate_is_made_of_enough_signatures_and_no_fewer() -> None:
    parts = {each: KEYS[each].sign(LEADER.signing_bytes) for each in (2, 0, 1)}
    made = certificate_of(LEADER, parts, C)
    assert made is not None
    assert (made.signatures, made.shared_signature) == (tuple(sorted(parts.items())), b"")
    del parts[1]
    assert certificate_of(LEADER, parts, C) is None
    shared = Leader(view_of(SHARED), 0)
    by_share = {each: SHARES[each].sign(shared.signing_bytes) for each in (3, 1)}
    assert certificate_of(shared, by_share, SHARED) is None
    by_share[0] = SHARES[0].sign(shared.signing_bytes)
    assert certificate_of(shared, by_share, SHARED) == together(SHARED, shared)


def test_member_signs_with_its_share_where_there_is_one() -> None:
    own, share = KEYS[1].sign(LEADER.signing_bytes), SHARES[1].sign(LEADER.signing_bytes)
    assert is_signed_by(1, LEADER, own, C, Keys())
    assert not is_signed_by(1, LEADER, share, C, Keys())
    assert is_signed_by(1, LEADER, share, SHARED, Keys())
    assert not is_signed_by(1, LEADER, own, SHARED, Keys())
    assert not is_signed_by(2, LEADER, share, SHARED, Keys())


def test_leader_follows_from_the_view_and_from_who_led_before() -> None:
    assert leader_of(VIEW, C, previous=None).leader == 0
    before = Leader(view_of(C, (1, 2, 3)), 2)
    after = view_of(C, range(4), term=2, previous=before.hash)
    assert leader_of(after, C, previous=before).leader == 2
    with pytest.raises(CertificateInvalid, match="another leader came before"):
        leader_of(after, C, previous=LEADER)
