"""Evidence of AMD SEV-SNP: a report signed by the chip's key, under AMD's certificates. Pure.

Source: AMD publications 56860 (ABI, section 7.3) and 57230 (VCEK certificates).
"""

import hashlib
import struct
from collections.abc import Iterable
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from tetrarch.attestation.claims import BackEnd, Claims
from tetrarch.attestation.errors import EvidenceInvalid, EvidenceStale
from tetrarch.crypto.certificates import UNREADABLE, load_certificate

REPORT_SIZE_BYTES: Final = 1184
# SHA-256 of AMD's root certificates, of families whose reports are alike (Turin's are not).
MILAN_SHA256: Final = bytes.fromhex(
    "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd"
)
GENOA_SHA256: Final = bytes.fromhex(
    "4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1"
)
ROOTS_SHA256: Final = frozenset({MILAN_SHA256, GENOA_SHA256})
CERTIFICATE_MAX_BYTES: Final = 8 << 10
_VERSIONS = range(2, 6)
_SIGNED_BYTES = 0x2A0
_NUMBER_BYTES = 72  # r and s, little-endian
_ECDSA_P384_SHA384 = 1
_DEBUG_BIT, _MIGRATION_BIT = 19, 18
_SALT_BYTES = 48
_TCB_PARTS: Final = (  # extension of the VCEK's certificate, and its byte in the reported TCB
    ("1.3.6.1.4.1.3704.1.3.1", 0),  # boot loader
    ("1.3.6.1.4.1.3704.1.3.2", 1),  # TEE
    ("1.3.6.1.4.1.3704.1.3.3", 6),  # SNP firmware
    ("1.3.6.1.4.1.3704.1.3.8", 7),  # microcode
)
_CHIP_ID = "1.3.6.1.4.1.3704.1.4"
_DER_INTEGER, _DER_OCTETS = 0x02, 0x04


def verify_sev_snp(
    report: bytes,
    *,
    vcek: bytes,
    ask: bytes,
    ark: bytes,
    now_s: float,
    roots_sha256: Iterable[bytes] = ROOTS_SHA256,
) -> Claims:
    """The claims of a report of 1184 bytes whose signature and certificates are right.

    Args:
        report: ATTESTATION_REPORT.
        vcek: certificate of the chip's key, DER.
        ask: of AMD's key that signed it.
        ark: of AMD's root, which must be one of ``roots_sha256``.
        now_s: since 1970; all certificates must be valid then.
        roots_sha256: of roots to trust.

    Raises:
        EvidenceInvalid: says what is wrong.
        EvidenceStale: a certificate is not valid now.

    Cost: about 2 ms.
    """
    if len(report) != REPORT_SIZE_BYTES:
        raise _invalid("its size")
    version, guest_version, policy = struct.unpack_from("<IIQ", report, 0)
    (algorithm,) = struct.unpack_from("<I", report, 0x34)
    if version not in _VERSIONS:
        raise _invalid("its version")
    if algorithm != _ECDSA_P384_SHA384:
        raise _invalid("another signature algorithm than ECDSA on P-384")
    tcb, chip_id = report[0x180:0x188], report[0x1A0:0x1E0]
    try:
        chip = _verified_chip(vcek, ask, ark, now_s=now_s, roots_sha256=frozenset(roots_sha256))
        _check_signature(chip, report)
        _check_extensions(chip, tcb=tcb, chip_id=chip_id)
    except UNREADABLE:
        raise _invalid("one of its certificates") from None
    return Claims(
        back_end=BackEnd.SEV_SNP,
        measurement=report[0x90:0xC0],
        security_version=guest_version,
        bound=report[0x50:0x90],
        is_debug=bool(policy >> _DEBUG_BIT & 1),
        details={
            "chip_id": chip_id.hex(),
            "reported_tcb": tcb.hex(),
            "policy": f"{policy:#x}",
            "may_migrate": str(bool(policy >> _MIGRATION_BIT & 1)).lower(),
            "host_data": report[0xC0:0xE0].hex(),
        },
    )


def _verified_chip(
    vcek: bytes, ask: bytes, ark: bytes, *, now_s: float, roots_sha256: frozenset[bytes]
) -> x509.Certificate:
    if hashlib.sha256(ark).digest() not in roots_sha256:
        raise _invalid("its root is not a trusted one of AMD's")
    chip, intermediate, root = (_certificate(each) for each in (vcek, ask, ark))
    for certificate, issuer in ((root, root), (intermediate, root), (chip, intermediate)):
        _check_issued(certificate, issuer)
        first_s = certificate.not_valid_before_utc.timestamp()
        if not first_s <= now_s <= certificate.not_valid_after_utc.timestamp():
            raise EvidenceStale(
                "verify evidence", back_end=BackEnd.SEV_SNP, reason="a certificate is not valid now"
            )
    return chip


def _check_issued(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    key = issuer.public_key()
    algorithm = padding.PSS(mgf=padding.MGF1(hashes.SHA384()), salt_length=_SALT_BYTES)
    if not isinstance(key, rsa.RSAPublicKey) or certificate.issuer != issuer.subject:
        raise _invalid("its certificates are no chain")
    try:
        key.verify(
            certificate.signature, certificate.tbs_certificate_bytes, algorithm, hashes.SHA384()
        )
    except InvalidSignature:
        raise _invalid("the signature of one of its certificates") from None


def _check_signature(chip: x509.Certificate, report: bytes) -> None:
    key = chip.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise _invalid("the chip's key is not on P-384")
    r, s = (
        int.from_bytes(report[at : at + _NUMBER_BYTES], "little")
        for at in (_SIGNED_BYTES, _SIGNED_BYTES + _NUMBER_BYTES)
    )
    try:
        signature = encode_dss_signature(r, s)
        key.verify(signature, report[:_SIGNED_BYTES], ec.ECDSA(hashes.SHA384()))
    except InvalidSignature:
        raise _invalid("its signature") from None


def _check_extensions(chip: x509.Certificate, *, tcb: bytes, chip_id: bytes) -> None:
    """The key is derived from the firmware's versions: it must be the one of those reported."""
    values = {
        extension.oid.dotted_string: extension.value.value
        for extension in chip.extensions
        if isinstance(extension.value, x509.UnrecognizedExtension)
    }
    for oid, position in _TCB_PARTS:
        if values.get(oid) != _der_integer(tcb[position]):
            raise _invalid("the chip's certificate is of other firmware")
    told = values.get(_CHIP_ID, b"")
    if told not in {chip_id, bytes((_DER_OCTETS, len(chip_id))) + chip_id}:
        raise _invalid("the chip's certificate is of another chip")


def _der_integer(value: int) -> bytes:
    content = value.to_bytes(value.bit_length() // 8 + 1, "big")  # its first bit is the sign
    return bytes((_DER_INTEGER, len(content))) + content


def _certificate(encoded: bytes) -> x509.Certificate:
    if len(encoded) > CERTIFICATE_MAX_BYTES:
        raise _invalid("a certificate is too large")
    try:
        return load_certificate(encoded)
    except UNREADABLE:
        raise _invalid("one of its certificates") from None


def _invalid(reason: str) -> EvidenceInvalid:
    return EvidenceInvalid("verify evidence", back_end=BackEnd.SEV_SNP, reason=reason)
