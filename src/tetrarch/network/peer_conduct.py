"""What a node saw a peer of its cluster do, by the rules that the overlay judges by. Pure.

A peer of the cluster is never put aside: its operator is known, and the cluster has no other in its place.
What would cost a node of the overlay its place is told to a person instead, who can ask that operator.
"""

from tetrarch.network.conduct import BAD_AT_POINTS, UNREACHABLE, Conduct, Fault, ScoreRules, explain
from tetrarch.network.faults import FrameOversize, PeerSilent, ProtocolVersionDiffers
from tetrarch.network.ports import Topic

# An outage or an old version: told in their own words, and no misdeed.
FAILURES = frozenset({PeerSilent.code, ProtocolVersionDiffers.code})
RULES = ScoreRules()


def fault_of(kind: str) -> Fault:
    """What a fault of the mesh, of consensus or of signatures is by its ``kind``."""
    if kind.startswith("flood"):
        return Fault.FLOOD
    if "equivocation" in kind or kind.startswith("two_"):
        return Fault.EQUIVOCATION
    if kind == "false_partial" or kind.endswith("signature_wrong"):
        return Fault.FALSE_SIGNATURE
    return Fault.OVERSIZE if kind == FrameOversize.code else Fault.PROTOCOL


def note_fault(conduct: Conduct[Topic], kind: str, *, now_s: float) -> None:
    """The peer did what no honest one does, or could not go on."""
    if kind in FAILURES:
        conduct.failed(now_s)
    else:
        conduct.broke(fault_of(kind), now_s)


def misdeeds(conduct: Conduct[Topic], *, now_s: float) -> str:
    """Why an operator should be told, or nothing: its points without what an outage costs."""
    parts = [part for part in explain(conduct, RULES, now_s=now_s) if part.reason != UNREACHABLE]
    if sum(part.points for part in parts) > BAD_AT_POINTS:
        return ""
    return ", ".join(f"{part.reason} ({part.detail})" for part in parts if part.points < 0)
