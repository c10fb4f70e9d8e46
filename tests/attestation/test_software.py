"""What a process says of itself counts if its own key signed it, and for no more than that."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from tetrarch.attestation.claims import BackEnd
from tetrarch.attestation.errors import EvidenceInvalid
from tetrarch.attestation.software import (
    DOCUMENT_MAX_BYTES,
    Report,
    signed_bytes,
    software_document,
    verify_software,
)

SECRET = Ed25519PrivateKey.from_private_bytes(b"\7" * 32)
KEY = SECRET.public_key().public_bytes_raw()
REPORT = Report(
    measurement=b"\1" * 32,
    security_version=3,
    bound=b"\2" * 64,
    protections=("landlock:7", "seccomp"),
)
DOCUMENT = software_document(REPORT, SECRET.sign(signed_bytes(REPORT)))


def test_claims_are_what_the_report_says() -> None:
    claims = verify_software(DOCUMENT, signing_key=KEY)
    assert claims.back_end is BackEnd.SOFTWARE
    assert (claims.measurement, claims.security_version) == (b"\1" * 32, 3)
    assert (claims.bound, claims.issued_s) == (b"\2" * 64, None)
    assert not claims.is_debug
    assert claims.details == {"protections": "landlock:7, seccomp"}


@settings(deadline=None)
@given(place=st.integers(0, len(DOCUMENT) * 8 - 1))
def test_any_other_bit_is_refused(place: int) -> None:
    changed = bytearray(DOCUMENT)
    changed[place // 8] ^= 1 << place % 8
    with pytest.raises(EvidenceInvalid):
        verify_software(bytes(changed), signing_key=KEY)


OTHER = Ed25519PrivateKey.from_private_bytes(b"\x08" * 32).public_key().public_bytes_raw()


@pytest.mark.parametrize("key", [bytes(32), b"", OTHER], ids=["zeros", "none", "another"])
def test_another_key_is_refused(key: bytes) -> None:
    with pytest.raises(EvidenceInvalid, match="its signature"):
        verify_software(DOCUMENT, signing_key=key)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_signed_nonsense_is_refused(data: bytes) -> None:
    signature = SECRET.sign(b"tetrarch software evidence v1" + data)
    with pytest.raises(EvidenceInvalid):
        verify_software(signature + data, signing_key=KEY)


def test_size_is_bounded() -> None:
    for document in (b"", bytes(64), bytes(DOCUMENT_MAX_BYTES + 1)):
        with pytest.raises(EvidenceInvalid, match="its size"):
            verify_software(document, signing_key=KEY)
