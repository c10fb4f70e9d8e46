"""Evidence of AWS Nitro Enclaves: a COSE_Sign1 document under Amazon's certificates. Pure.

Source: the Nitro Enclaves guide, "Verifying the root of trust"; RFC 9052 section 4.4.
"""

import hashlib
import io
from datetime import UTC, datetime
from typing import Any, Final

import cbor2
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509.verification import (
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from tetrarch.attestation.claims import BackEnd, Claims
from tetrarch.attestation.errors import EvidenceInvalid
from tetrarch.crypto.certificates import UNREADABLE, load_certificate

DOCUMENT_MAX_BYTES: Final = 16 << 10
# SHA-256 of the root certificate, as Amazon publishes it.
ROOT_SHA256: Final = bytes.fromhex(
    "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b"
)
TIMESTAMP_MS_MAX: Final = 4_102_444_800_000  # the year 2100
_DEPTH_MAX = 8
_SIGN1_TAG = 18
_ES384 = {1: -35}
_SIGNATURE_SIZE_BYTES, _HALF_BYTES = 96, 48
_CERTIFICATES_MAX = 8
_PCR_SIZES_BYTES = frozenset({32, 48, 64})
_PCRS_MAX = 32


def verify_nitro(document: bytes, *, root_sha256: bytes = ROOT_SHA256) -> Claims:
    """The claims of a document whose signature and certificates are right at its own timestamp.

    Whether that is now is for the policy. The measurement is PCR0, of the whole image.

    Args:
        document: COSE_Sign1, tagged or not.
        root_sha256: of the root certificate to trust.

    Raises:
        EvidenceInvalid: says what is wrong.

    Cost: about 5 ms.
    """
    if len(document) > DOCUMENT_MAX_BYTES:
        raise _invalid("too large")
    protected, content, signature = _parts(_decoded(document))
    payload = _decoded(content)
    if not isinstance(payload, dict):
        raise _invalid("its payload is no map")
    timestamp_ms = _field(payload, "timestamp", int)
    if not 0 <= timestamp_ms < TIMESTAMP_MS_MAX:
        raise _invalid("its timestamp")
    leaf = _verified_leaf(payload, at_s=timestamp_ms / 1000, root_sha256=root_sha256)
    _check_signature(leaf, cbor2.dumps(["Signature1", protected, b"", content]), signature)
    registers = _registers(payload)
    measurement = registers.get(0, b"")
    if len(measurement) != _HALF_BYTES:
        raise _invalid("PCR0 is missing or of another size")
    user_data = payload.get("user_data")
    return Claims(
        back_end=BackEnd.NITRO,
        measurement=measurement,
        security_version=0,
        bound=user_data if isinstance(user_data, bytes) else b"",
        is_debug=not any(measurement),
        issued_s=timestamp_ms / 1000,
        details={
            "module": _field(payload, "module_id", str)[:128],
            **{f"pcr{number}": value.hex() for number, value in registers.items() if any(value)},
        },
    )


def _parts(envelope: Any) -> tuple[bytes, bytes, bytes]:
    if isinstance(envelope, cbor2.CBORTag) and envelope.tag == _SIGN1_TAG:
        envelope = envelope.value
    match envelope:
        case [bytes() as protected, {}, bytes() as content, bytes() as signature]:
            pass
        case _:
            raise _invalid("no COSE_Sign1")
    if _decoded(protected) != _ES384:
        raise _invalid("another signature algorithm than ES384")
    if len(signature) != _SIGNATURE_SIZE_BYTES:
        raise _invalid("its signature's size")
    return protected, content, signature


def _verified_leaf(payload: dict[Any, Any], *, at_s: float, root_sha256: bytes) -> x509.Certificate:
    bundle = _field(payload, "cabundle", list)
    if not 1 <= len(bundle) <= _CERTIFICATES_MAX:
        raise _invalid("the number of its certificates")
    leaf, root, *between = (
        _certificate(each) for each in (_field(payload, "certificate", bytes), *bundle)
    )
    if hashlib.sha256(bundle[0]).digest() != root_sha256:
        raise _invalid("its root is not Amazon's")
    builder = PolicyBuilder().time(datetime.fromtimestamp(at_s, UTC))
    builder = builder.extension_policies(
        ca_policy=ExtensionPolicy.webpki_defaults_ca(),
        # The leaf has no AuthorityKeyIdentifier, which the web asks for.
        ee_policy=ExtensionPolicy.permit_all(),
    )
    try:
        builder.store(Store([root])).build_client_verifier().verify(leaf, between)
    except (VerificationError, *UNREADABLE):
        raise _invalid("its certificates do not lead to Amazon's root") from None
    return leaf


def _check_signature(leaf: x509.Certificate, signed: bytes, signature: bytes) -> None:
    try:
        key = leaf.public_key()
    except UNREADABLE:
        raise _invalid("its key") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise _invalid("its key is not on P-384")
    r, s = (int.from_bytes(signature[at : at + _HALF_BYTES], "big") for at in (0, _HALF_BYTES))
    try:
        key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA384()))
    except InvalidSignature:
        raise _invalid("its signature") from None


def _registers(payload: dict[Any, Any]) -> dict[int, bytes]:
    told = _field(payload, "pcrs", dict)
    if len(told) > _PCRS_MAX:
        raise _invalid("too many PCRs")
    registers: dict[int, bytes] = {}
    for number, value in told.items():
        named = isinstance(number, int) and 0 <= number < _PCRS_MAX
        if not named or not isinstance(value, bytes) or len(value) not in _PCR_SIZES_BYTES:
            raise _invalid("one of its PCRs")
        registers[number] = value
    return registers


def _certificate(encoded: object) -> x509.Certificate:
    try:
        if isinstance(encoded, bytes):
            return load_certificate(encoded)
    except UNREADABLE:
        pass
    raise _invalid("one of its certificates")


def _decoded(data: bytes) -> Any:
    stream = io.BytesIO(data)
    try:
        value = cbor2.load(stream, max_depth=_DEPTH_MAX, allow_duplicate_keys=False)
    except (cbor2.CBORDecodeError, ValueError, TypeError, RecursionError, OverflowError):
        raise _invalid("no CBOR") from None
    if stream.tell() != len(data):
        raise _invalid("bytes after its end")
    return value


def _field(payload: dict[Any, Any], name: str, kind: type) -> Any:
    value = payload.get(name)
    if not isinstance(value, kind):
        raise _invalid(f"its field {name}")
    return value


def _invalid(reason: str) -> EvidenceInvalid:
    return EvidenceInvalid("verify evidence", back_end=BackEnd.NITRO, reason=reason)
