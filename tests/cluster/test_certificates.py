"""TLS certificates: their form, and that nothing else passes for one."""

from datetime import UTC, datetime
from random import Random

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from tetrarch.cluster.certificates import (
    check_certificate,
    der_of,
    public_key_of,
)
from tetrarch.crypto.tls_identity import make_tls_identity
from tetrarch.errors import InputInvalid

NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody")])


def certificate(key, signer=None, dns: str | None = "tetrarch-node") -> bytes:
    builder = (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2030, 1, 1, tzinfo=UTC))
    )
    if dns:
        names = x509.SubjectAlternativeName([x509.DNSName(dns)])
        builder = builder.add_extension(names, critical=False)
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(signer or key, digest).public_bytes(serialization.Encoding.DER)


def p256():
    return ec.generate_private_key(ec.SECP256R1())


def test_good_form_passes():
    assert check_certificate(certificate(p256())).subject == "CN=somebody"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: certificate(p256(), signer=p256()), "own key"),
        (lambda: certificate(p256(), dns="elsewhere"), "tetrarch-node"),
        (lambda: certificate(p256(), dns=None), "tetrarch-node"),
        (lambda: certificate(ed25519.Ed25519PrivateKey.generate()), "P-256"),
        (lambda: certificate(ec.generate_private_key(ec.SECP384R1())), "P-256"),
        (lambda: certificate(rsa.generate_private_key(65537, 2048)), "P-256"),
        (lambda: certificate(p256()) + b"\0", "DER"),
        (lambda: b"", "DER"),
        (lambda: bytes(5000), "size_max"),
    ],
)
def test_other_certificates_are_refused(make, reason):
    with pytest.raises(InputInvalid, match=reason):
        check_certificate(make())


def test_mutated_certificates_are_refused_and_raise_nothing_else():
    rng = Random(3)
    good = der_of(make_tls_identity(b"\x02" * 33, entropy=rng.randbytes).certificate_pem)
    for _ in range(2000):
        data = bytearray(good)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        with pytest.raises(InputInvalid):
            check_certificate(bytes(data))


def test_nothing_behind_what_is_signed_can_be_changed_either():
    """A library takes a signature that says that its last bits, if they are zero, are not its own."""
    while True:  # signatures differ each time: every eighth ends so
        good = der_of(make_tls_identity(b"\x02" * 33, entropy=Random(3).randbytes).certificate_pem)
        if good[-1] % 8 == 0:
            break
    signed = len(x509.load_der_x509_certificate(good).tbs_certificate_bytes)
    check_certificate(good)
    for place in range(8 * signed, 8 * len(good)):
        data = bytearray(good)
        data[place // 8] ^= 1 << place % 8
        with pytest.raises(InputInvalid):
            check_certificate(bytes(data))


@pytest.mark.parametrize("data", [b"", b"-----BEGIN CERTIFICATE-----\nAA==\n", b"\xff"])
def test_malformed_pem_is_refused(data):
    with pytest.raises(InputInvalid):
        der_of(data)
    with pytest.raises(InputInvalid):
        public_key_of(data)
