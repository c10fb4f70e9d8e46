"""Goal: only a quote that Intel's certificates and collateral cover becomes claims.

Method: a genuine SGX quote of version 3 with its collateral of June 2025.
"""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.vectors_path import vectors

from tetrarch.attestation import dcap as module
from tetrarch.attestation.claims import BackEnd, Claims
from tetrarch.attestation.dcap import (
    COLLATERAL_MAX_BYTES,
    QUOTE_MAX_BYTES,
    verify_dcap,
)
from tetrarch.attestation.errors import EvidenceInvalid, EvidenceStale, VerifierMissing

THEN_S = datetime(2025, 6, 25, tzinfo=UTC).timestamp()


def quote() -> bytes:
    return (vectors("attestation") / "sgx-v3.quote").read_bytes()


def collateral() -> bytes:
    return (vectors("attestation") / "sgx-v3.collateral.json").read_bytes()


def checked(data: bytes, given_collateral: bytes | None = None, now_s: float = THEN_S) -> Claims:
    return verify_dcap(data, collateral=given_collateral or collateral(), now_s=now_s)


def test_genuine_quote_becomes_claims() -> None:
    claims = checked(quote())
    assert claims.back_end is BackEnd.SGX
    assert claims.measurement.hex() == (
        "33d8736db756ed4997e04ba358d27833188f1932ff7b1d156904d3f560452fbb"
    )
    assert claims.status == "ConfigurationAndSWHardeningNeeded"
    assert claims.advisories == ("INTEL-SA-00289", "INTEL-SA-00615")
    assert not claims.is_debug
    assert len(claims.bound) == 64
    assert claims.fresh_until_s is not None
    assert datetime.fromtimestamp(claims.fresh_until_s, UTC).date().isoformat() == "2025-07-19"
    assert claims.details["signer"].startswith("815f42f11cf64430")


@settings(max_examples=200, deadline=None)
@given(place=st.integers(0, 432 * 8 - 1))
def test_genuine_quote_with_any_other_bit_of_its_body_is_refused(place: int) -> None:
    text = bytearray(quote())
    text[place // 8] ^= 1 << place % 8
    with pytest.raises(EvidenceInvalid):
        checked(bytes(text))


def test_expired_collateral_is_stale() -> None:
    with pytest.raises(EvidenceStale, match="xpired"):
        checked(quote(), now_s=datetime(2027, 1, 1, tzinfo=UTC).timestamp())


def test_collateral_of_the_future_is_stale() -> None:
    """By a clock that is behind: it is no forgery."""
    with pytest.raises(EvidenceStale, match="future"):
        checked(quote(), now_s=datetime(2001, 1, 1, tzinfo=UTC).timestamp())


@pytest.mark.parametrize("name", ["tcb_info", "qe_identity"])
def test_collateral_that_intel_did_not_sign_is_refused(name: str) -> None:
    document = json.loads(collateral())
    document[name] = document[name].replace("2025-07", "2035-07")
    with pytest.raises(EvidenceInvalid):
        checked(quote(), json.dumps(document).encode())


@pytest.mark.parametrize(
    "document", [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 10_000, bytes(COLLATERAL_MAX_BYTES + 1)]
)  # fmt: skip
def test_collateral_that_is_none_is_refused(document: bytes) -> None:
    with pytest.raises(EvidenceInvalid):
        verify_dcap(quote(), collateral=document, now_s=THEN_S)


def test_sizes_and_kinds_are_checked_before_anything_else() -> None:
    for data, reason in [
        (b"", "size"),
        (quote()[:432], "size"),
        (bytes(QUOTE_MAX_BYTES + 1), "size"),
        (b"\2" + quote()[1:], "version"),
        (b"\4\0\2\0\7" + quote()[5:], "kind of hardware"),
        (b"\4\0\2\0\x81" + quote()[5:600], "size"),
    ]:
        with pytest.raises(EvidenceInvalid, match=reason):
            checked(data)


@settings(max_examples=200, deadline=None)
@given(cut=st.integers(433, 4000), tail=st.binary(max_size=64))
def test_truncated_quotes_are_refused(cut: int, tail: bytes) -> None:
    """The last bytes of a quote fill up its buffer, and mean nothing."""
    with pytest.raises(EvidenceInvalid):
        checked(quote()[:cut] + tail)


def test_without_the_optional_package_that_is_what_is_said(monkeypatch) -> None:
    monkeypatch.setattr(module, "dcap_qvl", None)
    with pytest.raises(VerifierMissing, match=r"pip install 'tetrarch\[dcap\]'"):
        checked(quote())
