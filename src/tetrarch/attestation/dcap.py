"""Evidence of Intel SGX and TDX: a quote under Intel's certificates, with Intel's collateral. Pure.

The chain, the collateral and the firmware's status are judged by ``dcap-qvl``, an optional package;
the fields are read here. Source: Intel, "SGX ECDSA QuoteLibReference DCAP API", appendix A, and
"Intel TDX DCAP Quoting Library API", appendix 3.
"""

import hashlib
import json
import struct
from datetime import datetime
from typing import Any, Final

from tetrarch.attestation.claims import BackEnd, Claims
from tetrarch.attestation.errors import EvidenceInvalid, EvidenceStale, VerifierMissing

try:  # now, because an enclave can load nothing later
    import dcap_qvl
except ImportError:
    dcap_qvl = None

QUOTE_MAX_BYTES: Final = 64 << 10
COLLATERAL_MAX_BYTES: Final = 256 << 10
_HEADER_SIZE_BYTES, _SGX_BODY_SIZE_BYTES, _TDX_BODY_SIZE_BYTES = 48, 384, 584
_BODY_PREFIX_SIZE_BYTES = 6  # from version 5 on: the body's type and size
_VERSIONS = range(3, 6)
_TEE_SGX, _TEE_TDX = 0x00, 0x81
_NOT_OF_NOW = ("Expired", "expired", "NotYetValid", "in the future")  # in dcap-qvl's words
_SGX_DEBUG, _TDX_DEBUG = 1 << 1, 0xFF  # all bits of the TD's first byte say: under debug


def verify_dcap(quote: bytes, *, collateral: bytes, now_s: float) -> Claims:
    """The claims of a quote of version 3, 4 or 5 that Intel's collateral covers.

    The measurement is MRENCLAVE (SGX), or SHA-384 of MRTD and RTMR 0 to 3 (TDX).

    Args:
        quote: as the quoting enclave made it, with the chip's certificates in it.
        collateral: JSON of TCB info, QE identity and revocation lists, as PCCS serves them.
        now_s: since 1970; certificates and collateral must be valid then.

    Raises:
        EvidenceInvalid: says what is wrong.
        EvidenceStale: a certificate, revocation list or collateral has expired.
        VerifierMissing: the package ``dcap-qvl`` is not installed.

    Cost: about 3 ms.
    """
    tee = _tee(quote)
    if len(collateral) > COLLATERAL_MAX_BYTES:
        raise _invalid(tee, "its collateral is too large")
    status, advisories = _verified(tee, quote, collateral, now_s)
    fields = _sgx(_body(quote)) if tee is BackEnd.SGX else _tdx(_body(quote))
    return Claims(
        back_end=tee,
        status=status,
        advisories=advisories,
        fresh_until_s=_fresh_until_s(tee, collateral),
        **fields,
    )


def _tee(quote: bytes) -> BackEnd:
    if not _HEADER_SIZE_BYTES + _SGX_BODY_SIZE_BYTES < len(quote) <= QUOTE_MAX_BYTES:
        raise _invalid(BackEnd.SGX, "its size")
    version, _, tee = struct.unpack_from("<HHI", quote, 0)
    if version not in _VERSIONS or (version == _VERSIONS[0] and tee != _TEE_SGX):
        raise _invalid(BackEnd.SGX, "its version")
    if tee not in {_TEE_SGX, _TEE_TDX}:
        raise _invalid(BackEnd.SGX, "its kind of hardware")
    kind = BackEnd.SGX if tee == _TEE_SGX else BackEnd.TDX
    size = _SGX_BODY_SIZE_BYTES if kind is BackEnd.SGX else _TDX_BODY_SIZE_BYTES
    if len(_body(quote)) < size:
        raise _invalid(kind, "its size")
    return kind


def _body(quote: bytes) -> bytes:
    (version,) = struct.unpack_from("<H", quote, 0)
    prefix = _BODY_PREFIX_SIZE_BYTES if version == _VERSIONS[-1] else 0
    return quote[_HEADER_SIZE_BYTES + prefix :]


def _verified(
    tee: BackEnd, quote: bytes, collateral: bytes, now_s: float
) -> tuple[str, tuple[str, ...]]:
    if dcap_qvl is None:
        raise VerifierMissing("verify evidence", back_end=tee, package="dcap-qvl")
    try:
        given = dcap_qvl.QuoteCollateralV3.from_json(collateral.decode())
        verified = dcap_qvl.verify(quote, given, int(now_s))
    except (ValueError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        if any(word in reason for word in _NOT_OF_NOW):
            raise EvidenceStale("verify evidence", back_end=tee, reason=reason) from None
        raise _invalid(tee, reason) from None
    return str(verified.status), tuple(str(each) for each in verified.advisory_ids)


def _sgx(body: bytes) -> dict[str, Any]:
    product, version = struct.unpack_from("<HH", body, 256)
    return {
        "measurement": body[64:96],
        "security_version": version,
        "bound": body[320:384],
        "is_debug": bool(body[48] & _SGX_DEBUG),
        "details": {"signer": body[128:160].hex(), "product": str(product)},
    }


def _tdx(body: bytes) -> dict[str, Any]:
    registers = [body[at : at + 48] for at in (136, 328, 376, 424, 472)]
    names = ("mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3")
    return {
        "measurement": hashlib.sha384(b"".join(registers)).digest(),
        "security_version": 0,
        "bound": body[520:584],
        "is_debug": bool(body[120] & _TDX_DEBUG),
        "details": {name: value.hex() for name, value in zip(names, registers, strict=True)},
    }


def _fresh_until_s(tee: BackEnd, collateral: bytes) -> float:
    """Of two statements that Intel signed, as was checked before."""
    try:
        outer = json.loads(collateral)
        ends = (json.loads(outer[name])["nextUpdate"] for name in ("tcb_info", "qe_identity"))
        return min(datetime.fromisoformat(end).timestamp() for end in ends)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise _invalid(tee, "its collateral's dates") from None


def _invalid(tee: BackEnd, reason: str) -> EvidenceInvalid:
    return EvidenceInvalid("verify evidence", back_end=tee, reason=reason)
