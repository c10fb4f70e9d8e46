"""Has a TPM vouch for this enclave: by a key that only this enclave can have it make and use."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from tetrarch.attestation.binding import REPORT_DATA_SIZE_BYTES
from tetrarch.attestation.claims import BackEnd
from tetrarch.attestation.policy import Allowed
from tetrarch.attestation.software import Report, encode_report
from tetrarch.attestation.tpm2 import Document, encode_document, extra_data, verify_tpm2
from tetrarch.attestation.tpm_structures import Quote
from tetrarch.attestation.verifier import Evidence
from tetrarch.enclave.errors import TpmFailed
from tetrarch.enclave.measurement import SECURITY_VERSION
from tetrarch.enclave.tpm_commands import LoadedKey, Tpm
from tetrarch.enclave.tpm_counter import TpmCounters
from tetrarch.entropy import Entropy

# What a boot that nobody changed leaves the same: firmware and its settings, secure boot and the boot
# loader (0 to 7), its commands and files (8, 9), a unified kernel (11), the machine owner's keys
# (14). Not 10, which grows with every program, nor those for debugging and for a late launch.
BOOT_REGISTERS: Final = (*range(10), 11, 14)
SECRET_SIZE_BYTES: Final = 32
_TRIES = 5


@dataclass(frozen=True, slots=True)
class TpmAttester:
    """Implements ``attesting.Attester``. ``open`` it, ``close`` it.

    ``program``: ``measurement.measure``; ``protections``: those that are active when it is asked.
    """

    program: bytes
    protections: Callable[[], tuple[str, ...]]
    _tpm: Tpm
    _key: LoadedKey

    @classmethod
    def open(
        cls,
        tpm: Tpm,
        secret: bytes,
        *,
        program: bytes,
        protections: Callable[[], tuple[str, ...]],
    ) -> Self:
        """Have ``tpm`` make the key that belongs to ``secret`` (32 bytes).

        Raises:
            TpmFailed: it makes none.

        Cost: 1 ms in software, up to 1 s of a chip.
        """
        x, y, auth = (_derived(secret, label) for label in (b"x", b"y", b"auth"))
        return cls(program, protections, tpm, tpm.make_key(x=x, y=y, auth=auth))

    def evidence(self, bound: bytes, sign: Callable[[bytes], bytes]) -> Evidence:
        """As ``Attester``; the TPM signs instead of the enclave.

        Raises:
            TpmFailed: it does not.

        Cost: 2 ms in software, up to 1 s of a chip.
        """
        del sign  # ``bound`` names the enclave's key
        report = encode_report(Report(self.program, SECURITY_VERSION, bound, self.protections()))
        for _ in range(_TRIES):
            contents = self._tpm.read_registers(BOOT_REGISTERS)
            quote, signature = self._tpm.quote(self._key, extra_data(report), BOOT_REGISTERS)
            if Quote.read(quote).digest == hashlib.sha256(contents).digest():
                key = self._key.public.encoded
                document = Document(report, key, quote, signature, contents)
                return Evidence(BackEnd.TPM2, encode_document(document))
        raise TpmFailed("quote PCRs", reason="they change all the time", tries=_TRIES)

    def entry(self) -> Allowed:
        """The entry of a policy that allows this evidence, as others will verify it."""
        evidence = self.evidence(bytes(REPORT_DATA_SIZE_BYTES), lambda _: b"")
        claims = verify_tpm2(evidence.document)
        return Allowed(claims.back_end, claims.measurement, claims.security_version)

    def counters(self, entropy: Entropy) -> TpmCounters:
        """Counters of the same TPM, told by the same key."""
        return TpmCounters(self._tpm, self._key, entropy)

    def close(self) -> None:
        """Have the TPM forget the key, until it is made again.

        Raises:
            TpmFailed: it is not reached.
        """
        self._tpm.flush(self._key.handle)


def _derived(secret: bytes, label: bytes) -> bytes:
    return HKDFExpand(SHA256(), 32, b"tetrarch/tpm/1/" + label).derive(secret)
