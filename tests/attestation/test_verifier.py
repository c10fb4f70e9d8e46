"""One envelope for all kinds: what it is, who verifies it, and what is no envelope at all."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omne_attest import vectors as amd
from tests.attestation.test_policy import NONCE, NOW_S
from tests.attestation.test_software import KEY, REPORT, SECRET
from tests.vectors_path import vectors

from tetrarch.attestation.binding import Subject, report_data
from tetrarch.attestation.claims import BackEnd
from tetrarch.attestation.errors import (
    EvidenceForeign,
    EvidenceInvalid,
    EvidenceRefused,
)
from tetrarch.attestation.policy import Allowed, Policy
from tetrarch.attestation.software import Report, signed_bytes, software_document
from tetrarch.attestation.verifier import (
    ENVELOPE_MAX_BYTES,
    Evidence,
    attest,
    decode_evidence,
    encode_evidence,
    verify,
)

SUBJECT = Subject(
    signing_key=KEY,
    sealing_key=b"e" * 32,
    node="node1",
    configuration_hash=b"c" * 32,
    incarnation=b"i" * 32,
)
POLICY = Policy(allowed=(Allowed(BackEnd.SOFTWARE, REPORT.measurement),))


def own_evidence(nonce: bytes = NONCE) -> Evidence:
    report = Report(
        measurement=REPORT.measurement,
        security_version=0,
        bound=report_data(SUBJECT, nonce),
        protections=(),
    )
    return Evidence(BackEnd.SOFTWARE, software_document(report, SECRET.sign(signed_bytes(report))))


def test_attested_by_its_own_word_where_the_policy_lists_it() -> None:
    evidence = decode_evidence(encode_evidence(own_evidence()))
    claims = attest(evidence, POLICY, subject=SUBJECT, nonce=NONCE, now_s=NOW_S)
    assert claims.measurement == REPORT.measurement


def test_answer_to_another_question_is_foreign() -> None:
    with pytest.raises(EvidenceForeign):
        attest(own_evidence(b"o" * 32), POLICY, subject=SUBJECT, nonce=NONCE, now_s=NOW_S)


def test_another_program_is_refused() -> None:
    policy = Policy(allowed=(Allowed(BackEnd.SOFTWARE, b"\0" * 32),))
    with pytest.raises(EvidenceRefused):
        attest(own_evidence(), policy, subject=SUBJECT, nonce=NONCE, now_s=NOW_S)


def test_each_kind_goes_to_its_verifier() -> None:
    files = vectors("attestation")
    quote = (files / "sgx-v3.quote").read_bytes()
    collateral = (files / "sgx-v3.collateral.json").read_bytes()
    nitro = (files / "nitro-2022-debug.cose").read_bytes()
    chain = (amd.vcek(), amd.ask(), amd.ark())
    for evidence, now_s in (
        (Evidence(BackEnd.NITRO, nitro), 0.0),
        (Evidence(BackEnd.SEV_SNP, amd.attestation(), chain), 1_795_000_000.0),
        (Evidence(BackEnd.SGX, quote, (collateral,)), 1_750_900_000.0),
    ):
        assert verify(evidence, signing_key=b"", now_s=now_s).back_end is evidence.back_end
    with pytest.raises(EvidenceInvalid, match="it is sgx"):
        verify(Evidence(BackEnd.TDX, quote, (collateral,)), signing_key=b"", now_s=1_750_900_000.0)


@pytest.mark.parametrize("back_end", BackEnd)
def test_number_of_endorsements_belongs_to_the_kind(back_end: BackEnd) -> None:
    with pytest.raises(EvidenceInvalid, match="number of endorsements"):
        verify(Evidence(back_end, b"", (b"", b"")), signing_key=KEY, now_s=NOW_S)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_are_more_than_refused(data: bytes) -> None:
    with pytest.raises(EvidenceInvalid):
        decode_evidence(b"\x93" + data if data[:1] != b"\x93" else data)


def test_envelope_is_bounded() -> None:
    with pytest.raises(EvidenceInvalid, match="too large"):
        decode_evidence(bytes(ENVELOPE_MAX_BYTES + 1))
