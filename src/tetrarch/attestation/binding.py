"""What evidence must be about: one enclave's keys, in one life, for one question. Pure.

Every kind of hardware signs some bytes that the attester chooses. Here they are a hash of all that
must not be exchanged, so that evidence of one enclave is no evidence for another.
"""

import hashlib
from dataclasses import dataclass

from tetrarch.errors import invariant

REPORT_DATA_SIZE_BYTES = 64  # SGX, TDX and SEV-SNP have exactly this much room
NONCE_SIZE_BYTES = 32
_TAG = b"tetrarch attestation v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Who is attested. ``incarnation`` is another one after each start."""

    signing_key: bytes  # Ed25519
    sealing_key: bytes  # X25519: requests are encrypted to it
    node: str
    configuration_hash: bytes
    incarnation: bytes


def report_data(subject: Subject, nonce: bytes) -> bytes:
    """The 64 bytes that the hardware signs for ``subject``, who was asked with ``nonce``."""
    invariant(len(nonce) == NONCE_SIZE_BYTES, "a nonce has 32 bytes")
    digest = hashlib.sha512(_TAG)
    for part in (
        subject.signing_key,
        subject.sealing_key,
        subject.node.encode(),
        subject.configuration_hash,
        subject.incarnation,
        nonce,
    ):
        digest.update(len(part).to_bytes(4, "big"))
        digest.update(part)
    return digest.digest()
