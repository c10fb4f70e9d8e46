"""Goal: only a report that AMD's chip signed, at the firmware it names, becomes claims.

Method: a genuine Milan report with its certificates (it was made in debug mode).
"""

import struct
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omne_attest import vectors as genuine

from tetrarch.attestation.claims import BackEnd, Claims
from tetrarch.attestation.errors import EvidenceInvalid, EvidenceStale
from tetrarch.attestation.sev_snp import (
    CERTIFICATE_MAX_BYTES,
    REPORT_SIZE_BYTES,
    ROOTS_SHA256,
    verify_sev_snp,
)

NOW_S = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
CHAIN = {"vcek": genuine.vcek(), "ask": genuine.ask(), "ark": genuine.ark()}


def checked(report: bytes, **other) -> Claims:
    return verify_sev_snp(report, **({**CHAIN, "now_s": NOW_S} | other))


def test_genuine_report_becomes_claims() -> None:
    report = genuine.attestation()
    claims = checked(report)
    assert claims.back_end is BackEnd.SEV_SNP
    assert claims.measurement == report[0x90:0xC0]
    assert claims.bound == report[0x50:0x90]
    assert claims.security_version == struct.unpack_from("<I", report, 4)[0]
    assert claims.is_debug, "this machine was started so"
    assert claims.details["policy"] == "0xb0000"
    assert claims.details["chip_id"] == report[0x1A0:0x1E0].hex()


def test_pin_is_the_root_that_amd_publishes() -> None:
    assert frozenset({genuine.ARK_SHA256}) == ROOTS_SHA256


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 8 * (0x2A0 + 144) - 1))
def test_genuine_report_with_any_other_bit_is_refused(place: int) -> None:
    """The last bytes of a report are unused, and stand after its signature."""
    report = bytearray(genuine.attestation())
    report[place // 8] ^= 1 << place % 8
    with pytest.raises(EvidenceInvalid):
        checked(bytes(report))


def flipped(data: bytes, place: int) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 1
    return bytes(changed)


def with_number(offset: int, value: int) -> bytes:
    report = bytearray(genuine.attestation())
    struct.pack_into("<I", report, offset, value)
    return bytes(report)


WRONG = {
    "too short": ({"report": genuine.attestation()[:-1]}, "its size"),
    "empty": ({"report": b""}, "its size"),
    "too long": ({"report": bytes(REPORT_SIZE_BYTES + 1)}, "its size"),
    "version of tomorrow": ({"report": with_number(0, 9)}, "its version"),
    "another algorithm": ({"report": with_number(0x34, 2)}, "another signature algorithm"),
    "another root": ({"ark": genuine.ask()}, "not a trusted one"),
    "no root is trusted": ({"roots_sha256": ()}, "not a trusted one"),
    "garbage for the chip": ({"vcek": b"x" * 100}, "one of its certificates"),
    "a huge certificate": ({"vcek": bytes(CERTIFICATE_MAX_BYTES + 1)}, "too large"),
    "links exchanged": ({"vcek": genuine.ask(), "ask": genuine.vcek()}, "no chain|signature of one"),
    "chip's certificate forged": ({"vcek": flipped(genuine.vcek(), -1)}, "signature of one"),
    "root in the chip's place": ({"vcek": genuine.ask()}, "no chain"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_each_fault_has_its_own_reason(name: str) -> None:
    change, reason = WRONG[name]
    change = dict(change)
    with pytest.raises(EvidenceInvalid, match=reason):
        checked(change.pop("report", genuine.attestation()), **change)


@pytest.mark.parametrize("year", [1999, 2060])
def test_certificates_count_while_they_are_valid(year: int) -> None:
    with pytest.raises(EvidenceStale):
        checked(genuine.attestation(), now_s=datetime(year, 1, 1, tzinfo=UTC).timestamp())


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(["vcek", "ask"]))
def test_no_certificate_does_more_than_be_refused(data: bytes, which: str) -> None:
    with pytest.raises(EvidenceInvalid):
        checked(genuine.attestation(), **{which: data})
