"""Evidence of an enclave that is a process: signed by its own key, so it proves nothing but that.

Honest programs show what they run and what protects them; a liar shows what he likes. A policy
therefore accepts it only where somebody listed it.
"""

from typing import Annotated, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tetrarch.attestation.binding import REPORT_DATA_SIZE_BYTES
from tetrarch.attestation.claims import BackEnd, Claims
from tetrarch.attestation.errors import EvidenceInvalid
from tetrarch.decoding import UNDECODABLE

DOCUMENT_MAX_BYTES: Final = 4 << 10
MEASUREMENT_SIZE_BYTES: Final = 32
_TAG: Final = b"tetrarch software evidence v1"
_SIGNATURE_SIZE_BYTES = 64


class Report(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What the process says of itself. ``protections`` by name: ``enclave.protections``.

    Without a date: what it is bound to holds a nonce, and its host sets its clock.
    """

    measurement: Annotated[
        bytes, msgspec.Meta(min_length=MEASUREMENT_SIZE_BYTES, max_length=MEASUREMENT_SIZE_BYTES)
    ]
    security_version: Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
    bound: Annotated[
        bytes, msgspec.Meta(min_length=REPORT_DATA_SIZE_BYTES, max_length=REPORT_DATA_SIZE_BYTES)
    ]
    protections: Annotated[
        tuple[Annotated[str, msgspec.Meta(max_length=64)], ...], msgspec.Meta(max_length=32)
    ]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Report)


def encode_report(report: Report) -> bytes:
    """Its bytes."""
    return _ENCODER.encode(report)


def decode_report(data: bytes) -> Report:
    """Read a report.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: it is none (``UNDECODABLE``).
    """
    return _DECODER.decode(data)


def signed_bytes(report: Report) -> bytes:
    """What the enclave's signing key signs; the document is its signature and these bytes."""
    return _TAG + encode_report(report)


def software_document(report: Report, signature: bytes) -> bytes:
    """The evidence: 64 bytes of signature over ``signed_bytes``, then the report."""
    return signature + encode_report(report)


def verify_software(document: bytes, *, signing_key: bytes) -> Claims:
    """The claims of a report that ``signing_key`` (Ed25519) signed.

    Raises:
        EvidenceInvalid: says what is wrong.
    """
    if not _SIGNATURE_SIZE_BYTES < len(document) <= DOCUMENT_MAX_BYTES:
        raise _invalid("its size")
    signature, encoded = document[:_SIGNATURE_SIZE_BYTES], document[_SIGNATURE_SIZE_BYTES:]
    try:
        Ed25519PublicKey.from_public_bytes(signing_key).verify(signature, _TAG + encoded)
    except (InvalidSignature, ValueError):
        raise _invalid("its signature") from None
    try:
        report = decode_report(encoded)
    except UNDECODABLE:
        raise _invalid("no report") from None
    return Claims(
        back_end=BackEnd.SOFTWARE,
        measurement=report.measurement,
        security_version=report.security_version,
        bound=report.bound,
        is_debug=False,
        details={"protections": ", ".join(report.protections)},
    )


def _invalid(reason: str) -> EvidenceInvalid:
    return EvidenceInvalid("verify evidence", back_end=BackEnd.SOFTWARE, reason=reason)
