"""Pinned TLS certificates: what gRPC needs of them, checked before anything is dialled."""

import ssl
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tetrarch.errors import OperatorError


class CertificateUnusable(OperatorError):
    """A certificate or key of the cluster files cannot serve the mesh."""

    code = "certificate_unusable"
    mend = "use the node folder as it was created, with the cluster files of all nodes"


def load_certificate(der: bytes, *, of: str) -> x509.Certificate:
    """Parse a certificate that gRPC can use: an ECDSA P-256 key and a DNS name.

    Raises:
        CertificateUnusable: it is none. (grpcio fails on Ed25519, with an unclear message.)
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key()
    except ValueError:
        raise CertificateUnusable("read certificate", of=of, reason="not X.509 DER") from None
    if not (isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)):
        raise CertificateUnusable("read certificate", of=of, reason="its key is not P-256")
    if not dns_names(certificate):
        raise CertificateUnusable("read certificate", of=of, reason="it names no DNS name")
    return certificate


def dns_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The alternative names of ``certificate``; the first is the one that dialling asks for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return tuple(names.get_values_for_type(x509.DNSName))


def to_pem(der: bytes) -> bytes:
    """PEM, as gRPC wants it."""
    return ssl.DER_cert_to_PEM_cert(der).encode()


def to_der(pem: bytes) -> bytes:
    """DER, as certificates are pinned and compared."""
    try:
        return ssl.PEM_cert_to_DER_cert(pem.decode("ascii"))
    except ValueError:
        raise CertificateUnusable("read certificate", reason="not PEM") from None


def check_distinct_subjects(certificates: Sequence[x509.Certificate]) -> None:
    """Refuse certificates that share a subject name.

    With several roots of one name, TLS picks the wrong one and fails ("self signed certificate").
    """
    subjects = [certificate.subject for certificate in certificates]
    if len(set(subjects)) != len(subjects):
        raise CertificateUnusable("read certificates", reason="two share one subject name")


def check_own_key(private_key_pem: bytes, certificate: x509.Certificate) -> None:
    """Refuse a private key that does not belong to our certificate."""
    try:
        key = load_pem_private_key(private_key_pem, password=None)
    except (ValueError, TypeError):
        raise CertificateUnusable("read TLS key", reason="not an unencrypted PEM key") from None
    if key.public_key() != certificate.public_key():
        raise CertificateUnusable("read TLS key", reason="it belongs to another certificate")
