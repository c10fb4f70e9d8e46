"""What genuine evidence says, in one form for all back ends. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class BackEnd(StrEnum):
    """Where an enclave runs, hence who vouches for it."""

    SOFTWARE = "software"  # a process: nobody but itself
    NITRO = "nitro"  # AWS Nitro Enclaves
    SEV_SNP = "sev-snp"  # AMD
    SGX = "sgx"  # Intel
    TDX = "tdx"  # Intel
    TPM2 = "tpm2"  # a process, on a machine whose TPM speaks for its boot


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """The content of evidence whose signatures were right. Not yet judged by a policy."""

    back_end: BackEnd
    measurement: bytes  # of the program: 32 or 48 bytes
    security_version: int  # of the program; 0 where the kind has none
    bound: bytes  # what the attester put in: see ``binding.report_data``
    is_debug: bool  # its host can look inside: worth nothing
    status: str = "up-to-date"  # of the hardware's own firmware, in the maker's word
    advisories: tuple[str, ...] = ()  # known defects of that firmware
    issued_s: float | None = None  # since 1970, where the evidence says so
    fresh_until_s: float | None = None  # when the maker's own statements expire
    details: Mapping[str, str] = field(default_factory=dict)  # for people
