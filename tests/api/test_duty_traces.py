"""One trace per duty on all nodes: in a simulated cluster of four, and in single steps."""

import asyncio
from collections import defaultdict
from dataclasses import replace
from functools import cache
from random import Random
from typing import Any

import pytest
from tests.duties.duty_world import FixedClock, Validators

from tetrarch.api.duty_traces import EVENTS_MAX, OPEN_MAX, DutyTraces
from tetrarch.consensus.ports import Observer, SilentObserver
from tetrarch.duties.report import DutyReport, Outcome
from tetrarch.duties.types import Duty, DutyType, PartialSet
from tetrarch.errors import Transient
from tetrarch.node import Node
from tetrarch.node_ports import NodePorts, NodeShape
from tetrarch.observability.otlp import Span, fnv_128a
from tetrarch.output import Handler
from tetrarch.sim.workflow_profile import draw
from tetrarch.sim.workflow_world import run_seed

HASH = b"c" * 32
DUTY = Duty(9, DutyType.ATTESTER)
WORK_OF_A_SIGNED_DUTY = {
    "core/fetcher.fetch",
    "core/consensus.participate",
    "core/consensus.propose",
    "core/dutydb.store",
    "core/signer.sign",
    "core/parsigdb.store_internal",
    "core/parsigex.broadcast",
    "core/parsigdb.store_external",
    "core/sigagg.aggregate",
    "core/aggsigdb.store",
    "core/broadcaster.broadcast",
}


class Rounds(SilentObserver):
    def __init__(self, traces: DutyTraces, inner: Observer) -> None:
        self._traces, self._inner = traces, inner

    def round_changed(self, duty: Duty, round_: int, reason: str) -> None:
        self._traces.round_changed(duty, round_, reason)


@cache
def four_nodes() -> dict[int, list[Span]]:
    """The spans of each node of a simulated cluster in which nobody lies."""
    seed = next(
        seed
        for seed in range(1000)
        if draw(seed).node_count == 4 and not draw(seed).liars and not draw(seed).crashes
    )
    spans: dict[int, list[Span]] = defaultdict(list)

    def build(shape: NodeShape, ports: NodePorts, **rest: Any) -> Node:
        index = ports.bus.own_index
        traces = DutyTraces(
            shape.cluster_id,
            clock=ports.clock,
            entropy=Random(f"traces/{index}").randbytes,
            export=spans[index].append,
        )

        def on_report(report: DutyReport) -> None:
            ports.on_report(report)
            traces.ended(report)

        observer = Rounds(traces, ports.observer)
        traced = replace(ports, on_edge=traces.around, on_report=on_report, observer=observer)
        node = Node(shape, traced, **rest)
        node.components.agreement.decision.subscribe(traces.decided)
        return node

    run_seed(seed, build=build)
    return spans


def roots_of(spans: list[Span], duty_type: str) -> dict[Any, Span]:
    return {
        span.attributes["duty"]: span
        for span in spans
        if span.name == f"core/duty.{duty_type}" and span.attributes["outcome"] == "done"
    }


def test_all_nodes_give_a_duty_the_same_trace() -> None:
    by_node = [roots_of(spans, "attester") for spans in four_nodes().values()]
    assert len(by_node) == 4
    common = set.intersection(*(set(roots) for roots in by_node))
    assert common
    ids = {duty: {roots[duty].trace_id for roots in by_node} for duty in common}
    assert all(len(found) == 1 for found in ids.values())
    assert len({min(found) for found in ids.values()}) == len(common)  # another one for each duty
    span_ids = [span.span_id for spans in four_nodes().values() for span in spans]
    assert len(set(span_ids)) == len(span_ids)


def test_trace_has_every_piece_of_work_of_every_node() -> None:
    complete = set()
    for node, spans in four_nodes().items():
        for root in roots_of(spans, "attester").values():
            children = [span for span in spans if span.parent_id == root.span_id]
            assert all(span.trace_id == root.trace_id for span in children)
            assert all(root.start_s <= span.start_s <= span.end_s for span in children)
            if {span.name for span in children} >= WORK_OF_A_SIGNED_DUTY:
                complete.add(node)
    assert complete == {0, 1, 2, 3}


def test_decisions_and_round_changes_are_events_of_the_root() -> None:
    events = [
        (event, root)
        for spans in four_nodes().values()
        for root in roots_of(spans, "attester").values()
        for event in root.events
    ]
    decided = [root for event, root in events if event.name == "decided"]
    assert decided
    for root in decided:
        assert root.attributes["leader_name"] == f"node{root.attributes['leader_index']}"
    changed = [event for event, _ in events if event.name == "round_changed"]
    assert changed
    assert all(event.attributes["reason"] for event in changed)


# --- single steps --------------------------------------------------------------------------------


class Bench:
    def __init__(self) -> None:
        self.clock, self.spans = FixedClock(1_000.0), list[Span]()
        entropy = Random("bench").randbytes
        self.traces = DutyTraces(HASH, clock=self.clock, entropy=entropy, export=self.spans.append)

    def work(self, handler: Handler[PartialSet], duty: Duty = DUTY) -> None:
        traced = self.traces.around("sigagg>broadcaster.broadcast", handler)

        async def go() -> None:
            await traced(replace(Validators(1).partials(1), duty=duty))

        asyncio.run(go())

    def end(self, outcome: str = "done", reason: str = "") -> Span:
        report = DutyReport(
            slot=DUTY.slot, type="attester", outcome=Outcome(outcome), reason=reason
        )
        self.traces.ended(report)
        return self.spans[-1]


async def succeed(_value: PartialSet) -> None:
    return


async def fail(_value: PartialSet) -> None:
    raise Transient("submit", url="not to be shown")


def test_id_is_the_hash_of_cluster_and_duty() -> None:
    bench = Bench()
    bench.work(succeed)
    (span,) = bench.spans
    assert span.trace_id == fnv_128a(HASH + b"9/attester")


def test_failed_attempt_is_a_failed_span_and_an_event_and_the_next_one_another_span() -> None:
    bench = Bench()
    with pytest.raises(Transient):
        bench.work(fail)
    bench.work(succeed)
    root = bench.end()
    assert [span.error for span in bench.spans] == ["transient", None, None]
    (event,) = root.events
    assert event.name == "step_failed"
    assert event.attributes == {"edge": "sigagg>broadcaster.broadcast", "reason": "transient"}


def test_failed_duty_is_a_failed_root_with_its_reason() -> None:
    bench = Bench()
    bench.work(succeed)
    bench.clock.now_s += 400
    root = bench.end("failed", "no_consensus")
    assert (root.error, root.attributes["outcome"]) == ("no_consensus", "failed")
    assert root.end_s == 1_000.0  # when something happened last, not when it was given up
    bench.end()
    assert len(bench.spans) == 2  # it leaves once


def test_open_duties_and_their_events_are_bounded() -> None:
    bench = Bench()
    for slot in range(OPEN_MAX + 1):
        bench.traces.round_changed(Duty(slot, DutyType.ATTESTER), 2, "no_proposal")
    (oldest,) = bench.spans
    assert oldest.attributes["duty"] == "0/attester"
    for round_ in range(2, 2 * EVENTS_MAX):
        bench.traces.round_changed(DUTY, round_, "no_proposal")
    assert len(bench.end().events) == EVENTS_MAX
