"""nginx as a process: ends TLS and hands gRPC on to a node without it."""

import datetime as dt
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CONFIGURATION = """
daemon off;
error_log {folder}/error.log info;
pid {folder}/nginx.pid;
events {{}}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl http2;
    ssl_certificate {folder}/chain.pem;
    ssl_certificate_key {folder}/key.pem;
    location / {{
      grpc_pass grpc://127.0.0.1:{behind};
      grpc_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      grpc_read_timeout 1h;  # streams last
      grpc_send_timeout 1h;
      client_body_timeout 1h;
      client_max_body_size 0;  # of a stream in all, not of a message
    }}
  }}
}}
"""


class ReverseProxy:
    """Stands at ``port`` before a node that listens at ``behind``. Its certificate is an authority's."""

    def __init__(self, folder: Path, port: int, behind: int) -> None:
        folder.mkdir()
        self._folder = folder
        self.certificate_hash = _write_certificate(folder).hex()
        text = CONFIGURATION.format(folder=folder, port=port, behind=behind)
        (folder / "nginx.conf").write_text(text)

    @contextmanager
    def running(self) -> Iterator[None]:
        program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        if program is None:
            pytest.skip(
                "REVERSE PROXY NOT RUN: install nginx, or run tests/integration/install_peers.sh"
            )
        process = subprocess.Popen([program, "-p", self._folder, "-c", self._folder / "nginx.conf"])
        try:
            yield
        finally:
            process.terminate()
            process.wait(10)

    @property
    def log(self) -> str:
        return (self._folder / "access.log").read_text()


def _write_certificate(folder: Path) -> bytes:
    """A leaf and the authority that signed it, as a public site has them; SHA-256 of the leaf."""
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority")])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "proxy.example")])
    authority = _signed(authority_name, authority_key, authority_name, authority_key, leaf=False)
    leaf = _signed(name, key, authority_name, authority_key, leaf=True)
    pem = serialization.Encoding.PEM
    (folder / "chain.pem").write_bytes(leaf.public_bytes(pem) + authority.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return sha256(leaf.public_bytes(serialization.Encoding.DER)).digest()


def _signed(
    name: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    leaf: bool,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName("proxy.example"), x509.IPAddress(ip_address("127.0.0.1"))]
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=not leaf, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
