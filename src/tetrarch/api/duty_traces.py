"""One trace per duty, the same on all nodes of the cluster, without a word between them.

The trace's id is a hash of cluster and duty, so each node gives its spans to the same trace: one
root span per node, below it one span for each edge of the workflow that the duty passed, each
attempt anew. Round changes, retries and the decision are events of the root.

Source: reference section 6.4 (ids, names, attributes).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from tetrarch.clock import Clock
from tetrarch.consensus.ports import Decided
from tetrarch.duties.report import DutyReport, Outcome
from tetrarch.duties.types import Duty
from tetrarch.duties.wire import V
from tetrarch.entropy import Entropy
from tetrarch.errors import TetrarchError
from tetrarch.observability.otlp import Attribute, Span, SpanEvent, fnv_128a
from tetrarch.observability.reference_metrics import peer_name
from tetrarch.output import Handler

OPEN_MAX = 2048
EVENTS_MAX = 64  # of one duty


@dataclass(slots=True)
class _Root:
    trace_id: bytes
    span_id: bytes
    start_s: float
    end_s: float
    events: list[SpanEvent] = field(default_factory=list)
    attributes: dict[str, Attribute] = field(default_factory=dict)


class DutyTraces:
    """Give ``around`` to the node as ``on_edge``; finished spans go to ``export``."""

    def __init__(
        self, cluster_hash: bytes, *, clock: Clock, entropy: Entropy, export: Callable[[Span], None]
    ) -> None:
        self._cluster_hash = cluster_hash
        self._clock = clock
        self._entropy = entropy
        self._export = export
        self._roots: dict[str, _Root] = {}

    def around(self, edge: str, handler: Handler[V], /) -> Handler[V]:
        """One span per call of ``handler``; see ``wire.Decorate``."""
        _, _, target = edge.partition(">")
        name = f"core/{target}"

        async def traced(value: V) -> None:
            root, start_s = self._root(str(value.duty)), self._clock.wall_s()
            error: str | None = "cancelled"
            try:
                await handler(value)
                error = None
            except Exception as failure:
                error = failure.code if isinstance(failure, TetrarchError) else "bug"
                self._note(root, "step_failed", edge=edge, reason=error)
                raise
            finally:
                root.end_s = self._clock.wall_s()
                span = Span(
                    trace_id=root.trace_id,
                    span_id=self._entropy(8),
                    parent_id=root.span_id,
                    name=name,
                    start_s=start_s,
                    end_s=root.end_s,
                    attributes={"edge": edge},
                    error=error,
                )
                self._export(span)

        return traced

    def round_changed(self, duty: Duty, round_: int, reason: str) -> None:
        """Consensus began another round."""
        self._note(self._root(str(duty)), "round_changed", round=round_, reason=reason)

    async def decided(self, decided: Decided) -> None:
        """Consensus has a value."""
        root = self._root(str(decided.duty))
        told: dict[str, Attribute] = {
            "round": decided.round,
            "leader_index": decided.leader,
            "leader_name": peer_name(decided.leader),
        }
        root.attributes |= told
        self._note(root, "decided", **told)

    def ended(self, report: DutyReport) -> None:
        """The duty is over: its root span leaves. It lasts as long as something happened."""
        duty = f"{report.slot}/{report.type}"
        root = self._roots.pop(duty, None)
        if root is not None:
            outcome: dict[str, Attribute] = {"outcome": report.outcome, "reason": report.reason}
            failed = report.outcome == Outcome.FAILED
            self._leave(duty, root, outcome, report.reason if failed else None)

    def leave_all(self) -> None:
        """The node stops: what is open leaves as it is."""
        while self._roots:
            duty = next(iter(self._roots))
            self._leave(duty, self._roots.pop(duty), {"outcome": "open"}, None)

    def _root(self, duty: str) -> _Root:
        found = self._roots.get(duty)
        if found is not None:
            return found
        now_s = self._clock.wall_s()
        made = _Root(
            trace_id=fnv_128a(self._cluster_hash + duty.encode()),
            span_id=self._entropy(8),
            start_s=now_s,
            end_s=now_s,
        )
        self._roots[duty] = made
        if len(self._roots) > OPEN_MAX:
            oldest = next(iter(self._roots))
            self._leave(oldest, self._roots.pop(oldest), {"outcome": "forgotten"}, None)
        return made

    def _note(self, root: _Root, name: str, **attributes: Attribute) -> None:
        root.end_s = self._clock.wall_s()
        if len(root.events) < EVENTS_MAX:
            root.events.append(SpanEvent(root.end_s, name, attributes))

    def _leave(
        self, duty: str, root: _Root, outcome: dict[str, Attribute], error: str | None
    ) -> None:
        slot, _, duty_type = duty.partition("/")
        span = Span(
            trace_id=root.trace_id,
            span_id=root.span_id,
            parent_id=None,
            name=f"core/duty.{duty_type}",
            start_s=root.start_s,
            end_s=root.end_s,
            attributes={"slot": int(slot), "duty": duty, **root.attributes, **outcome},
            events=tuple(root.events),
            error=error,
        )
        self._export(span)
