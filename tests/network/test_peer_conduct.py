"""A peer of the cluster is judged as any node is, and its operator is asked instead of it being put aside."""

import pytest

from tetrarch.network import faults
from tetrarch.network.conduct import Conduct, Fault
from tetrarch.network.peer_conduct import fault_of, misdeeds, note_fault
from tetrarch.network.ports import Topic

NOW_S = 1_700_000_000.0


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("flood: messages", Fault.FLOOD),
        ("two_prepares", Fault.EQUIVOCATION),
        ("partial_equivocation", Fault.EQUIVOCATION),
        ("false_partial", Fault.FALSE_SIGNATURE),
        ("consensus_signature_wrong", Fault.FALSE_SIGNATURE),
        (faults.FrameOversize.code, Fault.OVERSIZE),
        (faults.FrameInvalid.code, Fault.PROTOCOL),
        (faults.ClusterDiffers.code, Fault.PROTOCOL),
        ("consensus_message_invalid", Fault.PROTOCOL),
    ],
)
def test_what_a_fault_is(kind: str, fault: Fault) -> None:
    conduct = Conduct[Topic](NOW_S)
    assert fault_of(kind) is fault
    note_fault(conduct, kind, now_s=NOW_S)
    assert conduct.faults == [(NOW_S, fault)]
    assert not conduct.failures_s


@pytest.mark.parametrize("kind", [faults.PeerSilent.code, faults.ProtocolVersionDiffers.code])
def test_an_outage_and_an_old_version_are_no_misdeeds(kind: str) -> None:
    conduct = Conduct[Topic](NOW_S)
    for _ in range(20):
        note_fault(conduct, kind, now_s=NOW_S)
    assert conduct.failures_s == [NOW_S] * 20
    assert not conduct.faults
    assert misdeeds(conduct, now_s=NOW_S) == ""


def test_misdeeds_are_told_once_they_would_cost_a_place_and_until_they_fade() -> None:
    conduct = Conduct[Topic](NOW_S)
    note_fault(conduct, "flood: messages", now_s=NOW_S)
    note_fault(conduct, "flood: messages", now_s=NOW_S)
    assert misdeeds(conduct, now_s=NOW_S) == ""
    conduct.contributed()
    note_fault(conduct, faults.FrameInvalid.code, now_s=NOW_S)
    told = "flood (2 times, last 0 s ago), protocol (1 times, last 0 s ago)"
    assert misdeeds(conduct, now_s=NOW_S) in (told, ", ".join(reversed(told.split(", prot"))))
    assert misdeeds(conduct, now_s=NOW_S + 1800) == ""


def test_whoever_does_much_may_err_as_little_as_others() -> None:
    """What was contributed weighs ten points at most."""
    conduct = Conduct[Topic](NOW_S)
    for _ in range(100_000):
        conduct.contributed()
    note_fault(conduct, "false_partial", now_s=NOW_S)
    assert misdeeds(conduct, now_s=NOW_S) == "false_signature (1 times, last 0 s ago)"
