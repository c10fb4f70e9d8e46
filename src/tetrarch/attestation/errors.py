"""What can be wrong with evidence. Each error names the back end and one reason."""

from typing import ClassVar

from tetrarch.errors import OperatorError

EX_DATAERR = 65
EX_NOPERM = 77
EX_UNAVAILABLE = 69


class EvidenceInvalid(OperatorError):
    """It is damaged, or not signed by whom its kind must be signed by."""

    code = "evidence_invalid"
    exit_code: ClassVar[int] = EX_DATAERR
    mend = "get the evidence again from the attester; if it stays so, do not trust it"


class EvidenceStale(OperatorError):
    """It, or what it rests on, is too old, or of the future."""

    code = "evidence_stale"
    exit_code: ClassVar[int] = EX_DATAERR
    mend = "get new evidence, with current collateral; check both clocks"


class EvidenceForeign(OperatorError):
    """It is genuine, but was made for other keys, another node, configuration, life or question."""

    code = "evidence_foreign"
    exit_code: ClassVar[int] = EX_DATAERR
    mend = "ask this attester itself, with a nonce of your own"


class EvidenceRefused(OperatorError):
    """It is genuine, and the policy does not accept what it says."""

    code = "evidence_refused"
    exit_code: ClassVar[int] = EX_NOPERM
    mend = "run the measured program on hardware in order, or change the attestation policy"


class VerifierMissing(OperatorError):
    """The optional package that verifies this kind of evidence is not installed."""

    code = "verifier_missing"
    exit_code: ClassVar[int] = EX_UNAVAILABLE
    mend = "install tetrarch with its extra: pip install 'tetrarch[dcap]'"
