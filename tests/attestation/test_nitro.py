"""Goal: only a document that Amazon's key signed becomes claims.

Method: a genuine document of 2022 (debug mode), and documents under a root of our own, which can
be wrong in any single way.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.vectors_path import vectors

from tetrarch.attestation.claims import BackEnd
from tetrarch.attestation.errors import EvidenceInvalid
from tetrarch.attestation.nitro import DOCUMENT_MAX_BYTES, verify_nitro

NOW = datetime(2026, 6, 1, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
CURVE = ec.SECP384R1()


def certificate(subject, key, issuer, issuer_key, *, is_authority, days=30):
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=days))
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
    )
    if is_authority:
        usage = dict.fromkeys(
            ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
             "key_agreement", "crl_sign", "encipher_only", "decipher_only"), False
        )  # fmt: skip
        builder = builder.add_extension(x509.KeyUsage(key_cert_sign=True, **usage), critical=True)
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        )
        if subject != issuer:
            builder = builder.add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
                critical=False,
            )
    return builder.sign(issuer_key, hashes.SHA384()).public_bytes(Encoding.DER)


@cache
def chain():
    root, between, leaf = (ec.generate_private_key(CURVE) for _ in range(3))
    bundle = [
        certificate("root", root, "root", root, is_authority=True),
        certificate("between", between, "root", root, is_authority=True),
    ]
    return leaf, bundle, certificate("leaf", leaf, "between", between, is_authority=False)


def document(key=None, *, protected=None, tagged=False, drop=(), **fields) -> bytes:
    leaf, bundle, own = chain()
    payload = {
        "module_id": "i-1",
        "digest": "SHA384",
        "timestamp": NOW_MS,
        "pcrs": {0: b"\1" * 48, 1: bytes(48), 2: b"\2" * 48},
        "certificate": own,
        "cabundle": bundle,
        "user_data": b"u" * 64,
    } | fields
    for name in drop:
        del payload[name]
    head = cbor2.dumps({1: -35}) if protected is None else protected
    content = cbor2.dumps(payload)
    signed = cbor2.dumps(["Signature1", head, b"", content])
    r, s = decode_dss_signature((key or leaf).sign(signed, ec.ECDSA(hashes.SHA384())))
    envelope: list[Any] = [head, {}, content, r.to_bytes(48, "big") + s.to_bytes(48, "big")]
    return cbor2.dumps(cbor2.CBORTag(18, envelope) if tagged else envelope)


def checked(data: bytes):
    return verify_nitro(data, root_sha256=hashlib.sha256(chain()[1][0]).digest())


def genuine() -> bytes:
    return (vectors("attestation") / "nitro-2022-debug.cose").read_bytes()


def test_genuine_document_verifies_and_is_known_to_be_of_debug_mode() -> None:
    claims = verify_nitro(genuine())
    assert claims.back_end is BackEnd.NITRO
    assert claims.is_debug
    assert claims.issued_s is not None
    assert datetime.fromtimestamp(claims.issued_s, UTC).year == 2022
    assert claims.details["module"].startswith("i-")


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_genuine_document_with_any_other_bit_is_refused(data) -> None:
    text = bytearray(genuine())
    place = data.draw(st.integers(0, len(text) * 8 - 1))
    text[place // 8] ^= 1 << place % 8
    with pytest.raises(EvidenceInvalid):
        verify_nitro(bytes(text))


@pytest.mark.parametrize("tagged", [False, True])
def test_claims_are_what_the_document_says(tagged: bool) -> None:
    claims = checked(document(tagged=tagged))
    assert claims.measurement == b"\1" * 48
    assert claims.bound == b"u" * 64
    assert claims.issued_s == NOW.timestamp()
    assert not claims.is_debug
    assert claims.details == {
        "module": "i-1",
        "pcr0": (b"\1" * 48).hex(),
        "pcr2": (b"\2" * 48).hex(),
    }


def test_all_zero_image_is_debug_mode() -> None:
    assert checked(document(pcrs={0: bytes(48)})).is_debug


def test_without_user_data_it_is_about_nothing() -> None:
    assert checked(document(drop=["user_data"])).bound == b""


def other_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(CURVE)


def with_signature(signature: bytes) -> bytes:
    return cbor2.dumps([*cbor2.loads(document())[:3], signature])


LATER_MS = NOW_MS + 40 * 86_400_000
WRONG = {
    "empty": (lambda: b"", "no CBOR"),
    "garbage": (lambda: b"\xff" * 40, "no CBOR"),
    "text": (lambda: cbor2.dumps("evidence"), "no COSE_Sign1"),
    "too large": (lambda: bytes(DOCUMENT_MAX_BYTES + 1), "too large"),
    "deeply nested": (lambda: b"\x81" * 10_000, "no CBOR"),
    "bytes after it": (lambda: document() + b"\0", "bytes after its end"),
    "another algorithm": (lambda: document(protected=cbor2.dumps({1: -7})), "ES384"),
    "another key": (lambda: document(other_key()), "its signature"),
    "a short signature": (lambda: with_signature(bytes(95)), "its signature's size"),
    "another tag": (lambda: cbor2.dumps(cbor2.CBORTag(17, cbor2.loads(document()))), "COSE_Sign1"),
    "no certificate": (lambda: document(drop=["certificate"]), "field certificate"),
    "no bundle": (lambda: document(cabundle=[]), "number of its certificates"),
    "a long bundle": (lambda: document(cabundle=chain()[1] * 5), "number of its certificates"),
    "a bundle of numbers": (lambda: document(cabundle=[1, 2]), "one of its certificates"),
    "garbage for a certificate": (lambda: document(certificate=b"x"), "one of its certificates"),
    "a missing link": (lambda: document(cabundle=chain()[1][:1]), "do not lead to Amazon's root"),
    "expired then": (lambda: document(timestamp=LATER_MS), "do not lead to Amazon's root"),
    "a timestamp before time": (lambda: document(timestamp=-1), "its timestamp"),
    "a timestamp beyond time": (lambda: document(timestamp=1 << 60), "its timestamp"),
    "no registers": (lambda: document(drop=["pcrs"]), "field pcrs"),
    "no register of the image": (lambda: document(pcrs={1: bytes(48)}), "PCR0"),
    "a short register": (lambda: document(pcrs={0: bytes(47)}), "one of its PCRs"),
    "a register by another name": (lambda: document(pcrs={"0": bytes(48)}), "one of its PCRs"),
    "too many registers": (lambda: document(pcrs=dict.fromkeys(range(33), b"")), "too many PCRs"),
    "no module": (lambda: document(drop=["module_id"]), "field module_id"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_each_fault_has_its_own_reason(name: str) -> None:
    make, reason = WRONG[name]
    with pytest.raises(EvidenceInvalid, match=reason):
        checked(make())


def test_roots_of_others_are_not_amazons() -> None:
    with pytest.raises(EvidenceInvalid, match="root is not Amazon's"):
        verify_nitro(document())


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    with pytest.raises(EvidenceInvalid):
        verify_nitro(data)


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.binary(max_size=99) | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=9), inner),
        max_leaves=20,
    )
)
def test_no_structure_does_more_than_be_refused(value) -> None:
    for data in (value, [b"", {}, cbor2.dumps(value), bytes(96)], [b"\xa1\x01\x38\x22", {}, value]):
        with pytest.raises(EvidenceInvalid):
            verify_nitro(cbor2.dumps(data))
