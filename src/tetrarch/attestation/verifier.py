"""The way in: one envelope for all kinds of evidence, one function that verifies and judges. Pure."""

from typing import Annotated, Final

import msgspec

from tetrarch.attestation import nitro, sev_snp, software, tpm2
from tetrarch.attestation.binding import Subject, report_data
from tetrarch.attestation.claims import BackEnd, Claims
from tetrarch.attestation.dcap import COLLATERAL_MAX_BYTES, QUOTE_MAX_BYTES, verify_dcap
from tetrarch.attestation.errors import EvidenceInvalid
from tetrarch.attestation.policy import Policy, appraise
from tetrarch.decoding import UNDECODABLE

ENVELOPE_MAX_BYTES: Final = 512 << 10


class Evidence(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A document of ``back_end``, and what its maker says of it.

    ``endorsements``: nothing for software, Nitro and TPMs; VCEK, ASK and ARK certificates (DER) for
    SEV-SNP; the collateral (JSON) for SGX and TDX.
    """

    back_end: BackEnd
    document: Annotated[bytes, msgspec.Meta(max_length=QUOTE_MAX_BYTES)]
    endorsements: Annotated[
        tuple[Annotated[bytes, msgspec.Meta(max_length=COLLATERAL_MAX_BYTES)], ...],
        msgspec.Meta(max_length=4),
    ] = ()


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Evidence)


def encode_evidence(evidence: Evidence) -> bytes:
    """The envelope's bytes."""
    return _ENCODER.encode(evidence)


def decode_evidence(data: bytes) -> Evidence:
    """Read an envelope.

    Raises:
        EvidenceInvalid: it is none.
    """
    if len(data) > ENVELOPE_MAX_BYTES:
        raise EvidenceInvalid("read evidence", reason="too large")
    try:
        return _DECODER.decode(data)
    except UNDECODABLE:
        raise EvidenceInvalid("read evidence", reason="no envelope") from None


def verify(evidence: Evidence, *, signing_key: bytes, now_s: float) -> Claims:
    """What ``evidence`` says, if it is genuine. ``signing_key``: who signs evidence of software.

    Raises:
        EvidenceInvalid, EvidenceStale, VerifierMissing: says what is wrong.
    """
    try:
        return _verify(evidence, signing_key=signing_key, now_s=now_s)
    except (ImportError, OSError) as error:
        # A library wants to load something for odd content, which a locked enclave cannot.
        raise EvidenceInvalid(
            "verify evidence",
            back_end=evidence.back_end,
            reason=f"odd content: {type(error).__name__}",
        ) from None


def _verify(evidence: Evidence, *, signing_key: bytes, now_s: float) -> Claims:
    document, endorsements = evidence.document, evidence.endorsements
    match evidence.back_end, endorsements:
        case BackEnd.SOFTWARE, ():
            return software.verify_software(document, signing_key=signing_key)
        case BackEnd.NITRO, ():
            return nitro.verify_nitro(document)
        case BackEnd.TPM2, ():
            return tpm2.verify_tpm2(document)
        case BackEnd.SEV_SNP, (vcek, ask, ark):
            return sev_snp.verify_sev_snp(document, vcek=vcek, ask=ask, ark=ark, now_s=now_s)
        case ((BackEnd.SGX | BackEnd.TDX), (collateral,)):
            claims = verify_dcap(document, collateral=collateral, now_s=now_s)
            if claims.back_end is evidence.back_end:
                return claims
            raise EvidenceInvalid(
                "verify evidence", back_end=evidence.back_end, reason=f"it is {claims.back_end}"
            )
        case _:
            raise EvidenceInvalid(
                "verify evidence",
                back_end=evidence.back_end,
                reason="another number of endorsements than this kind has",
                endorsements=len(endorsements),
            )


def attest(
    evidence: Evidence, policy: Policy, *, subject: Subject, nonce: bytes, now_s: float
) -> Claims:
    """The claims of ``evidence`` that is genuine, about ``subject``, fresh and allowed.

    Raises:
        EvidenceInvalid, EvidenceStale, EvidenceForeign, EvidenceRefused, VerifierMissing: one of
            them, with one reason.
    """
    claims = verify(evidence, signing_key=subject.signing_key, now_s=now_s)
    appraise(claims, policy, bound=report_data(subject, nonce), now_s=now_s)
    return claims
