"""A policy lets through what it lists, and refuses everything else with one reason."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrarch.attestation.binding import Subject, report_data
from tetrarch.attestation.claims import BackEnd, Claims
from tetrarch.attestation.errors import EvidenceForeign, EvidenceRefused, EvidenceStale
from tetrarch.attestation.policy import AGE_S_MAX, CLOCK_SKEW_S_MAX, Allowed, Policy, appraise
from tetrarch.errors import ConfigInvalid

NOW_S = 1_000_000.0
SUBJECT = Subject(
    signing_key=b"s" * 32,
    sealing_key=b"e" * 32,
    node="node1",
    configuration_hash=b"c" * 32,
    incarnation=b"i" * 32,
)
NONCE = b"n" * 32
BOUND = report_data(SUBJECT, NONCE)
CLAIMS = Claims(
    back_end=BackEnd.SEV_SNP,
    measurement=b"\1" * 48,
    security_version=5,
    bound=BOUND,
    is_debug=False,
    issued_s=NOW_S - 10,
    fresh_until_s=NOW_S + 10,
)
POLICY = Policy(
    allowed=(
        Allowed(BackEnd.SGX, b"\1" * 48),
        Allowed(BackEnd.SEV_SNP, b"\2" * 48),
        Allowed(BackEnd.SEV_SNP, b"\1" * 48, 9),
        Allowed(BackEnd.SEV_SNP, b"\1" * 48, 5),
    )
)


def test_listed_program_is_allowed_by_its_entry() -> None:
    assert appraise(CLAIMS, POLICY, bound=BOUND, now_s=NOW_S) is POLICY.allowed[3]


def no_time() -> Claims:
    return replace(CLAIMS, issued_s=None, fresh_until_s=None)


def test_evidence_without_dates_is_fresh_by_its_nonce() -> None:
    assert appraise(no_time(), POLICY, bound=BOUND, now_s=NOW_S * 9) is POLICY.allowed[3]


REFUSED: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "debug mode": ({"is_debug": True}, EvidenceRefused),
    "the hardware's status": ({"status": "OutOfDate"}, EvidenceRefused),
    "not a listed measurement": ({"measurement": b"\3" * 48}, EvidenceRefused),
    "an older security version": ({"security_version": 4}, EvidenceRefused),
    "evidence_foreign": ({"bound": b"\0" * 64}, EvidenceForeign),
    "age_s": ({"issued_s": NOW_S - AGE_S_MAX - 1}, EvidenceStale),
    "age_s=-": ({"issued_s": NOW_S + CLOCK_SKEW_S_MAX + 1}, EvidenceStale),
    "statements expired": ({"fresh_until_s": NOW_S - 1}, EvidenceStale),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_everything_else_is_refused_for_one_reason(reason: str) -> None:
    change, kind = REFUSED[reason]
    with pytest.raises(kind, match=reason):
        appraise(replace(CLAIMS, **change), POLICY, bound=BOUND, now_s=NOW_S)


def test_clocks_may_differ_and_evidence_may_age_a_little() -> None:
    for issued_s in (NOW_S - AGE_S_MAX, NOW_S + CLOCK_SKEW_S_MAX):
        claims = replace(CLAIMS, issued_s=issued_s, fresh_until_s=NOW_S)
        assert appraise(claims, POLICY, bound=BOUND, now_s=NOW_S) is POLICY.allowed[3]


def test_software_counts_only_where_it_is_listed() -> None:
    claims = replace(CLAIMS, back_end=BackEnd.SOFTWARE)
    with pytest.raises(EvidenceRefused, match="not a listed measurement"):
        appraise(claims, POLICY, bound=BOUND, now_s=NOW_S)
    named = Policy(allowed=(Allowed(BackEnd.SOFTWARE, claims.measurement),))
    assert appraise(claims, named, bound=BOUND, now_s=NOW_S) is named.allowed[0]


def test_an_empty_policy_allows_nothing() -> None:
    with pytest.raises(EvidenceRefused):
        appraise(CLAIMS, Policy(allowed=()), bound=BOUND, now_s=NOW_S)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not BACK_END"),
        ("sgx", "32 or 48"),
        ("sgx:", "32 or 48"),
        ("sgx:00", "32 or 48"),
        ("moon:" + "00" * 32, "not BACK_END"),
        ("sgx:" + "zz" * 32, "not BACK_END"),
        ("sgx:" + "00" * 32 + ":x", "not BACK_END"),
        ("sgx:" + "00" * 32 + ":-1", "not negative"),
    ],
)
def test_entry_that_is_none_is_named(text: str, reason: str) -> None:
    with pytest.raises(ConfigInvalid, match=reason):
        Allowed.parse(text)


@given(st.sampled_from(BackEnd), st.sampled_from([32, 48]), st.integers(0, 2**32))
def test_entries_survive_their_text(back_end: BackEnd, size: int, version: int) -> None:
    entry = Allowed(back_end, b"\5" * size, version)
    assert Allowed.parse(str(entry)) == entry
