"""What an enclave has of the machine that it runs on."""

from collections.abc import Callable
from dataclasses import dataclass

from tetrarch.enclave.attesting import Attester
from tetrarch.enclave.tpm_counter import TpmCounters
from tetrarch.entropy import Entropy


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """``counters``: of its TPM, if there is one. ``now_ms``: of a clock that goes on while the machine sleeps; ``wall_s``: since 1970."""

    attester: Attester
    counters: TpmCounters | None = None
    entropy: Entropy
    now_ms: Callable[[], int]
    wall_s: Callable[[], float]
