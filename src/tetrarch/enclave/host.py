"""What an enclave has of the machine that it runs on."""

from collections.abc import Callable
from dataclasses import dataclass

from tetrarch.enclave.attesting import Attester
from tetrarch.enclave.secret_reading import SecretReader, no_tpm_key
from tetrarch.enclave.tpm_counter import TpmCounters
from tetrarch.entropy import Entropy


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """``counters``: of its TPM, if there is one; ``read``: by it, too; ``make_tpm_key``: a TPM key file for PCRs. ``now_ms``: of a clock that goes on while the machine sleeps; ``wall_s``: since 1970."""

    attester: Attester
    counters: TpmCounters | None = None
    entropy: Entropy
    read: SecretReader
    make_tpm_key: Callable[[tuple[int, ...]], bytes] = no_tpm_key
    now_ms: Callable[[], int]
    wall_s: Callable[[], float]
