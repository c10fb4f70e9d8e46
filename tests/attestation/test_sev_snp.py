"""Goal: only a report that AMD's chip signed, at the firmware it names, becomes claims.

Method: a genuine Milan report with its certificates (it was made in debug mode), and reports under a
root of our own, whose chip's certificate can name other firmware or another chip.
"""

import hashlib
import struct
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st
from omne_attest import vectors as genuine

from tetrarch.attestation.claims import BackEnd, Claims
from tetrarch.attestation.errors import EvidenceInvalid, EvidenceStale
from tetrarch.attestation.sev_snp import (
    CERTIFICATE_MAX_BYTES,
    REPORT_SIZE_BYTES,
    ROOTS_SHA256,
    verify_sev_snp,
)

NOW_S = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
CHAIN = {"vcek": genuine.vcek(), "ask": genuine.ask(), "ark": genuine.ark()}


def checked(report: bytes, **other) -> Claims:
    return verify_sev_snp(report, **({**CHAIN, "now_s": NOW_S} | other))


def test_genuine_report_becomes_claims() -> None:
    report = genuine.attestation()
    claims = checked(report)
    assert claims.back_end is BackEnd.SEV_SNP
    assert claims.measurement == report[0x90:0xC0]
    assert claims.bound == report[0x50:0x90]
    assert claims.security_version == struct.unpack_from("<I", report, 4)[0]
    assert claims.is_debug, "this machine was started so"
    assert claims.details["policy"] == "0xb0000"
    assert claims.details["chip_id"] == report[0x1A0:0x1E0].hex()


def test_pins_are_the_roots_that_amd_publishes() -> None:
    """Genoa's: https://kdsintf.amd.com/vcek/v1/Genoa/cert_chain; no genuine report of one is here."""
    genoa = x509.load_pem_x509_certificate((Path(__file__).parent / "ark-genoa.pem").read_bytes())
    scheme = padding.PSS(mgf=padding.MGF1(hashes.SHA384()), salt_length=48)
    key, signature = genoa.public_key(), genoa.signature
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(signature, genoa.tbs_certificate_bytes, scheme, hashes.SHA384())
    (name,) = genoa.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == "ARK-Genoa"
    assert {genuine.ARK_SHA256, genoa.fingerprint(hashes.SHA256())} == ROOTS_SHA256


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 8 * (0x2A0 + 144) - 1))
def test_genuine_report_with_any_other_bit_is_refused(place: int) -> None:
    """The last bytes of a report are unused, and stand after its signature."""
    report = bytearray(genuine.attestation())
    report[place // 8] ^= 1 << place % 8
    with pytest.raises(EvidenceInvalid):
        checked(bytes(report))


def flipped(data: bytes, place: int) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 1
    return bytes(changed)


def with_number(offset: int, value: int) -> bytes:
    report = bytearray(genuine.attestation())
    struct.pack_into("<I", report, offset, value)
    return bytes(report)


WRONG = {
    "too short": ({"report": genuine.attestation()[:-1]}, "its size"),
    "empty": ({"report": b""}, "its size"),
    "too long": ({"report": bytes(REPORT_SIZE_BYTES + 1)}, "its size"),
    "another program": ({"report": flipped(genuine.attestation(), 0x90)}, "its signature"),
    "version of tomorrow": ({"report": with_number(0, 9)}, "its version"),
    "another algorithm": ({"report": with_number(0x34, 2)}, "another signature algorithm"),
    "another root": ({"ark": genuine.ask()}, "not a trusted one"),
    "no root is trusted": ({"roots_sha256": ()}, "not a trusted one"),
    "garbage for the chip": ({"vcek": b"x" * 100}, "one of its certificates"),
    "a huge certificate": ({"vcek": bytes(CERTIFICATE_MAX_BYTES + 1)}, "too large"),
    "links exchanged": ({"vcek": genuine.ask(), "ask": genuine.vcek()}, "no chain|signature of one"),
    "chip's certificate forged": ({"vcek": flipped(genuine.vcek(), -1)}, "signature of one"),
    "root in the chip's place": ({"vcek": genuine.ask()}, "no chain"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_each_fault_has_its_own_reason(name: str) -> None:
    change, reason = WRONG[name]
    change = dict(change)
    with pytest.raises(EvidenceInvalid, match=reason):
        checked(change.pop("report", genuine.attestation()), **change)


CHIP_ID = bytes(range(64))
FIRMWARE = bytes((3, 0, 0, 0, 0, 0, 22, 213))  # boot loader, TEE, ..., SNP, microcode
OIDS = {0: "3.1", 1: "3.2", 6: "3.3", 7: "3.8"}  # below AMD's 1.3.6.1.4.1.3704.1


@cache
def own_keys() -> tuple[rsa.RSAPrivateKey, rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey]:
    root, between = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    return root, between, ec.generate_private_key(ec.SECP384R1())


def own_certificate(subject: str, key, issuer: str, issuer_key, extensions=()) -> bytes:
    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
    )
    for oid, value in extensions:
        known = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
        builder = builder.add_extension(known, critical=False)
    scheme = padding.PSS(mgf=padding.MGF1(hashes.SHA384()), salt_length=48)
    signed = builder.sign(issuer_key, hashes.SHA384(), rsa_padding=scheme)
    return signed.public_bytes(Encoding.DER)


def own_chain(firmware: bytes, chip_id: bytes) -> dict[str, bytes]:
    """Certificates of a chip whose key is of this firmware."""
    root, between, chip = own_keys()
    extensions = [("1.3.6.1.4.1.3704.1.4", chip_id)]
    for place, oid in OIDS.items():
        size = firmware[place].bit_length() // 8 + 1
        value = bytes((2, size)) + firmware[place].to_bytes(size, "big")
        extensions.append((f"1.3.6.1.4.1.3704.1.{oid}", value))
    return {
        "ark": own_certificate("ark", root, "ark", root),
        "ask": own_certificate("ask", between, "ark", root),
        "vcek": own_certificate("vcek", chip, "ask", between, extensions),
    }


def own_report() -> bytes:
    report = bytearray(REPORT_SIZE_BYTES)
    struct.pack_into("<II", report, 0, 2, 7)
    struct.pack_into("<I", report, 0x34, 1)
    report[0x180:0x188], report[0x1A0:0x1E0] = FIRMWARE, CHIP_ID
    signature = own_keys()[2].sign(bytes(report[:0x2A0]), ec.ECDSA(hashes.SHA384()))
    for at, number in zip((0x2A0, 0x2A0 + 72), decode_dss_signature(signature), strict=True):
        report[at : at + 72] = number.to_bytes(72, "little")
    return bytes(report)


def checked_own(firmware: bytes, chip_id: bytes) -> Claims:
    chain = own_chain(firmware, chip_id)
    return checked(own_report(), roots_sha256=(hashlib.sha256(chain["ark"]).digest(),), **chain)


def test_report_under_a_root_that_is_named_becomes_claims() -> None:
    claims = checked_own(FIRMWARE, CHIP_ID)
    assert (claims.security_version, claims.is_debug) == (7, False)
    assert claims.details["chip_id"] == CHIP_ID.hex()
    with pytest.raises(EvidenceInvalid, match="not a trusted one"):
        checked(own_report(), **own_chain(FIRMWARE, CHIP_ID))


@pytest.mark.parametrize("place", OIDS)
def test_chip_of_other_firmware_than_it_reports_is_refused(place: int) -> None:
    """The key of older firmware may be known to who broke that firmware."""
    older = bytearray(FIRMWARE)
    older[place] ^= 1
    with pytest.raises(EvidenceInvalid, match="of other firmware"):
        checked_own(bytes(older), CHIP_ID)


def test_another_chip_than_it_reports_is_refused() -> None:
    with pytest.raises(EvidenceInvalid, match="of another chip"):
        checked_own(FIRMWARE, bytes(64))


@pytest.mark.parametrize("year", [1999, 2060])
def test_certificates_count_while_they_are_valid(year: int) -> None:
    with pytest.raises(EvidenceStale):
        checked(genuine.attestation(), now_s=datetime(year, 1, 1, tzinfo=UTC).timestamp())


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(["vcek", "ask"]))
def test_no_certificate_does_more_than_be_refused(data: bytes, which: str) -> None:
    with pytest.raises(EvidenceInvalid):
        checked(genuine.attestation(), **{which: data})
