"""TLS identities are what gRPC takes, and no two are alike."""

import ssl
from random import Random

from tetrarch.cluster.certificates import check_certificate, der_of, public_key_of
from tetrarch.crypto.tls_identity import make_tls_identity


def test_key_and_certificate_belong_together_and_load(tmp_path):
    identity = make_tls_identity(b"\x02" * 33, entropy=Random(1).randbytes)
    facts = check_certificate(der_of(identity.certificate_pem))
    assert public_key_of(identity.private_key_pem) == facts.public_key_der
    assert facts.subject == "CN=tetrarch-" + "02" * 16
    for name, data in (("key", identity.private_key_pem), ("crt", identity.certificate_pem)):
        (tmp_path / name).write_bytes(data)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "crt", tmp_path / "key")


def test_subjects_and_keys_are_distinct():
    made = [make_tls_identity(bytes([2, i]) * 16, entropy=Random(i).randbytes) for i in range(3)]
    facts = [check_certificate(der_of(each.certificate_pem)) for each in made]
    assert len({each.subject for each in facts}) == 3
    assert len({each.public_key_der for each in facts}) == 3
