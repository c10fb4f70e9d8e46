"""Records: what is written is read back, and nothing else is taken for one."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrarch.duties.report import (
    RECORD_SIZE_BYTES_MAX,
    Cohort,
    DutyReport,
    InclusionReport,
    Outcome,
    PeerFaults,
    PeerPart,
    RoundChange,
    Standing,
    Step,
    Verdict,
    decode_report,
    encode_report,
    printable,
)
from tetrarch.errors import InputInvalid

REPORT = DutyReport(
    slot=9,
    type="attester",
    outcome=Outcome.FAILED,
    reason="no_consensus",
    detail="consensus: no_pre_prepare",
    ended=True,
    started_s=1_700_000_000.5,
    validators=31,
    round=2,
    leader=3,
    at_ms={Step.SCHEDULED: 0.5, Step.FETCHED: -3.25},
    parts=(
        PeerPart(peer=0, standing=Standing.ON_TIME, partials=31, first_ms=20.5),
        PeerPart(peer=1, standing=Standing.MISSING, partials=0),
    ),
    round_changes=(RoundChange(round=2, lacked="no_pre_prepare", at_ms=1000.0, leader=2),),
    faults=(PeerFaults(peer=3, kind="equivocation", count=2, of_duty=True),),
    cohorts=(Cohort(said="0xaa", peers=(0, 1)), Cohort(said="0xbb", peers=(3,))),
    inclusion=InclusionReport(
        slot=9,
        type="attester",
        verdict=Verdict.NOT_INCLUDED,
        due=31,
        included=30,
        distance=1,
        missing=("0xabcdef",),
    ),
)


def changed(**changes: Any) -> bytes:
    """The record with other values, whatever they are."""
    return msgspec.msgpack.encode(msgspec.to_builtins(REPORT) | changes)


def test_record_is_read_back_as_it_was_written() -> None:
    assert decode_report(encode_report(REPORT)) == REPORT
    assert decode_report(changed()) == REPORT


@pytest.mark.parametrize(
    "changes",
    [
        {"slot": -1},
        {"slot": 2**63},
        {"slot": "9"},
        {"type": "x" * 65},
        {"type": "atte\x1b[2Jster"},
        {"detail": "line\nbreak"},
        {"detail": "x" * 401},
        {"outcome": "splendid"},
        {"at_ms": {"teleported": 1.0}},
        {"at_ms": {"scheduled": float("nan")}},
        {"started_s": float("inf")},
        {"validators": -1},
        {"leader": 256},
        {"parts": [{"peer": 0, "standing": "asleep", "partials": 0}]},
        {"parts": [{"peer": 0, "standing": "late", "partials": 0}] * 65},
        {"round_changes": [{"round": 2, "lacked": "\x00", "at_ms": 1.0, "leader": 0}]},
        {"faults": [{"peer": 0, "kind": "\u202e", "count": 1, "of_duty": True}]},
        {"cohorts": [{"said": "a", "peers": [0] * 65}]},
        {"unheard_of": 1},
    ],
)
def test_what_breaks_a_bound_is_no_record(changes: dict[str, Any]) -> None:
    with pytest.raises(InputInvalid):
        decode_report(changed(**changes))


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x91" * 10_000, bytes(RECORD_SIZE_BYTES_MAX + 1)])
def test_rubbish_is_no_record(data: bytes) -> None:
    with pytest.raises(InputInvalid):
        decode_report(data)


@given(st.binary(max_size=400), st.integers(min_value=0, max_value=400))
def test_spoilt_record_is_refused_or_within_the_bounds(noise: bytes, place: int) -> None:
    data = encode_report(REPORT)
    spoilt = data[:place] + noise + data[place + len(noise) :]
    try:
        report = decode_report(spoilt)
    except InputInvalid:
        return
    assert decode_report(encode_report(report)) == report


def test_largest_record_that_a_node_makes_is_one_that_is_taken() -> None:
    parts = tuple(
        PeerPart(peer=peer, standing=Standing.BAD, partials=2**31 - 1, bad=2**31 - 1, first_ms=1e9)
        for peer in range(64)
    )
    faults = tuple(
        PeerFaults(peer=peer, kind="k" * 64, count=2**31 - 1, of_duty=False) for peer in range(32)
    )
    cohorts = tuple(Cohort(said="s" * 64, peers=(peer,)) for peer in range(64))
    changes = (RoundChange(round=2**31 - 1, lacked="l" * 64, at_ms=1e9, leader=63),) * 32
    largest = msgspec.structs.replace(
        REPORT,
        detail="d" * 400,
        parts=parts,
        faults=faults,
        cohorts=cohorts,
        round_changes=changes,
        at_ms=dict.fromkeys(Step, 1e9),
    )
    assert decode_report(encode_report(largest)) == largest


def test_text_is_made_printable_and_cut() -> None:
    assert printable("a\nb\x1bc") == "a b c"
    assert printable("x" * 10, length_max=6) == "xxx..."
