"""Each of these broken verifiers must fail at least one explicit claim of its module's tests."""

from pathlib import Path

import pytest
from tests.mutants import Mutant, assert_killed, assert_unchanged_holds

PACKAGE = "tetrarch.attestation"
B, N, S = "binding", "nitro", "sev_snp"

MUTANTS = (
    Mutant("key is not bound", B, "        subject.signing_key,\n", ""),
    Mutant("sealing key is not bound", B, "        subject.sealing_key,\n", ""),
    Mutant("node is not bound", B, "        subject.node.encode(),\n", ""),
    Mutant("configuration is not bound", B, "        subject.configuration_hash,\n", ""),
    Mutant("life is not bound", B, "        subject.incarnation,\n", ""),
    Mutant("nonce is not bound", B, "        nonce,\n", ""),
    Mutant("fields run together", B, 'digest.update(len(part).to_bytes(4, "big"))', "pass"),
    Mutant("hash without a purpose", B, "hashlib.sha512(_TAG)", "hashlib.sha512()"),
    Mutant("nonce of any size", B, "len(nonce) == NONCE_SIZE_BYTES", "True"),
    Mutant("about anything", "policy", "not hmac.compare_digest(claims.bound, bound)", "False"),
    Mutant("of any age", "policy", "age_s <= policy.age_s_max", "age_s"),
    Mutant("of the future", "policy", "-CLOCK_SKEW_S_MAX <= age_s", "age_s"),
    Mutant("clocks are exact", "policy", "-CLOCK_SKEW_S_MAX <= age_s", "0 <= age_s"),
    Mutant("statements for ever", "policy", "now_s > claims.fresh_until_s", "False"),
    Mutant(
        "statements end early",
        "policy",
        "now_s > claims.fresh_until",
        "now_s >= claims.fresh_until",
    ),
    Mutant("debug mode counts", "policy", "if claims.is_debug:", "if False:"),
    Mutant("any firmware", "policy", "claims.status not in policy.statuses", "False"),
    Mutant(
        "any hardware",
        "policy",
        "(entry.back_end, entry.measurement) == (back_end, claims.measurement)",
        "entry.measurement == claims.measurement",
    ),
    Mutant(
        "any program",
        "policy",
        "(entry.back_end, entry.measurement) == (back_end, claims.measurement)",
        "entry.back_end == back_end",
    ),
    Mutant(
        "any version", "policy", "claims.security_version >= entry.security_version_min", "True"
    ),
    Mutant(
        "newer only",
        "policy",
        "claims.security_version >= entry",
        "claims.security_version > entry",
    ),
    Mutant(
        "measurement of any size",
        "policy",
        "len(allowed.measurement) not in MEASUREMENT_SIZES_BYTES",
        "False",
    ),
    Mutant("negative version", "policy", "allowed.security_version_min < 0", "False"),
    Mutant("any root", N, "hashlib.sha256(bundle[0]).digest() != root_sha256", "False"),
    Mutant(
        "document unsigned",
        N,
        "key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA384()))",
        "pass",
    ),
    Mutant(
        "no chain",
        N,
        "builder.store(Store([root])).build_client_verifier().verify(leaf, between)",
        "pass",
    ),
    Mutant("certificates of another time", N, ".time(datetime.fromtimestamp(at_s, UTC))", ""),
    Mutant("any algorithm", N, "_decoded(protected) != _ES384", "False"),
    Mutant("signature of any size", N, "len(signature) != _SIGNATURE_SIZE_BYTES", "False"),
    Mutant("any tag", N, " and envelope.tag == _SIGN1_TAG", ""),
    Mutant("bytes after its end", N, "stream.tell() != len(data)", "False"),
    Mutant("debug image", N, "is_debug=not any(measurement)", "is_debug=False"),
    Mutant("no image", N, "len(measurement) != _HALF_BYTES", "False"),
    Mutant("no bundle", N, "not 1 <= len(bundle) <= _CERTIFICATES_MAX", "False"),
    Mutant("register of any size", N, " or len(value) not in _PCR_SIZES_BYTES", ""),
    Mutant("register of any name", N, "if not named or not", "if not"),
    Mutant("registers without end", N, "len(told) > _PCRS_MAX", "False"),
    Mutant("timestamp of any time", N, "not 0 <= timestamp_ms < TIMESTAMP_MS_MAX", "False"),
    Mutant("document without end", N, "len(document) > DOCUMENT_MAX_BYTES", "False"),
    Mutant("bound to nothing", N, 'if isinstance(user_data, bytes) else b""', ""),
    Mutant("report of any size", S, "len(report) != REPORT_SIZE_BYTES", "False"),
    Mutant("report of tomorrow", S, "version not in _VERSIONS", "False"),
    Mutant("another signature", S, "algorithm != _ECDSA_P384_SHA384", "False"),
    Mutant("any root of AMD", S, "hashlib.sha256(ark).digest() not in roots_sha256", "False"),
    Mutant("certificates unsigned", S, "        _check_issued(certificate, issuer)\n", ""),
    Mutant(
        "certificates for ever",
        S,
        "not first_s <= now_s <= certificate.not_valid_after_utc.timestamp()",
        "False",
    ),
    Mutant("any issuer", S, " or certificate.issuer != issuer.subject", ""),
    Mutant(
        "report unsigned",
        S,
        "key.verify(signature, report[:_SIGNED_BYTES], ec.ECDSA(hashes.SHA384()))",
        "pass",
    ),
    Mutant("debug guest", S, "bool(policy >> _DEBUG_BIT & 1)", "False"),
    Mutant(
        "another bit is debug",
        S,
        "_DEBUG_BIT, _MIGRATION_BIT = 19, 18",
        "_DEBUG_BIT, _MIGRATION_BIT = 18, 19",
    ),
    Mutant("host's bytes are the measurement", S, "report[0x90:0xC0]", "report[0xC0:0xF0]"),
    Mutant("bound to other bytes", S, "report[0x50:0x90]", "report[0x10:0x50]"),
    Mutant("certificate without end", S, "len(encoded) > CERTIFICATE_MAX_BYTES", "False"),
    Mutant("chip of other firmware", S, "values.get(oid) != _der_integer(tcb[position])", "False"),
    Mutant("another chip", S, "told not in {chip_id, ", "False and told not in {chip_id, "),
    Mutant(
        "word unsigned",
        "software",
        "Ed25519PublicKey.from_public_bytes(signing_key).verify(signature, _TAG + encoded)",
        "pass",
    ),
    Mutant(
        "word of any size",
        "software",
        "not _SIGNATURE_SIZE_BYTES < len(document) <= DOCUMENT_MAX_BYTES",
        "False",
    ),
    Mutant("word without a date is debug", "software", "is_debug=False", "is_debug=True"),
    Mutant("another kind", "verifier", "claims.back_end is evidence.back_end", "True"),
    Mutant("envelope without end", "verifier", "len(data) > ENVELOPE_MAX_BYTES", "False"),
    Mutant(
        "not judged",
        "verifier",
        "appraise(claims, policy, bound=report_data(subject, nonce), now_s=now_s)",
        "pass",
    ),
    Mutant("signed by anybody", "verifier", "signing_key=subject.signing_key", 'signing_key=b""'),
    Mutant("software endorsed", "verifier", "BackEnd.SOFTWARE, ()", "BackEnd.SOFTWARE, _"),
    Mutant("Nitro endorsed", "verifier", "BackEnd.NITRO, ()", "BackEnd.NITRO, _"),
)


@pytest.mark.parametrize("module", sorted({mutant.module for mutant in MUTANTS}))
def test_claims_hold_for_the_true_verifiers(module: str) -> None:
    assert_unchanged_holds(PACKAGE, Path(__file__).parent, module)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_killed(mutant: Mutant) -> None:
    assert_killed(PACKAGE, Path(__file__).parent, mutant)
