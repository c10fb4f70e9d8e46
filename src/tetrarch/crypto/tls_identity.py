"""Self-signed TLS identities: one ECDSA P-256 certificate for each node. Pure.

Whoever trusts one pins it, so it never expires and names no host. Subjects are distinct, because gRPC's
TLS stack confuses roots with equal subjects; the alternative name is the same on all, because that is
the name a dialling node asks for. Ed25519 certificates do not work with grpcio.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tetrarch.entropy import Entropy

TLS_NAME: Final = "tetrarch-node"  # the DNS name in every certificate
_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_NOT_BEFORE: Final = datetime(2020, 1, 1, tzinfo=UTC)  # no clock can be too early
_NOT_AFTER: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # RFC 5280, 4.1.2.5
_CURVE: Final = ec.SECP256R1()


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsIdentity:
    """A TLS key with its certificate, both PEM as gRPC and ``ssl`` take them."""

    private_key_pem: bytes = field(repr=False)
    certificate_pem: bytes


def make_tls_identity(public_key: bytes, *, entropy: Entropy) -> TlsIdentity:
    """A fresh TLS key and certificate, whose subject derives from the node's identity.

    Args:
        public_key: of the node, 16 bytes or more.
        entropy: 48 bytes are drawn for the key, 16 for the serial number.
    """
    scalar = int.from_bytes(entropy(48), "big") % (_P256_ORDER - 1) + 1
    key = ec.derive_private_key(scalar, _CURVE)
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, f"tetrarch-{public_key.hex()[:32]}")]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1 + int.from_bytes(entropy(16), "big"))
        .not_valid_before(_NOT_BEFORE)
        .not_valid_after(_NOT_AFTER)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(TLS_NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return TlsIdentity(
        private_key_pem=key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        certificate_pem=certificate.public_bytes(serialization.Encoding.PEM),
    )
