"""Spans reach an OpenTelemetry collector as it expects them, or are dropped; nobody waits."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from tests.duties.duty_world import RecordingLog

from tetrarch.errors import ConfigInvalid
from tetrarch.observability import otlp
from tetrarch.observability.metrics import Metrics
from tetrarch.observability.otlp import (
    QUEUE_MAX,
    Span,
    SpanEvent,
    SpanExporter,
    encode_spans,
    fnv_128a,
)
from tetrarch.supervision import Supervisor

SPAN = Span(
    trace_id=bytes(range(16)),
    span_id=b"\1" * 8,
    parent_id=b"\2" * 8,
    name="core/sigagg.aggregate",
    start_s=1_700_000_000.5,
    end_s=1_700_000_000.75,
    attributes={"edge": "a>b", "slot": 9, "late": True},
    events=(SpanEvent(1_700_000_000.6, "round_changed", {"round": 2}),),
    error="transient",
)


class Collector:
    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.status = 200
        self.port = 0

    async def _take(self, request: web.Request) -> web.Response:
        assert request.content_type == "application/json"
        self.bodies.append(await request.json())
        return web.Response(status=self.status)

    @property
    def spans(self) -> list[dict[str, Any]]:
        return [
            span
            for body in self.bodies
            for whole in body["resourceSpans"]
            for scope in whole["scopeSpans"]
            for span in scope["spans"]
        ]

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_post("/v1/traces", self._take)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield
        finally:
            await runner.cleanup()


def exporter(url: str, metrics: Metrics, log: RecordingLog | None = None) -> SpanExporter:
    return SpanExporter(
        url, {"service.name": "tetrarch"}, metrics=metrics, log=log or RecordingLog()
    )


def counted(metrics: Metrics, outcome: str) -> float:
    value = metrics.registry.get_sample_value("tetrarch_trace_spans_total", {"outcome": outcome})
    return value or 0


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(3_000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("never")


def test_hash_is_fnv_1a_of_128_bits() -> None:
    # Source: draft-eastlake-fnv, test vectors of FNV-1a 128.
    assert fnv_128a(b"").hex() == "6c62272e07bb014262b821756295c58d"
    assert fnv_128a(b"a").hex() == "d228cb696f1a8caf78912b704e4a8964"
    assert fnv_128a(b"foobar").hex() == "343e1662793c64bf6f0d3597ba446f18"


def test_span_is_encoded_as_the_protocol_says() -> None:
    told = json.loads(encode_spans([SPAN], {"service.name": "tetrarch"}))
    (whole,) = told["resourceSpans"]
    name = {"key": "service.name", "value": {"stringValue": "tetrarch"}}
    assert whole["resource"]["attributes"] == [name]
    assert whole["scopeSpans"][0]["spans"] == [
        {
            "traceId": "000102030405060708090a0b0c0d0e0f",
            "spanId": "01" * 8,
            "parentSpanId": "02" * 8,
            "name": "core/sigagg.aggregate",
            "kind": 1,
            "startTimeUnixNano": "1700000000500000000",
            "endTimeUnixNano": "1700000000750000000",
            "attributes": [
                {"key": "edge", "value": {"stringValue": "a>b"}},
                {"key": "slot", "value": {"intValue": "9"}},
                {"key": "late", "value": {"boolValue": True}},
            ],
            "events": [
                {
                    "timeUnixNano": "1700000000600000000",
                    "name": "round_changed",
                    "attributes": [{"key": "round", "value": {"intValue": "2"}}],
                }
            ],
            "status": {"code": 2, "message": "transient"},
        }
    ]


def test_spans_of_four_nodes_meet_in_one_trace_of_a_collector(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tests.api.test_duty_traces import four_nodes, roots_of

    monkeypatch.setattr(otlp, "INTERVAL_S", 0.01)
    collector, metrics = Collector(), Metrics()
    by_node = four_nodes()
    count = sum(len(spans) for spans in by_node.values())

    async def scenario() -> None:
        async with collector.serving(), Supervisor(RecordingLog()) as tasks:
            for spans in by_node.values():
                sender = exporter(f"http://127.0.0.1:{collector.port}", metrics)
                for span in spans:
                    sender.add(span)
                tasks.spawn(sender.run(), name="traces")
            await until(lambda: counted(metrics, "sent") >= count)
            tasks.stop()

    asyncio.run(scenario())
    assert len(collector.spans) == count
    duty, root = next(iter(roots_of(by_node[0], "attester").items()))
    roots = [
        span
        for span in collector.spans
        if span["name"] == "core/duty.attester" and span["traceId"] == root.trace_id.hex()
    ]
    assert len(roots) == 4, duty


def test_what_is_left_is_sent_when_the_node_stops() -> None:
    collector, metrics = Collector(), Metrics()

    async def scenario() -> None:
        async with collector.serving(), Supervisor(RecordingLog()) as tasks:
            sender = exporter(f"http://127.0.0.1:{collector.port}/v1/traces/", metrics)
            tasks.spawn(sender.run(), name="traces")
            await asyncio.sleep(0)
            sender.add(SPAN)
            tasks.stop()

    asyncio.run(scenario())
    assert len(collector.spans) == 1


def test_collector_that_is_away_or_refuses_costs_the_spans_and_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(otlp, "INTERVAL_S", 0.01)
    collector, metrics, log = Collector(), Metrics(), RecordingLog()
    collector.status = 503

    async def scenario() -> None:
        async with collector.serving(), Supervisor(log) as tasks:
            sender = exporter(f"http://127.0.0.1:{collector.port}", metrics, log)
            tasks.spawn(sender.run(), name="traces")
            sender.add(SPAN)
            await until(lambda: counted(metrics, "dropped") >= 1)
            sender.add(SPAN)
            await until(lambda: counted(metrics, "dropped") >= 2)
            collector.status = 200
            sender.add(SPAN)
            await until(lambda: counted(metrics, "sent") >= 1)
            tasks.stop()

    asyncio.run(scenario())
    (told,) = log.find("traces_not_sent")
    assert told["reason"] == "status 503"
    assert len(log.find("traces_sent_again")) == 1


def test_queue_is_bounded() -> None:
    metrics = Metrics()
    sender = exporter("http://127.0.0.1:1", metrics)
    for _ in range(QUEUE_MAX + 5):
        sender.add(SPAN)
    assert counted(metrics, "dropped") == 5


def test_endpoint_must_be_a_url() -> None:
    with pytest.raises(ConfigInvalid):
        exporter("localhost:4318", Metrics())
