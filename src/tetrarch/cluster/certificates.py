"""TLS identities of nodes: one self-signed ECDSA P-256 certificate each, pinned by the cluster.

Trust comes from the pin alone: the extension file carries every certificate, signed by every node.
So a certificate never expires and names no host. Subjects are distinct, because gRPC's TLS stack
confuses roots with equal subjects; the alternative name is the same on all, because that is
the name a dialling node asks for.

Ed25519 certificates do not work with grpcio.
"""

import warnings
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tetrarch.crypto.certificates import UNREADABLE
from tetrarch.crypto.tls_identity import TLS_NAME
from tetrarch.errors import InputInvalid

CERTIFICATE_SIZE_MAX: Final = 4096  # DER; ours have about 450 bytes
_CURVE: Final = ec.SECP256R1()
_REFUSALS: Final = (*UNREADABLE, Warning)  # what the library merely deplores, we refuse


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """What the cluster's rules need of a certificate that was checked."""

    subject: str
    public_key_der: bytes


def der_of(certificate_pem: bytes) -> bytes:
    """The first certificate of a PEM text; raises InputInvalid."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
    except _REFUSALS as error:
        raise InputInvalid("read certificate", reason="not a PEM certificate") from error
    return certificate.public_bytes(serialization.Encoding.DER)


def _load(certificate_der: bytes) -> x509.Certificate:
    if len(certificate_der) > CERTIFICATE_SIZE_MAX:
        raise InputInvalid("read certificate", size_max=CERTIFICATE_SIZE_MAX)
    try:
        return x509.load_der_x509_certificate(certificate_der)
    except _REFUSALS as error:
        raise InputInvalid("read certificate", reason="not a DER certificate") from error


def check_certificate(certificate_der: bytes) -> CertificateFacts:
    """Check the form of a node's certificate; trust in it is the caller's.

    Raises:
        InputInvalid: not X.509, not P-256, not self-signed, or without the shared name.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            certificate = _load(certificate_der)
            key = certificate.public_key()
            extensions = certificate.extensions
            names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
            certificate.verify_directly_issued_by(certificate)
    except x509.ExtensionNotFound:
        raise InputInvalid("check certificate", reason=f"lacks the DNS name {TLS_NAME}") from None
    except InvalidSignature:
        raise InputInvalid("check certificate", reason="not signed by its own key") from None
    except _REFUSALS as error:
        raise InputInvalid("check certificate", reason=error) from error
    # Nothing is signed of how the signature itself is written: its count of unused bits may lie.
    if not certificate_der.endswith(b"\x00" + certificate.signature):
        raise InputInvalid("check certificate", reason="its signature is not canonical DER")
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != _CURVE.name:
        raise InputInvalid("check certificate", reason="the key is not ECDSA P-256")
    if TLS_NAME not in names.get_values_for_type(x509.DNSName):
        raise InputInvalid("check certificate", reason=f"lacks the DNS name {TLS_NAME}")
    if len(common) != 1:
        raise InputInvalid("check certificate", reason="needs one subject common name")
    return CertificateFacts(
        subject=certificate.subject.rfc4514_string(), public_key_der=_public_der(key)
    )


def public_key_of(private_key_pem: bytes) -> bytes:
    """The public half (DER) of a PEM private key, to compare with ``CertificateFacts``.

    Raises:
        InputInvalid: not an unencrypted P-256 key.
    """
    try:
        key = serialization.load_pem_private_key(private_key_pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InputInvalid("read TLS key", reason="not an unencrypted PEM key") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise InputInvalid("read TLS key", reason="not an elliptic-curve key")
    return _public_der(key.public_key())


def _public_der(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
