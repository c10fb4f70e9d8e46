"""Who vouches for this enclave: makes evidence about its keys, for others to verify."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tetrarch.attestation.claims import BackEnd
from tetrarch.attestation.software import Report, signed_bytes, software_document
from tetrarch.attestation.verifier import Evidence
from tetrarch.enclave.measurement import SECURITY_VERSION


class Attester(Protocol):
    """One back end of this host."""

    def evidence(self, bound: bytes, sign: Callable[[bytes], bytes]) -> Evidence:
        """Evidence about ``bound`` (64 bytes). ``sign``: with the enclave's own key."""
        ...


@dataclass(frozen=True, slots=True)
class SoftwareAttester:
    """The process speaks for itself. ``protections``: those that are active when it is asked."""

    measurement: bytes
    protections: Callable[[], tuple[str, ...]]

    def evidence(self, bound: bytes, sign: Callable[[bytes], bytes]) -> Evidence:
        """As ``Attester``."""
        report = Report(self.measurement, SECURITY_VERSION, bound, self.protections())
        return Evidence(BackEnd.SOFTWARE, software_document(report, sign(signed_bytes(report))))
