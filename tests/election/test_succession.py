"""A configuration that follows another begins above it, and only if a quorum handed over."""

import pytest
from msgspec.structs import replace
from tests.election.support import Keys, configuration, signed

from tetrarch.election.certificates import CertificateInvalid
from tetrarch.election.statements import Handover, Signed
from tetrarch.election.succession import HandoverCertificate, check_handover, gather

C = configuration()
NEXT, OTHER = b"n" * 32, b"o" * 32


def handed(source: int, last_term: int = 5, next_hash: bytes = NEXT) -> Signed[Handover]:
    return signed(Handover(C.hash, next_hash, source, last_term))


GOOD = HandoverCertificate(NEXT, tuple(handed(source) for source in (0, 2, 3)))


def refused(certificate: HandoverCertificate) -> str:
    with pytest.raises(CertificateInvalid) as caught:
        check_handover(certificate, C, Keys())
    return str(caught.value.fields["reason"])


def test_quorum_hands_over() -> None:
    check_handover(GOOD, C, Keys())
    assert GOOD.floor == 5


def test_floor_is_the_highest_term_of_those_who_signed() -> None:
    certificate = gather([handed(0, 3), handed(1, 9), handed(2, 4)], C)
    assert certificate is not None
    assert certificate.floor == 9


def test_who_claims_too_high_a_term_is_left_out_where_others_are_enough() -> None:
    certificate = gather([handed(0, 3), handed(1, 2**62), handed(2, 4), handed(3, 5)], C)
    assert certificate is not None
    assert [each.what.source for each in certificate.handovers] == [0, 2, 3]
    assert certificate.floor == 5
    check_handover(certificate, C, Keys())


def test_fewer_than_a_quorum_for_one_successor_is_none() -> None:
    assert gather([handed(0), handed(1)], C) is None
    assert gather([handed(0), handed(1), handed(2, next_hash=OTHER)], C) is None
    assert gather([handed(0), handed(1), handed(1, 6)], C) is None


@pytest.mark.parametrize(
    ("handovers", "reason"),
    [
        (GOOD.handovers[:2], "below a quorum"),
        ((*GOOD.handovers[:2], GOOD.handovers[0]), "a signer twice"),
        ((*GOOD.handovers[:2], handed(1, next_hash=OTHER)), "to another configuration"),
        (
            (*GOOD.handovers[:2], signed(Handover(configuration(5).hash, NEXT, 1, 5))),
            "another configuration",
        ),
        ((*GOOD.handovers[:2], signed(Handover(C.hash, NEXT, 5, 5))), "foreign signer"),
        ((*GOOD.handovers[:2], replace(handed(1), signature=bytes(64))), "false signature"),
        (
            (*GOOD.handovers[:2], replace(handed(1), what=handed(1, 4).what)),
            "false signature",
        ),
    ],
)
def test_what_is_no_quorum_hands_over_nothing(
    handovers: tuple[Signed[Handover], ...], reason: str
) -> None:
    assert refused(HandoverCertificate(NEXT, handovers)) == reason


def test_certificate_of_another_successor_is_not_this_ones() -> None:
    assert refused(replace(GOOD, next_hash=OTHER)) == "to another configuration"
