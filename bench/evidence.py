"""Verifying evidence of enclaves, each kind: from bytes to claims.

Beside it the physical limit: the bare signature verifications that its chain has, with keys loaded and
nothing parsed. Documents are the genuine ones of the tests; a quote of the TPM in Python has every byte
that a chip's has. There is none of TDX: a TDX quote goes the way of an SGX one, with a body of 584
bytes instead of 384, so its figures are SGX's.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from omne_attest import vectors as amd
from tests.enclave.fake_tpm import FakeTpm
from tests.vectors_path import vectors

from tetrarch.attestation.claims import BackEnd
from tetrarch.attestation.software import Report, signed_bytes, software_document
from tetrarch.attestation.verifier import Evidence, decode_evidence, encode_evidence, verify
from tetrarch.enclave.tpm_attesting import TpmAttester
from tetrarch.enclave.tpm_commands import Tpm

REPEATS = 200
TEXT = bytes(1000)


def _ed25519() -> Callable[[], object]:
    key = Ed25519PrivateKey.generate()
    public, signature = key.public_key(), key.sign(TEXT)
    return lambda: public.verify(signature, TEXT)


def _ecdsa(curve: ec.EllipticCurve, digest: hashes.HashAlgorithm) -> Callable[[], object]:
    key, algorithm = ec.generate_private_key(curve), ec.ECDSA(digest)
    public, signature = key.public_key(), key.sign(TEXT, algorithm)
    return lambda: public.verify(signature, TEXT, algorithm)


def _rsa_pss() -> Callable[[], object]:
    key, digest = rsa.generate_private_key(65537, 4096), hashes.SHA384()
    scheme = padding.PSS(mgf=padding.MGF1(digest), salt_length=48)
    public, signature = key.public_key(), key.sign(TEXT, scheme, digest)
    return lambda: public.verify(signature, TEXT, scheme, digest)


P256, P384 = _ecdsa(ec.SECP256R1(), hashes.SHA256()), _ecdsa(ec.SECP384R1(), hashes.SHA384())
ED25519, RSA_PSS = _ed25519(), _rsa_pss()

# What each chain has to verify, roots excepted: they are pinned.
LIMITS: dict[BackEnd, tuple[tuple[Callable[[], object], int], ...]] = {
    BackEnd.SOFTWARE: ((ED25519, 1),),
    BackEnd.TPM2: ((P256, 1),),
    BackEnd.NITRO: ((P384, 5),),  # the document, its certificate, three between it and the root
    BackEnd.SEV_SNP: ((P384, 1), (RSA_PSS, 2)),  # the report; VCEK and ASK
    # The quote, the quoting enclave's report, two certificates of the chip, TCB info, the quoting
    # enclave's identity, the certificate of both, two revocation lists.
    BackEnd.SGX: ((P256, 9),),
}


def _evidence() -> dict[BackEnd, tuple[Evidence, bytes, float]]:
    files = vectors("attestation")
    key = Ed25519PrivateKey.generate()
    report = Report(bytes(32), 1, bytes(64), ("landlock:7", "seccomp"))
    own = software_document(report, key.sign(signed_bytes(report)))
    collateral = (files / "sgx-v3.collateral.json").read_bytes()
    certificates = (amd.vcek(), amd.ask(), amd.ark())
    return {
        BackEnd.SOFTWARE: (
            Evidence(BackEnd.SOFTWARE, own),
            key.public_key().public_bytes_raw(),
            0.0,
        ),
        BackEnd.TPM2: (
            TpmAttester.open(
                Tpm(FakeTpm().exchange), bytes(32), program=bytes(32), protections=lambda: ()
            ).evidence(bytes(64), lambda _: b""),
            b"",
            0.0,
        ),
        BackEnd.NITRO: (
            Evidence(BackEnd.NITRO, (files / "nitro-2022-debug.cose").read_bytes()),
            b"",
            0.0,
        ),
        BackEnd.SEV_SNP: (
            Evidence(BackEnd.SEV_SNP, amd.attestation(), certificates),
            b"",
            1_795_000_000.0,
        ),
        BackEnd.SGX: (
            Evidence(BackEnd.SGX, (files / "sgx-v3.quote").read_bytes(), (collateral,)),
            b"",
            1_750_900_000.0,
        ),
    }


def _median_ms(work: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        work()
        times.append((time.perf_counter() - begun) * 1e3)
    return median(times)


def run() -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for back_end, (evidence, signing_key, now_s) in _evidence().items():
        envelope = encode_evidence(evidence)

        def check(
            envelope: bytes = envelope, signing_key: bytes = signing_key, now_s: float = now_s
        ) -> None:
            verify(decode_evidence(envelope), signing_key=signing_key, now_s=now_s)

        figures[back_end.value] = told = {
            "verified_p50_ms": round(_median_ms(check), 3),
            "limit_ms": round(sum(_median_ms(bare) * count for bare, count in LIMITS[back_end]), 3),
            "bytes": len(envelope),
        }
        print(f"  {back_end.value:10} {told}", flush=True)
    return figures


if __name__ == "__main__":
    run()
