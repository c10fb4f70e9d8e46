"""What the demo concludes from the chain's report and the nodes' duty reports. Pure."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tetrarch.errors import InputInvalid

JUDGED_TYPES = frozenset({"attester", "proposer"})  # whose messages the chain sees come in time
_BAD = frozenset({"missed", "late"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainDuty:
    """One validator's duty in one slot, as the chain saw it."""

    slot: int
    type: str
    validator_index: int
    status: str  # in_time, late, missed or open
    arrived_ms: float | None  # after the slot's start


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDuty:
    """One duty of the cluster as one node saw it; milliseconds after the duty's start."""

    node: int
    slot: int
    type: str
    outcome: str
    reason: str
    validators: int
    round: int | None
    leader: int | None
    at_ms: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The demo's result. ``missed`` counts validators' duties that should not have been.

    Times are of votes and blocks.
    """

    slots: int
    nodes: int
    validators: int
    fork: str
    duties: int
    attestations: int
    proposals: int
    missed: int
    late: int
    excused: int
    slashable: int
    decided_p50_ms: float | None
    decided_p99_ms: float | None
    threshold_p50_ms: float | None
    submitted_p50_ms: float | None
    submitted_p99_ms: float | None
    rounds_max: int | None
    justified_epoch: int
    finalized_epoch: int
    aggregations: int  # slots in which the cluster aggregated votes
    sync_messages: int  # slots in which it voted in the sync committee
    contributions: int  # slots in which it aggregated such votes
    missed_duties: tuple[str, ...] = field(default=())

    @property
    def succeeded(self) -> bool:
        """Whether nothing was missed that should not have been, and nothing is slashable."""
        return self.missed == 0 and self.slashable == 0 and self.duties > 0

    def to_json(self) -> dict[str, Any]:
        """One object, with ``ok`` beside the figures."""
        return {"ok": self.succeeded, **asdict(self)}


def read_chain_duties(report: Mapping[str, Any]) -> list[ChainDuty]:
    """The chain's report as values; raises InputInvalid for another shape."""
    try:
        return [
            ChainDuty(
                slot=int(row["slot"]),
                type=str(row["type"]),
                validator_index=int(row["validator_index"]),
                status=str(row["status"]),
                arrived_ms=row.get("arrived_ms"),
            )
            for row in report["duties"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise InputInvalid("read chain report", reason=repr(error)) from error


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least ``share`` of ``values`` do not exceed; None of none."""
    if not values:
        return None
    ordered = sorted(values)
    return round(ordered[max(math.ceil(share * len(ordered)), 1) - 1], 1)


def summarise(
    *,
    chain: Sequence[ChainDuty],
    nodes: Sequence[NodeDuty],
    excused_slots: frozenset[int],
    shape: Mapping[str, Any],
    report: Mapping[str, Any],
) -> Summary:
    """Count duties as the chain saw them; take times from the nodes' own reports."""
    bad = [duty for duty in chain if duty.status in _BAD]
    guilty = [duty for duty in bad if duty.slot not in excused_slots]
    missed = [duty for duty in guilty if duty.status == "missed"]
    judged = [duty for duty in nodes if duty.type in JUDGED_TYPES]
    first = _first_by_duty(judged, "submitted")
    decided = [d.at_ms["decided"] for d in judged if "decided" in d.at_ms]
    threshold = [d.at_ms["threshold"] for d in judged if "threshold" in d.at_ms]
    done = Counter(kind for _, kind in _first_by_duty(nodes, "submitted"))
    submitted = list(first.values())
    return Summary(
        slots=shape["slots"],
        nodes=shape["nodes"],
        validators=shape["validators"],
        fork=shape["fork"],
        duties=len(chain),
        attestations=sum(duty.type == "attester" for duty in chain),
        proposals=sum(duty.type == "proposer" for duty in chain),
        missed=len(missed),
        late=sum(duty.status == "late" for duty in guilty),
        excused=len(bad) - len(guilty),
        slashable=len(report.get("slashable", ())),
        decided_p50_ms=percentile(decided, 0.5),
        decided_p99_ms=percentile(decided, 0.99),
        threshold_p50_ms=percentile(threshold, 0.5),
        submitted_p50_ms=percentile(submitted, 0.5),
        submitted_p99_ms=percentile(submitted, 0.99),
        rounds_max=max((d.round for d in judged if d.round is not None), default=None),
        justified_epoch=int(report.get("justified_epoch", 0)),
        finalized_epoch=int(report.get("finalized_epoch", 0)),
        aggregations=done["aggregator"],
        sync_messages=done["sync_message"],
        contributions=done["sync_contribution"],
        missed_duties=tuple(f"{d.slot}/{d.type}/{d.validator_index}" for d in missed[:100]),
    )


def _first_by_duty(nodes: Sequence[NodeDuty], step: str) -> dict[tuple[int, str], float]:
    """When the first node of the cluster had passed ``step``, per duty."""
    first: dict[tuple[int, str], float] = {}
    for duty in nodes:
        if step in duty.at_ms:
            key = (duty.slot, duty.type)
            first[key] = min(first.get(key, duty.at_ms[step]), duty.at_ms[step])
    return first
